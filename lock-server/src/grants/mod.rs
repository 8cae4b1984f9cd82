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
mod index;
mod lock;
mod order;
mod rank;
mod shares;
mod slab;
mod table;
mod turn;
mod view;

#[cfg(test)]
pub(crate) mod tests;

use std::hash::{Hash, Hasher};
use std::time::Duration;

use ahash::RandomState;
use tidelock_format::{ClientId, GrantSeq, Key, KeyRange, Term, Token};
use tidelock_lock_proto::{Acquire, Descent, Held, Mode, Reason, Refused, ToClient, ToServer};

pub use error::{RestoreError, Violation};
pub use view::{Holder, LockView, Waiter};

use self::clerk::Clerk;
use self::lock::{Grant, Lock, Want};
use self::shares::{Share, Shares};
use self::slab::Place;
use self::table::{Spot, Table};
use self::turn::Turn;

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
#[derive(Clone, Debug)]
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
        Self { clerk, limits, locks: Table::new(hasher(SEEDS)), shares: Shares::new(hasher(SEEDS)) }
    }

    /// Sets the seeds of the hash by which locks and clients are found, which is the same for everybody without this. Clients
    /// choose keys: a server draws its seeds at random, so that nobody can choose keys that are slow to find. Nothing else
    /// depends on them.
    ///
    /// # Panics
    /// If anybody holds or wants a lock already.
    #[must_use]
    pub fn seeded(mut self, seeds: [u64; 4]) -> Self {
        assert!(self.is_empty(), "seeds are set before the first lock");
        (self.locks, self.shares) = (Table::new(hasher(seeds)), Shares::new(hasher(seeds)));
        self
    }

    /// Makes room for so many more locks at once, for whoever knows how many will be [restored](Self::restore).
    pub(crate) fn reserve(&mut self, more: usize) {
        self.locks.reserve(more);
        self.shares.reserve(more);
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
        let mut turn = Turn { now, answers };
        match message {
            ToServer::Acquire(acquire) => self.acquire(client, acquire, &mut turn),
            ToServer::Ceded(descent) => self.ceded(client, descent, &mut turn)?,
            ToServer::Release(descent) => self.release(client, descent, &mut turn)?,
            _ => return Err(Violation::OutOfPlace),
        }
        Ok(())
    }

    /// A client wants a lock.
    fn acquire(&mut self, client: ClientId, acquire: Acquire, turn: &mut Turn<'_>) {
        let (range, mode) = (acquire.range, acquire.change.to);
        match self.admit(client, &range, mode) {
            Ok((place, share)) => {
                let want = Want { client, mode, since: turn.now.into(), share };
                self.clerk.queue(&mut self.locks[place], want, turn);
            }
            Err(reason) => {
                let refused = Refused { start: range.start(), wanted: mode, reason };
                turn.answer(client, ToClient::Refused(refused));
            }
        }
    }

    /// The lock that a client may want, and its share of it. Makes what is not there yet.
    fn admit(&mut self, client: ClientId, range: &KeyRange, wanted: Mode) -> Result<(Place, Share), Reason> {
        if wanted == Mode::Null {
            return Err(Reason::Pointless);
        }
        let spot = self.locks.find_range(range).map_err(|_| Reason::Overlaps)?;
        if let Spot::Lock(place) = spot {
            let lock = &self.locks[place];
            if lock.want_of(client).is_some() {
                return Err(Reason::Busy);
            }
            if let Some(grant) = lock.grant_of(client) {
                let is_enough = grant.mode.satisfies(wanted) && grant.descends_to.is_none();
                return if is_enough { Err(Reason::Pointless) } else { Ok((place, grant.share)) };
            }
        }
        if self.shares.count(client) >= self.limits.locks_per_client_max {
            return Err(Reason::TooMany);
        }
        let place = self.locks.at(spot, *range);
        Ok((place, self.shares.add(client, place)))
    }

    /// A client has come down as it was told to.
    fn ceded(&mut self, client: ClientId, descent: Descent, turn: &mut Turn<'_>) -> Result<(), Violation> {
        let Descent { start, token, change } = descent;
        let unasked = Violation::Unasked { start, token };
        let (place, of_client) = self.find_grant(client, &start).ok_or(unasked)?;
        let grant = &self.locks[place].grants[of_client];
        if grant.token != token || grant.descends_to != Some(change.to) || grant.mode != change.from {
            return Err(unasked);
        }
        self.come_down(client, place, of_client, change.to, turn);
        Ok(())
    }

    /// A client has come down by itself. That a grant is told to come down already, or gone, is a matter of timing, and the
    /// message is without effect then.
    fn release(&mut self, client: ClientId, descent: Descent, turn: &mut Turn<'_>) -> Result<(), Violation> {
        let Descent { start, token, change } = descent;
        if change.to == change.from || !(change.to == Mode::Null || change.from.satisfies(change.to)) {
            return Err(Violation::NoDescent { start, change });
        }
        let Some((place, of_client)) = self.find_grant(client, &start) else { return Ok(()) };
        let grant = &self.locks[place].grants[of_client];
        if grant.token != token || grant.descends_to.is_some() {
            return Ok(());
        }
        if grant.mode != change.from {
            return Err(Violation::NoDescent { start, change });
        }
        self.come_down(client, place, of_client, change.to, turn);
        Ok(())
    }

    /// What a client holds of the lock that begins at `start`: where the lock is, and which of its grants.
    fn find_grant(&self, client: ClientId, start: &Key) -> Option<(Place, usize)> {
        let place = self.locks.find(start)?;
        Some((place, self.locks[place].place_of(client)?))
    }

    /// One grant of `client` comes down.
    fn come_down(&mut self, client: ClientId, place: Place, of_client: usize, to: Mode, turn: &mut Turn<'_>) {
        if let Some(share) = self.locks[place].come_down(of_client, to) {
            self.shares.remove(client, share);
        }
        self.settle(place, turn);
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
        let mut turn = Turn { now, answers };
        for _ in 0..most {
            let Some((share, place)) = self.shares.last(client) else { return true };
            self.shares.remove(client, share);
            self.locks[place].forget(client);
            self.settle(place, &mut turn);
        }
        self.shares.last(client).is_none()
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
        self.clerk.look_at(start, mode, token)?;
        let spot = self.locks.find_new_range(&range).map_err(|other| {
            let other = self.locks[other].range.start();
            RestoreError::Overlaps { start, other }
        })?;
        if let Spot::Lock(place) = spot
            && let Some(holder) = self.locks[place].conflicting(client, mode)
        {
            return Err(RestoreError::Conflict { start, mode, holder });
        }
        let place = self.locks.at(spot, range);
        let share = self.locks[place].share_of(client);
        let share = share.unwrap_or_else(|| self.shares.add(client, place));
        let grant = Grant { client, mode, token, descends_to: None, since: now.into(), is_told: true, share };
        self.locks[place].grants.push(grant);
        Ok(())
    }

    /// Enters a lock of a table from an earlier server, and all who hold it, as long as they do not say otherwise:
    /// [`reconcile`](Self::reconcile). [`restore`](Self::restore) has to find out where a lock belongs, and who holds it by
    /// then; here locks come in order, and each once.
    ///
    /// # Errors
    /// If it cannot be so. What was entered before is of no use then.
    pub(crate) fn enter(
        &mut self,
        range: KeyRange,
        holders: impl Iterator<Item = (ClientId, Mode, Token)>,
        now: Duration,
    ) -> Result<(), RestoreError> {
        let start = range.start();
        if self.clerk.is_open {
            return Err(RestoreError::TooLate { start });
        }
        let place = self.locks.append(range).map_err(|last| {
            let other = self.locks[last].range.start();
            RestoreError::Overlaps { start, other }
        })?;
        for (client, mode, token) in holders {
            self.clerk.look_at(start, mode, token)?;
            let lock = &mut self.locks[place];
            if let Some(holder) = lock.conflicting(client, mode) {
                return Err(RestoreError::Conflict { start, mode, holder });
            }
            let share = self.shares.add(client, place);
            let grant =
                Grant { client, mode, token, descends_to: None, since: now.into(), is_told: false, share };
            lock.grants.push(grant);
        }
        Ok(())
    }

    /// Ends K5 where locks were [entered](Self::enter), and nobody has wanted any: nobody has to be served.
    pub(crate) fn open_entered(&mut self) {
        debug_assert!(self.locks.places().all(|(_, lock)| lock.wants.is_empty()), "K6: somebody waits");
        self.clerk.is_open = true;
    }

    /// Ends K5: all who may have held locks have said so, or are gone. Serves everybody who has waited.
    pub fn open(&mut self, now: Duration, answers: &mut Vec<Answer>) {
        self.clerk.is_open = true;
        let mut turn = Turn { now, answers };
        self.locks.for_each_mut(|lock| self.clerk.serve(lock, &mut turn));
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

    /// After something of a lock has come down: serves who waited for it, and forgets it if nobody did.
    fn settle(&mut self, place: Place, turn: &mut Turn<'_>) {
        let lock = &mut self.locks[place];
        self.clerk.serve(lock, turn);
        if lock.is_idle() {
            self.locks.remove_idle(place);
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
        self.locks.check();
        for (_, lock) in self.locks.places() {
            let is_served = lock.wants.is_empty() || lock.is_descending();
            assert!(is_served || !self.clerk.is_open, "K6: somebody waits for nobody");
            let is_past = |grant: &Grant| grant.token <= self.clerk.newest();
            assert!(lock.grants.iter().all(is_past), "K7: a token from the future");
        }
        let shares_of = |(place, lock): (Place, &Lock)| {
            lock.shares().map(move |(client, share)| (client, share, place)).collect::<Vec<_>>()
        };
        self.shares.check(self.locks.places().flat_map(shares_of));
    }
}

/// Two machines are the same if their locks are: who has which shares follows from them.
impl PartialEq for Grants {
    fn eq(&self, other: &Self) -> bool {
        let Self { clerk, limits, locks, shares: _ } = self;
        (clerk, limits, locks) == (&other.clerk, &other.limits, &other.locks)
    }
}

impl Eq for Grants {}

/// Not drawn at random: simulations and tests have the same ones always.
const SEEDS: [u64; 4] =
    [0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344, 0xa409_3822_299f_31d0, 0x082e_fa98_ec4e_6c89];

fn hasher([a, b, c, d]: [u64; 4]) -> RandomState {
    RandomState::with_seeds(a, b, c, d)
}
