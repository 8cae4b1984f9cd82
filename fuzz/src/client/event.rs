//! What may happen to a lock client.

use arbitrary::Arbitrary;

use crate::figure::{Damage, Figure, Numbering};
use crate::speech::Speech;

/// One event, or something that whoever drives the client does.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Event {
    /// Milliseconds pass, and the client is ticked whenever it asks to be.
    Sleep(u16),
    /// Seconds pass, and nobody looks.
    Suspend(u8),
    /// The connection that was asked for is made.
    Connect,
    /// As the one before, and the server answers as it should.
    Join,
    /// The connection is gone.
    Cut,
    /// The server says something.
    Say(Speech),
    /// It says something that suffers on its way.
    Damaged(Speech, Damage),
    /// It sends a message.
    Tell(Numbering, Matter),
    /// It sends two in one go.
    TellTwice(Matter, Matter),
    /// It sends a message that suffers on its way.
    Distorted(Matter, Damage),
    /// The server has another term from now on.
    Succeed,
    /// Somebody wants a lock, and waits for it.
    Lock(u8, u8),
    /// One who waits for a lock, or has it, does not any more.
    LetGo(u8),
    /// One of the invalidations is done.
    Invalidated(u8),
    /// One of the losses is handled.
    LossHandled,
    /// No lock is taken any more.
    Close,
    /// The client leaves.
    Leave,
}

/// What a message says, of a lock that is asked for or held, or of any.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Matter {
    /// A lock is given, as it was asked for.
    Grant(u8),
    /// A lock is given as this mode, with a token that is so far from the last one.
    GrantAny(u8, u8, Figure),
    /// One that was asked for is not given.
    Refuse(u8, u8),
    /// One that is held is called back.
    Revoke(u8, u8),
    /// Any is called back, from and to any mode.
    RevokeAny(u8, u8, u8),
    /// One that is held is lost.
    Lose(u8),
    /// Part of a snapshot was taken in.
    SnapshotTaken(u8),
    /// What a client says, and no server.
    Acquire,
    /// Nothing that makes sense.
    Noise(u64),
}
