//! What may happen to a client's session.

use arbitrary::Arbitrary;

use crate::figure::{Damage, Figure};
use crate::speech::Speech;

/// One event, or something that whoever drives the session does.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Event {
    /// Milliseconds pass, and the session is ticked whenever it asks to be.
    Sleep(u16),
    /// Seconds pass, and nobody looks.
    Suspend(u16),
    /// The connection that was asked for is made.
    Connect,
    /// As the one before, and the server answers as it should.
    Join,
    /// The connection is gone, or could not be made.
    Cut,
    /// The server says something.
    Hear(Speech),
    /// It sends a message with this number, and says that it is done with so many.
    Message(Figure, Figure),
    /// It says something that suffers on its way.
    Damaged(Speech, Damage),
    /// Something comes from a connection that is not the present one.
    Stray(u8, Speech),
    /// A connection that is not the present one is reported as made.
    StrayConnect(u8),
    /// Likewise, as gone.
    StrayCut(u8),
    /// The client sends a message.
    Send,
    /// One of the messages that are being handled is done.
    Handle(u8),
    /// It could not be handled.
    Fail(u8),
    /// The client wants to leave.
    Leave,
    /// The server has another term from now on.
    Succeed(u8),
}

/// What may be done to a stream.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Turn {
    /// Send a message.
    Send,
    /// Write the next one.
    Write,
    /// Write all.
    WriteAll,
    /// The other end is done with so many.
    PeerDone(Figure),
    /// A message with this number comes in.
    Arrive(Figure),
    /// One of those that are being handled is done.
    Handle(u8),
    /// It failed.
    Fail(u8),
    /// A new connection, on which the other end says that it is done with so many.
    Reconnect(Figure),
}
