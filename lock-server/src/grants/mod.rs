//! Who holds which lock, who waits for it, and who has to make way.
//!
//! A lock exists while somebody holds or wants it. Wants are served in the order in which they came, and neighbours that can
//! share are granted together; so a reader that comes behind a waiting writer waits too, and nobody starves. Whoever is in
//! the way of the first want is told to come down, and until the last of them has, nothing happens.
//!
//! What is decided here rests on these, and [`Grants::check`] looks at them:
//!
//! - **K1** No two clients hold incompatible modes of one lock. A client that was told to come down holds its old mode until it
//!   says that it has.
//! - **K2** A want is granted only when nobody is coming down and every holder is compatible with it.
//! - **K3** A client has at most one want for a lock, and one grant of it, which is told to come down at most once.
//! - **K4** For one client and lock, what is answered is in the order in which it was decided; whoever carries the answers has
//!   to keep it.
//! - **K5** Before [`Grants::open`] nothing is granted: clients that held locks under the last server may not have said so yet.
//! - **K6** Where nobody is coming down, nobody waits: progress never depends on somebody remembering to look again.
//! - **K7** Tokens only rise.
//! - **K8** Two locks never share a key.

mod amend;
mod clerk;
mod error;
mod lock;
mod shares;
mod table;
mod view;

#[cfg(test)]
pub(crate) mod tests;

use std::hash::{Hash, Hasher};
use std::time::Duration;

use tidelock_format::{ClientId, GrantSeq, Key, KeyRange, Term};
use tidelock_lock_proto::{Acquire, Descent, Held, Mode, Reason, Refused, ToClient, ToServer};

pub use error::{RestoreError, Violation};
pub use view::{Holder, LockView, Waiter};

use self::clerk::Clerk;
use self::lock::{Grant, Want};
use self::shares::Shares;
use self::table::Table;

/// An answer, and whom it is for.
pub type Answer = (ClientId, ToClient);

/// What one client may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Locks that one client may hold and want, together.
    pub locks_per_client_max: usize,
}

impl Limits {
    /// A million locks for each client.
    pub const DEFAULT: Self = Self { locks_per_client_max: 1 << 20 };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The locks of one server in one term.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grants {
    clerk: Clerk,
    limits: Limits,
    locks: Table,
    shares: Shares,
}

/// What tells two states apart, for whoever goes through all of them: the shares follow from the rest.
impl Hash for Grants {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.clerk, self.limits, &self.locks).hash(state);
    }
}

impl Grants {
    /// No locks yet, and open: nobody held any under an earlier server.
    pub fn new(term: Term, limits: Limits) -> Self {
        let mut grants = Self::recovering(term, limits);
        grants.clerk.is_open = true;
        grants
    }

    /// No locks yet, and closed (K5): clients are to say first what they held.
    pub fn recovering(term: Term, limits: Limits) -> Self {
        let clerk = Clerk { term, seq: GrantSeq(0), is_open: false };
        Self { clerk, limits, locks: Table::default(), shares: Shares::default() }
    }

    /// Takes a message of `client`, whose session has been checked, and appends what is to be sent to `answers`, in this order.
    /// `now` is the time since the server began, for whoever asks how long somebody has waited.
    ///
    /// A [`ToServer::Snapshot`] is not taken here: its locks are [restored](Self::restore) and its wants acquired, by
    /// whoever conducts the recovery.
    ///
    /// # Errors
    /// If the client does not follow the protocol. Nothing has changed then.
    pub fn step(
        &mut self,
        client: ClientId,
        message: ToServer,
        now: Duration,
        answers: &mut Vec<Answer>,
    ) -> Result<(), Violation> {
        match message {
            ToServer::Acquire(acquire) => self.acquire(client, acquire, now, answers),
            ToServer::Ceded(descent) => self.ceded(client, descent, now, answers)?,
            ToServer::Release(descent) => self.release(client, descent, now, answers)?,
            _ => return Err(Violation::OutOfPlace),
        }
        Ok(())
    }

    /// A client wants a lock.
    fn acquire(&mut self, client: ClientId, acquire: Acquire, now: Duration, answers: &mut Vec<Answer>) {
        let (range, wanted) = (acquire.range, acquire.change.to);
        let start = range.start();
        if let Err(reason) = self.admit(client, &range, wanted) {
            answers.push((client, ToClient::Refused(Refused { start, wanted, reason })));
            return;
        }
        let lock = self.locks.get_or_insert(range);
        if !lock.concerns(client) {
            self.shares.add(client, start);
        }
        self.clerk.queue(lock, Want { client, mode: wanted, since: now }, now, answers);
    }

    fn admit(&self, client: ClientId, range: &KeyRange, wanted: Mode) -> Result<(), Reason> {
        if wanted == Mode::Null {
            return Err(Reason::Pointless);
        }
        let Some(lock) = self.locks.overlapping(range) else {
            return self.admit_share(client);
        };
        if lock.range != *range {
            return Err(Reason::Overlaps);
        }
        if lock.is_wanted_by(client) {
            return Err(Reason::Busy);
        }
        match lock.grant_of(client) {
            Some(grant) if grant.mode.satisfies(wanted) && grant.descends_to.is_none() => {
                Err(Reason::Pointless)
            }
            Some(_) => Ok(()),
            None => self.admit_share(client),
        }
    }

    fn admit_share(&self, client: ClientId) -> Result<(), Reason> {
        let is_room = self.shares.count(client) < self.limits.locks_per_client_max;
        if is_room { Ok(()) } else { Err(Reason::TooMany) }
    }

