//! What may happen to a lock server.

use arbitrary::Arbitrary;

use crate::figure::{Damage, Figure, Numbering};

/// One event, or something that whoever drives the server does.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Event {
    /// A connection is made, in place of any that this stranger had, by one of two principals.
    Open(u8, bool),
    /// As the one before, and the stranger greets as it should; what came of it is heard.
    Join(u8),
    /// The connection is gone.
    Close(u8),
    /// It brings what is no frame.
    Garbage(u8),
    /// It brings a frame.
    Say(u8, Speech),
    /// It brings a message.
    Tell(u8, Numbering, Matter),
    /// It brings a frame that suffered on its way.
    Damaged(u8, Speech, Damage),
    /// It brings a message that suffered on its way.
    Distorted(u8, Numbering, Matter, Damage),
    /// Milliseconds pass, and the server is ticked whenever it asks to be.
    Sleep(u16),
    /// Seconds pass, and nobody looks.
    Suspend(u8),
    /// A change of the records is answered.
    Answer(u8, Reply),
    /// All changes that are under way are made.
    AnswerAll,
    /// The server says what it has to say.
    Flush,
    /// A tick that nobody asked for.
    Tick,
    /// The server dies, and another begins.
    Die,
    /// The server is stopped, and another takes over.
    HandOver,
}

/// What comes of a change of the records.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Reply {
    /// It is made.
    Made,
    /// It is made, and whether it was is not known.
    Lost,
    /// It is not made, for the disk is full.
    Full,
    /// It is not made, and whether it was is not known.
    LostUnmade,
}

/// A frame of a stranger.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Speech {
    /// A greeting.
    Hello {
        /// Which of its principal's clients it is.
        instance: u8,
        /// Its session.
        incarnation: Figure,
        /// The term that it knows.
        term: Figure,
        /// How far it is done.
        done: Figure,
        /// Which greeting this is.
        attempt: u8,
        /// Whether it only wants to leave.
        is_leaving: bool,
        /// Its versions, its service.
        about: Figure,
    },
    /// How far it is done.
    Report(Figure),
    /// Is anybody there?
    Ping(u64),
    /// Yes.
    Pong(u64),
    /// It leaves.
    Farewell,
    /// What a server says, and no client.
    Goodbye,
    /// Likewise.
    Welcome,
}

/// What a message says.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Matter {
    /// A lock is wanted.
    Acquire(Span, Step),
    /// One of those that were asked back comes down, or any.
    Ceded(Pick, Step),
    /// A lock is given back.
    Release(Pick, Step),
    /// A part of what was held and wanted: locks from this one on.
    Snapshot {
        /// The first lock.
        from: u8,
        /// How many are held, and as what.
        held: (u8, u8),
        /// How many are wanted, and as what.
        wanted: (u8, u8),
        /// The term of their grants.
        term: Figure,
        /// Whether it is the last part.
        is_last: bool,
    },
    /// What a server says, and no client.
    Revoke,
    /// Nothing that makes sense.
    Noise(u64),
}

/// Some keys.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Span {
    /// One of the locks that clients agree on.
    Lock(u8),
    /// Any others, which may overlap them.
    Any(u8, u8),
}

/// From one mode to another.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Step {
    /// As a client that keeps to the protocol would say.
    Right(u8),
    /// Any.
    Any(u8, u8),
}

/// A grant.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Pick {
    /// One that the server spoke of.
    Told(u8),
    /// One that it may never have given.
    Any(u8, Figure),
}
