//! One connection, and everything below frames inside of it.
//!
//! A link is in one of three stages: it connects, the two ends shake hands (with TLS only), it is open. Every call goes on
//! from where the link is, as far as it gets without waiting.
//!
//! **Events are edges.** `mio` tells once that something can be read, or written again. So whoever gets an event reads until
//! all is read, and flushes; what came to the end of what the socket has at present (it gave less than there was room for, or
//! took less than there was) asks no second time, and is sure of another event. So a message that comes in costs one system
//! call, as does whatever is queued when it is flushed.
//!
//! **Only reading tells of the end.** A server may say why it ends a connection and end it; the client that writes in that
//! moment finds the connection broken before it has read why. So a write that fails is kept, and told by [`Link::read`] once
//! everything has been read that came before.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::event::PollFlags;

use super::inbox::Inbox;
use super::outbox::Outbox;
use super::socket::Socket;
use super::tls::{Channel, Got};
use super::{Address, ClientTls, LinkError};
use crate::{Frame, Principal, TimeoutPlan};

/// How a connection is made.
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    /// TLS, if the server wants it.
    pub tls: Option<ClientTls>,
    /// How long the other end's system may be silent, or leave data unacknowledged, before the connection breaks: from a
    /// second to nine hours. For TCP alone; the default plan's [`silence`](TimeoutPlan::silence) by default.
    pub silence: Duration,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self { tls: None, silence: TimeoutPlan::DEFAULT.silence }
    }
}

/// Whether all that had come in was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Heard {
    /// It was: an event will tell of more.
    All,
    /// There may be more, and no event will tell of it: take the frames that are there, and read again.
    More,
}

/// Whether all that was queued was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flushed {
    /// It was.
    All,
    /// Some waits: an event will tell when to go on.
    Blocked,
}

/// One end of a connection.
#[derive(Debug)]
pub struct Link {
    socket: Socket,
    stage: Stage,
    tls: Option<Box<Channel>>,
    inbox: Inbox,
    /// As it goes to the socket: frames, or the records that TLS makes of them.
    outbox: Outbox,
    principal: Option<Principal>,
    /// An event said that the end is near, and none will say it again.
    has_hung_up: bool,
    ending: Ending,
    /// Why nothing can be written any more.
    broken: Option<io::Error>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Connecting,
    ShakingHands,
    Open,
}

/// How far this end has said that nothing follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    No,
    /// By TLS.
    Said,
    Done,
}

impl Link {
    /// Begins to connect. Where a name stands for several addresses, each `attempt` takes the next one: count them.
    ///
    /// # Errors
    /// If the address cannot be looked up, or it is clear at once that nobody listens there.
    pub fn connect(address: &Address, options: &ConnectOptions, attempt: u64) -> io::Result<Self> {
        let tls = options.tls.as_ref().map(Channel::client).transpose()?;
        match address {
            Address::Unix(path) => Self::connected(Socket::connect_unix(path)?, tls),
            Address::Tcp(_) => {
                let found = address.resolve()?;
                let turn = (attempt % found.len() as u64) as usize;
                Ok(Self::new(Socket::connect_tcp(found[turn], options.silence)?, tls))
            }
        }
    }