    /// A client has come down as it was told to.
    fn ceded(
        &mut self,
        client: ClientId,
        descent: Descent,
        now: Duration,
        answers: &mut Vec<Answer>,
    ) -> Result<(), Violation> {
        let Descent { start, token, change } = descent;
        let unasked = Violation::Unasked { start, token };
        let lock = self.locks.get_mut(&start).ok_or(unasked)?;
        let grant = lock.grant_of_mut(client).filter(|grant| grant.token == token).ok_or(unasked)?;
        if grant.descends_to != Some(change.to) || grant.mode != change.from {
            return Err(unasked);
        }
        grant.mode = change.to;
        grant.descends_to = None;
        self.settle(client, start, now, answers);
        Ok(())
    }

    /// A client has come down by itself. That a grant is told to come down already, or gone, is a matter of timing, and the
    /// message is without effect then.
    fn release(
        &mut self,
        client: ClientId,
        descent: Descent,
        now: Duration,
        answers: &mut Vec<Answer>,
    ) -> Result<(), Violation> {
        let Descent { start, token, change } = descent;
        if change.to == change.from || !(change.to == Mode::Null || change.from.satisfies(change.to)) {
            return Err(Violation::NoDescent { start, change });
        }
        let grant = self.locks.get_mut(&start).and_then(|lock| lock.grant_of_mut(client));
        let Some(grant) = grant.filter(|grant| grant.token == token && grant.descends_to.is_none()) else {
            return Ok(());
        };
        if grant.mode != change.from {
            return Err(Violation::NoDescent { start, change });
        }
        grant.mode = change.to;
        self.settle(client, start, now, answers);
        Ok(())
    }

    /// A client is gone: it has said farewell, or it was expelled and can do no more harm. Takes up to `most` locks from it, and
    /// tells whether that was all; if not, this is to be called again. May be called for whoever has nothing.
    pub fn depart(
        &mut self,
        client: ClientId,
        most: usize,
        now: Duration,
        answers: &mut Vec<Answer>,
    ) -> bool {
        for _ in 0..most {
            let Some(start) = self.shares.any(client) else { return true };
            let lock = self.locks.get_mut(&start).expect("who has a share of a lock stands in it");
            lock.grants.retain(|grant| grant.client != client);
            lock.wants.retain(|want| want.client != client);
            self.settle(client, start, now, answers);
        }
        self.shares.any(client).is_none()
    }

    /// Enters a lock that `client` held under an earlier server.
    ///
    /// # Errors
    /// If it cannot be so. Then the client keeps what was restored before, and has lost this one.
    pub fn restore(&mut self, client: ClientId, held: Held, now: Duration) -> Result<(), RestoreError> {
        let Held { range, mode, token } = held;
        let start = range.start();
        if self.clerk.is_open {
            return Err(RestoreError::TooLate { start });
        }
        if mode == Mode::Null || token.term >= self.clerk.term {
            return Err(RestoreError::NeverGranted { start, mode, token });
        }
        if let Some(lock) = self.locks.overlapping(&range) {
            if lock.range != range {
                return Err(RestoreError::Overlaps { start, other: lock.range.start() });
            }
            if let Some(holder) = lock.conflicting(client, mode) {
                return Err(RestoreError::Conflict { start, mode, holder });
            }
        }
        self.shares.add(client, start);
        let lock = self.locks.get_or_insert(range);
        lock.grants.push(Grant { client, mode, token, descends_to: None, since: now });
        Ok(())
    }

    /// Ends K5: all who may have held locks have said so, or are gone. Serves everybody who has waited.
    pub fn open(&mut self, now: Duration, answers: &mut Vec<Answer>) {
        self.clerk.is_open = true;
        self.locks.for_each_mut(|lock| self.clerk.serve(lock, now, answers));
    }

    /// Whether locks are granted.
    pub fn is_open(&self) -> bool {
        self.clerk.is_open
    }

    /// Locks that somebody holds or wants.
    pub fn len(&self) -> usize {
        self.locks.len()
    }

    /// Whether nobody holds or wants anything.
    pub fn is_empty(&self) -> bool {
        self.locks.len() == 0
    }

    /// After something of `client` has come down: forgets what is nothing any more, and serves who waited for it.
    fn settle(&mut self, client: ClientId, start: Key, now: Duration, answers: &mut Vec<Answer>) {
        let lock = self.locks.get_mut(&start).expect("it was there just now");
        lock.grants.retain(|grant| grant.mode != Mode::Null);
        if !lock.concerns(client) {
            self.shares.remove(client, &start);
        }
        self.clerk.serve(lock, now, answers);
        if lock.is_idle() {
            self.locks.remove_idle(&start);
        }
    }

    /// Every lock from the one that begins at `from` on, in order of their first keys.
    pub fn locks_from(&self, from: Key) -> impl Iterator<Item = LockView<'_>> {
        self.locks.from(from).map(LockView::new)
    }

    /// Looks whether everything that this machine rests on holds: for tests and simulations.
    ///
    /// # Panics
    /// If it does not, naming the invariant.
    pub fn check(&self) {
        let mut shares = Shares::default();
        let mut last: Option<KeyRange> = None;
        for lock in self.locks.from(Key::MIN) {
            let start = lock.range.start();
            assert!(last.is_none_or(|last| last.end() < start), "K8: locks share no key");
            last = Some(lock.range);
            lock.check();
            let is_served = lock.wants.is_empty() || lock.is_descending();
            assert!(is_served || !self.clerk.is_open, "K6: somebody waits for nobody");
            let is_past = |grant: &Grant| grant.token <= self.clerk.newest();
            assert!(lock.grants.iter().all(is_past), "K7: a token from the future");
            lock.clients().into_iter().for_each(|client| shares.add(client, start));
        }
        assert_eq!(shares, self.shares, "every client's share is what it holds and wants");
    }
}
