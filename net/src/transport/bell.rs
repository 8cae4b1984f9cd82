//! What a thread with one link waits by: until the link can go on, or another thread rings.
//!
//! A server with many links has an event loop. A client has one, and latency counts: what wakes a thread from `poll(2)` may
//! hand it the processor on the spot, what wakes it from an event loop does not, and over a Unix socket that is a third of a
//! round trip. `poll(2)` tells of what *is*, not of what changed, so nothing that was not read is forgotten either.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
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
    /// before: see [`Heard`](super::Heard).
    ///
    /// # Errors
    /// If the system cannot wait: it has no memory, for one.
    pub fn wait(&self, link: Option<&Link>, limit: Option<Duration>) -> io::Result<()> {
        let bell = PollFd::new(&self.event, PollFlags::IN);
        // Without a link, the bell twice.
        let link = link.map(|link| PollFd::from_borrowed_fd(link.as_fd(), link.awaits()));
        let mut waited = [bell.clone(), link.unwrap_or(bell)];
        // Longer than the system can wait is for ever.
        let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
        match poll(&mut waited, limit.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        if !waited[0].revents().is_empty() {
            // Silenced before the caller looks for what it was rung for, so that nothing is missed.
            let _ = rustix::io::read(&self.event, &mut [0; 8]);
        }
        Ok(())
    }
}
