//! What a thread with one link waits by: until the link can go on, or another thread rings.
//!
//! A server with many links has an event loop. A client has one, and latency counts: what wakes a thread from `poll(2)` may
//! hand it the processor on the spot, what wakes it from an event loop does not, and over a Unix socket that is a third of a
//! round trip. `poll(2)` tells of what *is*, not of what changed, so nothing that was not read is forgotten either.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, epoll, eventfd, poll};
use rustix::io::Errno;

use super::Link;

/// Rung from any thread; whoever waits by it wakes up.
#[derive(Debug)]
pub struct Bell {
    event: OwnedFd,
}

impl Bell {
    /// A bell that was not rung.
    ///
    /// # Errors
    /// If there are too many open files.
    pub fn new() -> io::Result<Self> {
        Ok(Self { event: eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)? })
    }

    /// Ends the wait of whoever waits, or else the next wait. To be called after there is something to find.
    pub fn ring(&self) {
        // In whatever order of bytes: any number rings. It fails where it was rung so often, and nobody has waited, that the
        // sum would run over: then it is rung.
        let _ = rustix::io::write(&self.event, &1u64.to_le_bytes());
    }

    /// Waits until `link` has something to read or can go on with what it has begun, until the bell is rung, or until
    /// `limit` is over; without one, for ever. It may also end for no reason. All that the link has must have been read
    /// before: see [`Heard`](super::Heard). Tells whether any of the two was the reason.
    ///
    /// # Errors
    /// If the system cannot wait: it has no memory, for one.
    pub fn wait(&self, link: Option<&Link>, limit: Option<Duration>) -> io::Result<bool> {
        self.wait_for(link.map(|link| (link.as_fd(), link.awaits())), limit)
    }

    /// The same for a link that other threads have meanwhile. Whoever of them is left with something unwritten rings.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub fn wait_on(&self, watch: &Watch, limit: Option<Duration>) -> io::Result<bool> {
        self.wait_for(Some((watch.socket.as_fd(), watch.awaits)), limit)
    }

    /// The same at the gate of such a link.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub fn wait_at(&self, gate: Option<&Gate>, limit: Option<Duration>) -> io::Result<bool> {
        self.wait_for(gate.map(|gate| (gate.0.as_fd(), PollFlags::IN)), limit)
    }

    fn wait_for(
        &self,
        link: Option<(BorrowedFd<'_>, PollFlags)>,
        limit: Option<Duration>,
    ) -> io::Result<bool> {
        let bell = PollFd::new(&self.event, PollFlags::IN);
        // Without a link, the bell twice.
        let link = link.map(|(socket, awaits)| PollFd::from_borrowed_fd(socket, awaits));
        let mut waited = [bell.clone(), link.unwrap_or(bell)];
        // Longer than the system can wait is for ever.
        let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
        let ready = match poll(&mut waited, limit.as_ref()) {
            Ok(ready) => ready,
            Err(Errno::INTR) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        if !waited[0].revents().is_empty() {
            // Silenced before the caller looks for what it was rung for, so that nothing is missed.
            let _ = rustix::io::read(&self.event, &mut [0; 8]);
        }
        Ok(ready > 0)
    }
}

/// A link as threads see it that wait for it while others have it.
#[derive(Clone, Debug)]
pub struct Watch {
    socket: Arc<OwnedFd>,
    gate: Gate,
    awaits: PollFlags,
}

/// Stands between a link and a thread that waits for it always, so that another may do so in its place: that one shuts the gate
/// and waits for the link itself, and the first sleeps on and need not be told. The gate lets one event through for each
/// time that it is opened.
#[derive(Clone, Debug)]
pub struct Gate(Arc<OwnedFd>);

impl Watch {
    /// Of this link, as it is now. Its gate is shut.
    ///
    /// # Errors
    /// If there are too many open files.
    pub fn new(link: &Link) -> io::Result<Self> {
        let socket = link.as_fd().try_clone_to_owned()?;
        let gate = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&gate, &socket, DATA, epoll::EventFlags::ONESHOT)?;
        Ok(Self { socket: Arc::new(socket), gate: Gate(Arc::new(gate)), awaits: link.awaits() })
    }

    /// Where the thread waits that always does.
    pub fn gate(&self) -> Gate {
        self.gate.clone()
    }

    /// Looks at the link again, for what is worth waiting for. To be called before each wait.
    pub fn look(&mut self, link: &Link) {
        self.awaits = link.awaits();
    }

    /// Opens the gate for what happens next, and for what has happened and was not read.
    ///
    /// # Errors
    /// If the system has no memory.
    pub fn open_gate(&self) -> io::Result<()> {
        let mut flags = epoll::EventFlags::ONESHOT | epoll::EventFlags::IN;
        flags.set(epoll::EventFlags::OUT, self.awaits.contains(PollFlags::OUT));
        Ok(epoll::modify(&*self.gate.0, &*self.socket, DATA, flags)?)
    }

    /// Shuts the gate for everything but the link's end.
    ///
    /// # Errors
    /// If the system has no memory.
    pub fn shut_gate(&self) -> io::Result<()> {
        Ok(epoll::modify(&*self.gate.0, &*self.socket, DATA, epoll::EventFlags::ONESHOT)?)
    }
}

/// A gate has one link: nobody asks which.
const DATA: epoll::EventData = epoll::EventData::new_u64(0);
