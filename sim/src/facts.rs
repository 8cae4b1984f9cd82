//! What properties are shown: things that happened, and how everything stood at that moment.

use std::collections::BTreeMap;
use std::time::Duration;

use tidelock_authority::{AuthorityError, Change, Outcome};
use tidelock_format::{ClientId, Incarnation, Term, Token};
use tidelock_lock_client::Phase;
use tidelock_lock_proto::{Envelope, Mode, ToClient, ToServer};
use tidelock_lock_server::{Notice, Party, Server, StopReason};

use crate::clock::{LocalClock, Time};
use crate::properties::Call;

/// A lock, by its place among those of the run.
pub(crate) type LockNo = usize;

/// Something that happened.
pub(crate) enum Fact<'f> {
    /// Something was done at this client.
    Client(usize),
    /// A server says this for the first time.
    Said { to: usize, number: u64, envelope: Envelope, message: &'f ToClient },
    /// It has reached its client for the first time, and the client has dealt with it.
    Reached { client: usize, number: u64, envelope: Envelope, message: &'f ToClient },
    /// A client says this for the first time.
    Asked { client: usize, envelope: Envelope, message: &'f ToServer },
    /// A change of the records was tried.
    Changed { term: Term, change: &'f Change, result: &'f Result<Outcome, AuthorityError> },
    /// A server tells people something.
    Noticed(&'f Notice),
    /// A server has stopped by itself.
    Stopped { term: Term, reason: &'f StopReason },
    /// A client wants something of the world: a connection, or something written to one.
    Wanted { client: usize },
    /// An embedder looks into its cache, under a lock whose refresh generation is this.
    Looked { client: usize, lock: LockNo, refresh: u64 },
    /// A register was read or written.
    Called(&'f Call),
    /// A user's operation began.
    Began,
    /// It ended, one way or the other.
    Ended,
    /// It ended with its process.
    Died,
    /// Nothing goes wrong any more, and time has passed.
    Settled { waiting: &'f [String] },
    /// Everybody has left, and time has passed.
    Over { remains: &'f [String], operations: u64 },
}

/// What one client holds of one lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hold {
    pub(crate) lock: LockNo,
    pub(crate) held: Mode,
    pub(crate) usable: Mode,
    pub(crate) token: Token,
    pub(crate) asked: Option<Mode>,
    pub(crate) waiters: usize,
    pub(crate) phase: Phase,
    /// Who uses it: for reading, for writing.
    pub(crate) users: (u64, u64),
}

/// One client's process as it was when something was done there last.
#[derive(Clone, Debug)]
pub(crate) struct ClientView {
    pub(crate) id: ClientId,
    /// The session that it was told of last.
    pub(crate) incarnation: Incarnation,
    pub(crate) term: Term,
    /// Whether there is such a process.
    pub(crate) is_alive: bool,
    pub(crate) clock: LocalClock,
    /// By its clock; `None` without a session.
    pub(crate) lease_ends: Option<Duration>,
    pub(crate) holds: Vec<Hold>,
    /// What its embedder has cached, with the refresh generation that it was cached under.
    pub(crate) cached: Vec<Option<u64>>,
    /// Accusations that it has made.
    pub(crate) accusations: u64,
    /// Why it will never talk to its service again.
    pub(crate) mismatch: bool,
    /// Whether it has come to its end.
    pub(crate) is_over: bool,
}

impl ClientView {
    /// Whether it may use what it holds, as far as it knows.
    pub(crate) fn has_lease(&self, now: Time) -> bool {
        self.is_alive && self.lease_ends.is_some_and(|ends| self.clock.show(now) < ends)
    }

    pub(crate) fn hold(&self, lock: LockNo) -> Option<&Hold> {
        self.holds.iter().find(|hold| hold.lock == lock)
    }

    /// As what it believes to hold this lock. One that comes down counts as before.
    pub(crate) fn believes(&self, lock: LockNo, now: Time) -> Mode {
        if !self.has_lease(now) {
            return Mode::Null;
        }
        self.hold(lock).map_or(Mode::Null, |hold| hold.held)
    }

    pub(crate) fn is(&self, party: Party) -> bool {
        self.id == party.client && self.incarnation == party.incarnation
    }
}

/// One client's record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordView {
    pub(crate) incarnation: Incarnation,
    pub(crate) fenced_to: Incarnation,
}

/// How everything stands.
pub(crate) struct Scene<'s> {
    pub(crate) now: Time,
    pub(crate) clients: &'s [ClientView],
    /// Every server process that leads, or believes so.
    pub(crate) servers: &'s [Option<&'s Server>],
    pub(crate) newest_term: Term,
    pub(crate) records: &'s BTreeMap<ClientId, RecordView>,
}

impl<'s> Scene<'s> {
    /// The server of this term, if it is there.
    pub(crate) fn server(&self, term: Term) -> Option<&'s Server> {
        self.servers.iter().flatten().copied().find(|server| server.term() == term)
    }
}
