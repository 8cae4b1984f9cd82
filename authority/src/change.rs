//! Changes as data: what a [`Leader`](crate::Leader) hands to the seat it sits on, and what comes back.

use std::fmt;

use tidelock_format::{ClientId, FenceEpoch, Incarnation};

use crate::ClientRecord;

/// What a client calls one greeting of its own, in 128 bits drawn at random: a greeting that is sent again carries the same.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationId(pub u128);

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OperationId({self})")
    }
}

/// A client's wish for a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenSession {
    /// The client.
    pub client: ClientId,
    /// Which greeting of the client this is.
    pub operation: OperationId,
    /// Where it came from, or what it calls itself; for people. At most 1024 bytes.
    pub label: String,
    /// The time, in ms since 1970; for people.
    pub now_ms: u64,
}

/// One change. The methods of [`Leader`](crate::Leader) say what each does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// The leader serves clients.
    SetReady,
    /// The leader leads no longer.
    Resign,
    /// A client gets a session.
    OpenSession(OpenSession),
    /// A client said farewell.
    LeaveSession {
        /// The client.
        client: ClientId,
        /// Its session.
        incarnation: Incarnation,
    },
    /// A session is over, and nothing is left of it.
    CloseSession {
        /// The client.
        client: ClientId,
        /// Its session.
        incarnation: Incarnation,
    },
    /// A session is to lose everything.
    Expel {
        /// The client.
        client: ClientId,
        /// Its session.
        incarnation: Incarnation,
        /// Why, for people.
        reason: String,
    },
    /// An expelled session has lost everything.
    Bury {
        /// The client.
        client: ClientId,
        /// Its session.
        incarnation: Incarnation,
        /// Until when its tombstone stands, in ms since 1970.
        expires_ms: u64,
    },
    /// Tombstones that expired by then go.
    SweepTombstones {
        /// The time, in ms since 1970.
        now_ms: u64,
    },
    /// A recovery begins, or begins again.
    BeginGrace,
    /// A client has reclaimed all that it held.
    Reclaimed {
        /// The client.
        client: ClientId,
        /// Its session.
        incarnation: Incarnation,
    },
    /// The recovery is over.
    EndGrace,
    /// A client's incarnations up to this one write no more.
    RaiseFence {
        /// The client.
        client: ClientId,
        /// The last incarnation that is fenced.
        to: Incarnation,
    },
}

/// What a change came to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It is done.
    Done,
    /// [`Change::OpenSession`]: the session.
    Opened(Incarnation),
    /// [`Change::SweepTombstones`]: how many went.
    Swept(u64),
    /// [`Change::BeginGrace`]: who may reclaim, by client.
    Recovering(Vec<ClientRecord>),
    /// [`Change::RaiseFence`]: the fence epoch that covers it.
    Fenced(FenceEpoch),
}
