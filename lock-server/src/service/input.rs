//! What happens to a server, and what it wants done about it.

use std::fmt;

use tidelock_authority::{AuthorityError, Change, Outcome};
use tidelock_format::{ClientId, Incarnation};
use tidelock_lock_proto::Malformed;
use tidelock_net::{Frame, Mismatch, Principal, StreamViolation};

use crate::{RestoreError, Violation};

/// One connection to the server: numbered by whoever drives it, and never twice the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Connection(pub u64);

/// One change of the records, from when it is asked for until it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub(super) u64);

/// Something that happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Input<'a> {
    /// A connection was made, and its handshake is over.
    Opened {
        /// Its number.
        connection: Connection,
        /// What it proved about who is at its other end.
        principal: Principal,
        /// Where it comes from, for people. The record keeps it.
        label: String,
    },
    /// A frame came in.
    Heard {
        /// From where.
        connection: Connection,
        /// What.
        frame: Frame<'a>,
    },
    /// Something came in that is no frame, or one that is too long.
    Garbage {
        /// From where.
        connection: Connection,
    },
    /// A connection is gone, whoever closed it.
    Closed {
        /// Which.
        connection: Connection,
    },
    /// A change of the records was made, or not.
    Applied {
        /// Which.
        ticket: Ticket,
        /// What came of it.
        result: Result<Outcome, AuthorityError>,
    },
    /// Time has passed: see [`Server::next_tick`](super::Server::next_tick).
    Tick,
    /// The server is to stop, and another is to take over: nothing is decided any more. When all changes under way are
    /// answered, [`Server::flush`](super::Server::flush) says [`StopReason::Asked`].
    Stop,
}

/// Something to be done. Those of one call are in order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Effect {
    /// Write these bytes, which are whole frames. A connection that is gone by then is passed over.
    Write(Connection, Vec<u8>),
    /// Close the connection, when what was written to it has gone out. Nothing more is wanted from it.
    Close(Connection),
    /// Have the authority make this change, and answer with [`Input::Applied`]. For one client there is never more than
    /// one, so the order in which they are made does not matter.
    Apply(Ticket, Change),
    /// Something that people may want to know.
    Notice(Notice),
    /// The server has stopped: close every connection. Nothing is written any more, and nothing it is told has an effect.
    Stop(StopReason),
}

/// Why a server stops.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StopReason {
    /// It was asked to: see [`Server::hand_over`](super::Server::hand_over).
    #[error("it was asked to stop")]
    Asked,
    /// Another server leads, or this one does no longer.
    #[error("it leads no longer: {0}")]
    Deposed(AuthorityError),
    /// The records cannot be changed, and have not been for longer than its patience.
    #[error("the records cannot be changed: {0}")]
    Records(AuthorityError),
}

/// Something that people may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// A session is expelled.
    Expelled {
        /// Whose.
        client: ClientId,
        /// Which.
        incarnation: Incarnation,
        /// Why.
        why: Expulsion,
    },
    /// A client cannot be talked to.
    Mismatch {
        /// Who.
        client: ClientId,
        /// Why not.
        mismatch: Mismatch,
    },
    /// A client told of a lock that it does not have.
    Lost {
        /// Who.
        client: ClientId,
        /// Which, and why it does not; `None` if a table that was handed over does not have it.
        why: Option<RestoreError>,
    },
    /// A change of the records failed, and will be tried again.
    Failed(AuthorityError),
    /// The recovery is over, and locks are granted.
    Recovered,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::Expelled { client, incarnation, why } => {
                write!(f, "session {incarnation} of client {client} is expelled: {why}")
            }
            Notice::Mismatch { client, mismatch } => {
                write!(f, "client {client} cannot be talked to: {mismatch}")
            }
            Notice::Lost { client, why: Some(why) } => write!(f, "client {client} lost a lock: {why}"),
            Notice::Lost { client, why: None } => {
                write!(f, "client {client} lost a lock: the server before did not know that it had it")
            }
            Notice::Failed(error) => write!(f, "a record could not be changed, and is tried again: {error}"),
            Notice::Recovered => write!(f, "the recovery is over"),
        }
    }
}

/// Why a session is expelled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Expulsion {
    /// Its client was silent until its lease was over.
    #[error("it was silent for longer than its lease")]
    Silent,
    /// Its client did not come to the recovery, or did not finish.
    #[error("it did not come back to tell what it held")]
    Missing,
    /// It was opened during a recovery that was not finished: it holds nothing, and may not reclaim.
    #[error("it was opened in a recovery that was broken off")]
    BrokenOff,
    /// The records say that it may not reclaim.
    #[error("it may not reclaim what it held: {0}")]
    NotListed(AuthorityError),
    /// Its client does not follow the protocol.
    #[error("it does not follow the protocol: {0}")]
    Offence(#[from] Offence),
    /// An earlier server expelled it.
    #[error("{0}")]
    Before(String),
}

/// What a client did that the protocol does not allow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Offence {
    /// Messages out of order.
    #[error(transparent)]
    Stream(#[from] StreamViolation),
    /// Bytes that are no message.
    #[error(transparent)]
    Message(#[from] Malformed),
    /// A message about a lock that cannot be.
    #[error(transparent)]
    Locks(#[from] Violation),
    /// A frame that has no place in a session.
    #[error("a frame that has no place in a session")]
    Frame,
}
