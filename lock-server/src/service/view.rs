//! What people, drivers and tests look at.

use std::collections::BTreeSet;
use std::time::Duration;

use tidelock_format::{ClientId, FenceEpoch, Incarnation, Key, KeyRange, Term, Token};
use tidelock_lock_proto::Mode;

use super::changes::Purpose;
use super::session::{Cause, Session, Stage, Step};
use super::{Connection, Counters, Seat, Server};

/// What a server is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It asks the clients of the last server what they hold, and grants nothing.
    Recovering,
    /// It grants.
    Serving,
    /// It was asked to stop, and decides nothing any more.
    Stopping,
    /// It has stopped.
    Stopped,
}

/// A recovery as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraceView {
    /// What the server is at.
    pub phase: Phase,
    /// Whom it waits for, and what for.
    pub missing: Vec<Missing>,
    /// When those who have not come are not waited for any longer. On the clock of the steps; `None` when it is over.
    pub deadline: Option<Duration>,
}

/// A session that a recovery waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Which.
    pub party: Party,
    /// How it stands.
    pub standing: Standing,
}

/// A client in one of its lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Party {
    /// The client.
    pub client: ClientId,
    /// Its session.
    pub incarnation: Incarnation,
}

/// How a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Standing {
    /// It is of an earlier term, and its client has not come.
    Unheard,
    /// Its client came as when it was opened, and has said nothing since.
    Doubted,
    /// It tells what it held.
    Telling,
    /// It has told all, which is not durable yet.
    Told,
    /// It is in use.
    Live,
    /// Its client said farewell.
    Leaving,
    /// It is expelled, and its lease may not be over.
    Expelled,
    /// Its client opened another, and its lease may not be over.
    Superseded,
    /// Its lease is over, and what it held is taken back.
    TakenBack,
}

/// One session as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionView {
    /// Whose, and which.
    pub party: Party,
    /// Where it came from last, for people.
    pub label: String,
    /// How it stands.
    pub standing: Standing,
    /// Its connection, if it has one.
    pub connection: Option<Connection>,
    /// Since when this server knows of it.
    pub since: Duration,
    /// When it was heard last; for a session of an earlier term that has not come, when this server began.
    pub heard: Option<Duration>,
    /// Locks that it holds or wants.
    pub locks: usize,
    /// Messages that its client is not done with.
    pub waiting: usize,
}

/// One lock as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockEntry {
    /// What it covers.
    pub range: KeyRange,
    /// Who holds it.
    pub holders: Vec<LockHolder>,
    /// Who waits for it, first come first.
    pub waiters: Vec<LockWaiter>,
}

/// Who holds a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockHolder {
    /// Who.
    pub party: Party,
    /// As what.
    pub mode: Mode,
    /// The grant.
    pub token: Token,
    /// What it was told to come down to, until it has.
    pub descends_to: Option<Mode>,
    /// Since when.
    pub since: Duration,
}

/// Who waits for a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockWaiter {
    /// Who.
    pub party: Party,
    /// What it wants.
    pub mode: Mode,
    /// Since when.
    pub since: Duration,
    /// Whom it waits for.
    pub behind: Vec<Party>,
}

impl From<&Session> for Standing {
    fn from(session: &Session) -> Self {
        match &session.stage {
            Stage::Unheard => Standing::Unheard,
            Stage::Doubted => Standing::Doubted,
            Stage::Telling => Standing::Telling,
            Stage::Told => Standing::Told,
            Stage::Live => Standing::Live,
            Stage::Ending(ending) => match ending.cause {
                Cause::Farewell => Standing::Leaving,
                _ if ending.step > Step::Fence => Standing::TakenBack,
                Cause::Expelled(_) => Standing::Expelled,
                Cause::Superseded => Standing::Superseded,
            },
        }
    }
}

impl Server {
    /// Its term.
    pub fn term(&self) -> Term {
        self.term
    }

    /// What it is at.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// The fence epoch that what it says carries.
    pub fn barrier(&self) -> FenceEpoch {
        self.fence
    }

    /// What it has done.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Changes of records that it waits for.
    pub fn changes_pending(&self) -> usize {
        self.changes.len()
    }

    /// Tombstones that it remembers.
    pub fn tombstones(&self) -> usize {
        self.tombs.len()
    }

    /// Connections that are open, and those among them that have not greeted.
    pub fn connections(&self) -> (usize, usize) {
        (self.links.len(), self.links.strangers())
    }

    /// The recovery.
    pub fn grace(&self) -> GraceView {
        let missing = self.missing.iter().filter_map(|seat| {
            let session = self.sessions.get(*seat)?;
            Some(Missing { party: self.party(*seat), standing: session.into() })
        });
        let deadline = (self.phase == Phase::Recovering).then(|| self.grace_ends());
        GraceView { phase: self.phase, missing: missing.collect(), deadline }
    }

