//! What clients and the server say to each other about locks.
//!
//! For one client and one lock there is at most one [`Acquire`] without an answer, and at most one [`Revoke`] without an
//! answer (K3). A lock is named by the first key of its range; whole ranges travel where the other side may not know
//! the lock yet.
//!
//! ```text
//!   client                      server                  another client
//!     | Acquire, null to read      |                           |
//!     |--------------------------->| Revoke, write to read     |
//!     |                            |-------------------------->|
//!     |                            |     Ceded, write to read  |
//!     |   Granted, null to read    |<--------------------------|
//!     |<---------------------------|                           |
//!     | Release, read to null      |                           |
//!     |--------------------------->| (no answer)               |
//! ```

use tidelock_format::{FenceEpoch, Incarnation, Key, KeyRange, Term, Token};

use crate::{Change, Mode};

/// What every message says besides its matter. A message of another incarnation or another term than the receiver's is about
/// a state that is gone: it is dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Envelope {
    /// The client's session.
    pub incarnation: Incarnation,
    /// The server's term.
    pub term: Term,
    /// From a server: the fencing that the client must have heard of before it does I/O under a lock. From a client: what it
    /// has heard of.
    pub barrier: FenceEpoch,
}

/// A client wants a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Acquire {
    /// What it is to cover.
    pub range: KeyRange,
    /// What the client holds, and what it wants.
    pub change: Change,
}

/// The server gives a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Granted {
    /// What it covers.
    pub range: KeyRange,
    /// What the client held before as far as the server knows, and what it holds from now on.
    pub change: Change,
    /// This grant's rank among all.
    pub token: Token,
}

/// The server does not give a lock, and will not give this one later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Refused {
    /// The first key of the lock.
    pub start: Key,
    /// What was wanted.
    pub wanted: Mode,
    /// Why not.
    pub reason: Reason,
}

/// Why a lock is not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Reason {
    /// Its range shares keys with a lock that has another range: the clients disagree about what locks there are.
    Overlaps = 1,
    /// It would do nothing: `Null` is not acquired, and what a client holds it does not ask for again.
    Pointless = 2,
    /// The client has as many locks as one client may have.
    TooMany = 3,
    /// The client still waits for an answer about this lock.
    Busy = 4,
}

/// One grant comes down: what [`Revoke`](ToClient::Revoke), [`Ceded`](ToServer::Ceded) and
/// [`Release`](ToServer::Release) have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Descent {
    /// The first key of the lock.
    pub start: Key,
    /// Which grant is meant.
    pub token: Token,
    /// From what to what. An answer repeats what was asked, whatever the client's state is by then.
    pub change: Change,
}

/// A part of what a client held and wanted under the last server, for the next.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Snapshot {
    /// In order of their first keys, and behind those of the parts before. A lock that is being invalidated counts as what it
    /// was before.
    pub held: Vec<Held>,
    /// Wants without an answer, likewise in order.
    pub wanted: Vec<Acquire>,
    /// Whether this is the last part.
    pub is_last: bool,
}

/// A lock that a client held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Held {
    /// What it covers.
    pub range: KeyRange,
    /// As what.
    pub mode: Mode,
    /// The grant.
    pub token: Token,
}

/// The server knows nothing of a grant that a client says it had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lost {
    /// The first key of the lock.
    pub start: Key,
    /// The grant that is void.
    pub token: Token,
}

/// From a client to the server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ToServer {
    /// It wants a lock.
    Acquire(Acquire),
    /// It has come down as it was told to.
    Ceded(Descent),
    /// It has come down by itself. No answer; without effect if the grant is being revoked anyway.
    Release(Descent),
    /// It tells a new server what there was.
    Snapshot(Snapshot),
}

/// From the server to a client.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ToClient {
    /// Here is a lock.
    Granted(Granted),
    /// No.
    Refused(Refused),
    /// Somebody else wants it: come down.
    Revoke(Descent),
    /// A part of a snapshot was taken in: the locks up to this key need not be told again.
    SnapshotTaken(Key),
    /// The client does not have this, whatever it believes: somebody else may. What it has cached under the lock is void, and
    /// what it has not written yet must not be written. No answer.
    Lost(Lost),
}