    /// Two ends of one connection within this process, or to be shared with a child of it.
    ///
    /// # Errors
    /// If there are too many open files.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = Socket::pair()?;
        Ok((Self::connected(one, None)?, Self::connected(other, None)?))
    }

    /// A link whose socket is connected.
    pub(super) fn connected(socket: Socket, tls: Option<Channel>) -> io::Result<Self> {
        let mut link = Self::new(socket, tls);
        link.begin()?;
        Ok(link)
    }

    fn new(socket: Socket, tls: Option<Channel>) -> Self {
        Self {
            socket,
            stage: Stage::Connecting,
            tls: tls.map(Box::new),
            inbox: Inbox::new(),
            outbox: Outbox::default(),
            principal: None,
            has_hung_up: false,
            ending: Ending::No,
            broken: None,
        }
    }

    // --- events ------------------------------------------------------------------------------------------------------

    /// Has events of this link told under `token`, until it is dropped.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let fd = self.socket.as_fd().as_raw_fd();
        registry.register(&mut SourceFd(&fd), token, Interest::READABLE | Interest::WRITABLE)
    }

    /// Takes note of an event. [`flush`](Self::flush) and [`read`](Self::read) are to be called then.
    pub fn ready(&mut self, event: &Event) {
        self.has_hung_up |= event.is_read_closed() || event.is_error();
    }

    /// What is worth waiting for, if all that was there has been read.
    pub(super) fn awaits(&self) -> PollFlags {
        // Not what TLS has not made records of: before hands are shaken, room in the socket is of no use for it.
        let is_blocked = !self.outbox.is_empty() && self.broken.is_none();
        let is_writing = self.stage == Stage::Connecting || is_blocked;
        if is_writing { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN }
    }

    // --- who ---------------------------------------------------------------------------------------------------------

    /// Whether it is connected, and both ends have proved who they are. With TLS, a client's link may be open and the
    /// server still refuse its certificate: that is told by [`read`](Self::read), and before any answer.
    pub fn is_open(&self) -> bool {
        self.stage == Stage::Open
    }

    /// Who is at the other end, once the link is open. With TLS it is whom the certificate names, over a Unix socket too.
    pub fn principal(&self) -> Option<Principal> {
        self.principal
    }

    /// Where the other end is, if it has an address: for people to read. It proves nothing.
    pub fn peer_address(&self) -> Option<SocketAddr> {
        self.socket.peer_address()
    }

    // --- writing -----------------------------------------------------------------------------------------------------

    /// Queues bytes, which are to be frames. Nothing is written before [`flush`](Self::flush), so many frames are one write.
    pub fn queue(&mut self, bytes: &[u8]) {
        self.tail().extend_from_slice(bytes);
    }

    /// Queues a frame.
    ///
    /// # Panics
    /// If it is a message of more than 64 KiB.
    pub fn queue_frame(&mut self, frame: &Frame<'_>) {
        frame.encode(self.tail());
    }

    fn tail(&mut self) -> &mut Vec<u8> {
        match &mut self.tls {
            Some(channel) => channel.tail(),
            None => self.outbox.tail(),
        }
    }

    /// Bytes that wait to be written. Whoever queues bounds them.
    pub fn queued(&self) -> usize {
        self.outbox.unwritten().len() + self.tls.as_ref().map_or(0, |channel| channel.unwritten())
    }

    /// Goes on connecting and shaking hands, and writes what is queued as far as the socket takes it.
    ///
    /// # Errors
    /// If the connection cannot be made. One that breaks later is told by [`read`](Self::read).
    pub fn flush(&mut self) -> Result<Flushed, LinkError> {
        if !self.advance()? {
            return Ok(Flushed::Blocked);
        }
        loop {
            if let Some(channel) = &mut self.tls {
                channel.encrypt(&mut self.outbox)?;
            }
            if self.outbox.is_empty() {
                return Ok(Flushed::All);
            }
            if !self.send() {
                return Ok(Flushed::Blocked);
            }
        }
    }

    /// Writes what is queued and then says that nothing follows: the other end reads all of it, and then the end. To be
    /// called again if it is blocked. Whoever wants what was said last to arrive goes on reading until the other end has
    /// closed: a connection that is dropped with bytes unread takes back what it wrote.
    ///
    /// # Errors
    /// As [`flush`](Self::flush).
    pub fn finish(&mut self) -> Result<Flushed, LinkError> {
        if self.flush()? == Flushed::Blocked {
            return Ok(Flushed::Blocked);
        }
        if let (Some(channel), Ending::No) = (&mut self.tls, self.ending) {
            self.ending = Ending::Said;
            channel.end();
            return self.finish();
        }
        // Once: each time is an event, for this end too.
        if self.ending != Ending::Done {
            self.ending = Ending::Done;
            // It fails where the other end is gone already, and needs to be told nothing.
            let _ = self.socket.shut_down_writing();
        }
        Ok(Flushed::All)
    }

    /// One write of all that is there; tells whether the socket took it all.
    fn send(&mut self) -> bool {
        if self.broken.is_some() {
            return false;
        }
        let bytes = self.outbox.unwritten();
        let all = bytes.len();
        match self.socket.send(bytes) {
            Ok(count) => {
                let count = count.unwrap_or(0);
                self.outbox.wrote(count);
                count == all
            }
            Err(error) => {
                self.broken = Some(error);
                false
            }
        }
    }

    // --- reading -----------------------------------------------------------------------------------------------------

    /// Reads once what has come in. The frames are to be taken then, by [`next_frame`](Self::next_frame), before it is read
    /// again: where a whole frame takes all the room, nothing is.
    ///
    /// # Errors
    /// When the connection has come to its end; everything that came before was read.
    pub fn read(&mut self) -> Result<Heard, LinkError> {
        if !self.advance()? {
            return Ok(Heard::All);
        }
        let got = match self.tls {
            None => self.read_plain()?,
            Some(_) => self.read_tls()?,
        };
        match got {
            Got::Some => Ok(Heard::More),
            Got::All if self.has_hung_up => Ok(Heard::More),
            Got::All => Ok(Heard::All),
            Got::Nothing if self.broken.is_none() => Ok(Heard::All),
            Got::Nothing | Got::End => Err(self.end()),
        }
    }

    fn read_plain(&mut self) -> Result<Got, LinkError> {
        let space = self.inbox.space();
        let room = space.len();
        if room == 0 {
            return Ok(Got::Some);
        }
        let Some(count) = self.socket.recv(space)? else { return Ok(Got::Nothing) };
        self.inbox.filled(count);
        Ok(match count {
            0 => Got::End,
            _ if count < room => Got::All,
            _ => Got::Some,
        })
    }

    fn read_tls(&mut self) -> Result<Got, LinkError> {
        let Some(channel) = &mut self.tls else { return Ok(Got::Nothing) };
        // What was decrypted before comes first: TLS reads no more until it is taken.
        if self.inbox.space().is_empty() || channel.deliver(&mut self.inbox)? {
            return Ok(Got::Some);
        }
        let got = self.read_records()?;
        let Some(channel) = &mut self.tls else { return Ok(Got::Nothing) };
        let is_some = channel.deliver(&mut self.inbox)?;
        let is_full = self.inbox.space().is_empty();
        Ok(match got {
            Got::End if is_some => Got::Some,
            Got::All if is_full => Got::Some,
            got => got,
        })
    }

    /// Reads the socket once for TLS, and writes what that has to say to it.
    fn read_records(&mut self) -> Result<Got, LinkError> {
        let Some(channel) = &mut self.tls else { return Ok(Got::End) };
        let got = channel.read(&self.socket);
        channel.take_records(&mut self.outbox)?;
        if !self.outbox.is_empty() {
            // Also of a failure: the other end is told why, if it still listens.
            self.send();
        }
        got
    }

    /// Takes the next frame that is there as a whole: its bytes. It may have `limit` bytes at the most:
    /// [`HELLO_BYTES_MAX`](crate::HELLO_BYTES_MAX) until the greeting, [`FRAME_BYTES_MAX`](crate::FRAME_BYTES_MAX) after.
    /// The memory that incoming bytes get follows that limit too.
    ///
    /// # Errors
    /// If the next frame is longer, or too short to be one. Then it is so for ever.
    pub fn next_frame(&mut self, limit: usize) -> Result<Option<&[u8]>, LinkError> {
        Ok(self.inbox.next_frame(limit)?)
    }

    fn end(&mut self) -> LinkError {
        match self.broken.take() {
            Some(error) => LinkError::Io(error),
            None => LinkError::Closed { rest: self.inbox.rest() },
        }
    }

    // --- opening -----------------------------------------------------------------------------------------------------

    /// Goes on as far as it gets; tells whether the link is open.
    fn advance(&mut self) -> Result<bool, LinkError> {
        if self.stage == Stage::Connecting && self.socket.is_connected()? {
            self.begin()?;
        }
        if self.stage == Stage::ShakingHands {
            self.shake_hands()?;
        }
        Ok(self.is_open())
    }

    /// The socket is connected.
    fn begin(&mut self) -> io::Result<()> {
        if self.tls.is_some() {
            self.stage = Stage::ShakingHands;
        } else {
            self.principal = Some(self.socket.principal()?);
            self.stage = Stage::Open;
        }
        Ok(())
    }

    fn shake_hands(&mut self) -> Result<(), LinkError> {
        // Bound: a handshake has a few messages, each of 64 KiB at the most.
        while let Some(channel) = &mut self.tls {
            channel.take_records(&mut self.outbox)?;
            if !channel.is_shaking_hands() {
                self.principal = Some(channel.principal()?);
                self.stage = Stage::Open;
                break;
            }
            if !self.outbox.is_empty() {
                self.send();
            }
            match self.read_records()? {
                Got::Nothing if self.broken.is_none() => break,
                Got::Nothing | Got::End => return Err(self.end()),
                Got::All | Got::Some => {}
            }
        }
        if self.is_open() && !self.outbox.is_empty() {
            self.send();
        }
        Ok(())
    }
}

/// For those who wait in another way than with `mio`.
impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