    /// Every session.
    pub fn sessions(&self) -> impl Iterator<Item = SessionView> {
        self.sessions.iter().map(|(seat, session)| SessionView {
            party: self.party(seat),
            label: session.label.clone(),
            standing: session.into(),
            connection: session.link,
            since: session.since,
            heard: session.heard,
            locks: self.grants.share(seat.holder()),
            waiting: session.talk.waiting(),
        })
    }

    /// Every lock that somebody holds or wants, from the one that begins at `from` on, in order of their first keys.
    pub fn locks_from(&self, from: Key) -> impl Iterator<Item = LockEntry> {
        self.grants.locks_from(from).map(|lock| LockEntry {
            range: lock.range(),
            holders: lock.holders().map(|holder| self.holder(holder)).collect(),
            waiters: lock.waiters().map(|waiter| self.waiter(waiter)).collect(),
        })
    }

    /// Locks that somebody holds or wants.
    pub fn locks(&self) -> usize {
        self.grants.len()
    }

    fn holder(&self, holder: crate::Holder) -> LockHolder {
        let crate::Holder { client, mode, token, descends_to, since } = holder;
        LockHolder { party: self.party(Seat::of(client)), mode, token, descends_to, since }
    }

    fn waiter(&self, waiter: crate::Waiter) -> LockWaiter {
        let crate::Waiter { client, mode, since, behind } = waiter;
        let behind = behind.into_iter().map(|client| self.party(Seat::of(client))).collect();
        LockWaiter { party: self.party(Seat::of(client)), mode, since, behind }
    }

    /// # Panics
    /// Y3: if there is no such session.
    pub(super) fn party(&self, seat: Seat) -> Party {
        let session = self.sessions.get(seat).expect("Y3: who holds or wants a lock is a session in memory");
        Party { client: session.client, incarnation: session.incarnation }
    }

    /// Looks whether everything that this machine rests on holds: for tests and simulations. It looks at every session and
    /// every lock.
    ///
    /// # Panics
    /// If it does not, naming the invariant.
    pub fn check(&self) {
        self.grants.check();
        assert!(self.missing.is_empty() || !self.grants.is_open(), "K5: granted, and somebody is missing");
        for lock in self.grants.locks_from(Key::MIN) {
            let holders = lock.holders().map(|holder| holder.client);
            // Y3: it panics if there is no such session.
            let waiters = lock.waiters().map(|waiter| waiter.client);
            holders.chain(waiters).for_each(|it| _ = self.party(Seat::of(it)));
        }
        self.sessions.iter().for_each(|(seat, session)| self.check_session(seat, session));
        self.check_lives();
    }

    fn check_session(&self, seat: Seat, session: &Session) {
        let lives = self.clients.get(&session.client).expect("Y1: a session without its client");
        assert!(lives.all().any(|life| life == seat), "Y1: a session that its client does not have");
        let is_present = lives.present == Some(seat);
        assert!(is_present || session.ending().is_some(), "Y1: a session without a record goes on");
        if let Some(ending) = session.ending() {
            assert_eq!(session.talk.backlog(), 0, "Y4: something is told in a session that is being ended");
            assert!(
                ending.step != Step::Close || self.grants.share(seat.holder()) == 0,
                "Y1: closed, and holds"
            );
            assert!(
                ending.step != Step::Lease || ending.cause != Cause::Farewell,
                "Y2: who said farewell has no lease"
            );
        }
        let bound = self.config.quotas.waiting_max + 2 * self.grants.share(seat.holder());
        let surplus = 2 * tidelock_lock_proto::ENTRIES_MAX + 2;
        assert!(session.talk.backlog() <= bound + surplus, "Y8: {} messages wait", session.talk.backlog());
    }

    fn check_lives(&self) {
        for (client, lives) in &self.clients {
            let incarnations: Vec<Incarnation> = lives
                .all()
                .map(|seat| {
                    self.sessions.get(seat).expect("Y1: a client with a session that is gone").incarnation
                })
                .collect();
            assert!(
                incarnations.is_sorted_by(|a, b| a < b),
                "Y5: lives of {client} out of order: {incarnations:?}"
            );
            assert!(
                lives.former.is_empty() || lives.present.is_some(),
                "Y1: a life is left without a record"
            );
        }
        let openings = self.clients.values().filter(|lives| lives.opening.is_some()).count();
        assert_eq!(openings, self.openings, "Y8: greetings that want a session");
        let concerned: Vec<ClientId> =
            self.changes.purposes().filter_map(|it: Purpose| self.client_of(it)).collect();
        let distinct: BTreeSet<ClientId> = concerned.iter().copied().collect();
        assert_eq!(distinct.len(), concerned.len(), "Y6: two changes of one client under way");
    }
}
