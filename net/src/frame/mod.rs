//! What travels on a connection: a greeting first, then numbered messages, reports, and signs of life.
//!
//! Every frame begins with its length, so a stream of bytes falls into frames without looking into them: see
//! [`frame_len`]. On whose behalf somebody greets was proved before, by the connection; no frame says it.

mod decode;
mod encode;
mod layout;
mod malformed;

use std::time::Duration;

use tidelock_format::{Fsid, Incarnation, Term};

pub use decode::frame_len;
pub use malformed::FrameError;

use crate::{Hello, Number};

/// The version of frames that is spoken here.
pub const VERSION: u8 = 1;

/// Bytes of the longest frame: a message of 64 KiB, and what stands before it.
pub const FRAME_BYTES_MAX: usize = (64 << 10) + 24;

/// Bytes that the first frame of a connection may have: whoever has not greeted gets no memory.
pub const HELLO_BYTES_MAX: usize = 256;

/// One frame. `'a` are the bytes of a message in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Frame<'a> {
    /// The client comes. The first frame of every connection.
    Hello {
        /// Who it means, and which session it has.
        hello: Hello,
        /// How far it is done with the server's messages.
        done: Number,
        /// Drawn anew for each session that the client opens, so that a greeting which is sent again opens no second one.
        attempt: u128,
    },
    /// What became of the greeting. The server's first frame.
    Welcome(Welcome),
    /// A message of the session.
    Message {
        /// Its number.
        number: Number,
        /// How far whoever sends it is done with the other's messages.
        done: Number,
        /// What it says.
        content: &'a [u8],
    },
    /// How far whoever sends it is done with the other's messages.
    Report(Number),
    /// Is anybody there?
    Ping(u64),
    /// Yes: the number of the ping.
    Pong(u64),
    /// The client leaves, and has given up everything.
    Farewell,
    /// The client has left: nothing of it remains.
    Goodbye,
}

/// What became of a greeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Welcome {
    /// Which service this is.
    pub service: Fsid,
    /// Its term.
    pub term: Term,
    /// The outcome.
    pub verdict: Verdict,
}

/// The outcome of a greeting as it is told to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// A new session.
    New {
        /// Its incarnation.
        incarnation: Incarnation,
        /// How long the client may use its locks after a sign of life, in whole milliseconds on the wire.
        lease: Duration,
    },
    /// The session goes on.
    Resumed {
        /// How far the server is done with the client's messages.
        done: Number,
        /// As above.
        lease: Duration,
    },
    /// The session goes on under a new server, which has seen none of its messages.
    Recover {
        /// As above.
        lease: Duration,
    },
    /// The session is over.
    Expelled {
        /// Up to which incarnation.
        upto: Incarnation,
    },
    /// The versions that the service speaks, oldest and newest; or it is another service, or of an older term, as
    /// [`Welcome`] says; or that session was never opened.
    Mismatch {
        /// The versions.
        versions: (u8, u8),
    },
    /// Try again after this time, in whole milliseconds on the wire.
    Busy(Duration),
    /// There is nothing left of the client.
    Left,
}
