//! What a client holds, wants, and has to give up: a machine without I/O, clock or thread.
//!
//! Whoever drives it brings what happened and carries out the [`Effect`]s that it gets, in their order. Who uses a lock at the
//! moment is not known here: that is counted elsewhere, and [`drained`](Holdings::drained) is how it is told.
//!
//! - **H1** A server is told that a lock is held as it was before it began to come down, until it has come down. What it
//!   is told then repeats what it asked for, not what there is by now.
//! - **H2** A server is asked for one mode of a lock at a time, and for nothing while the lock comes down for another reason
//!   than that this server told it to (K3).
//! - **H3** No message about a lock goes to a server that has not been told first what is held of it. What happens before that
//!   shows in the snapshot.
//! - **H4** A lock that is held comes down by draining and invalidating, or is lost together with the session. There is no
//!   third way out.
//! - **H5** Who waits, waits for something: an answer of the server, or an invalidation. Nobody has to
//!   remember to look again.
//! - **H6** What a lock's refresh generation says follows from what this client did with it, never from what a server believes
//!
//! - **H7** A lock is asked for only when nothing is cached any more of when it was held before.

mod lock;
mod telling;
mod view;

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

use slab::Slab;
use tidelock_format::{Key, KeyRange, Term, Token};
use tidelock_lock_proto::{Change, Descent, Granted, Lost, Mode, Reason, Refused, ToClient, ToServer};

use self::lock::{Demand, Lock, Stage};
use self::telling::Told;
pub use self::view::{LockView, Phase};

/// A lock's place. It is not given to another lock before [`Effect::Forget`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LockId(pub u32);

/// Somebody who waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What is to be done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Say this to the server.
    Send(ToServer),
    /// The lock may be used as this from now on, and by nobody as more.
    Open(Open),
    /// From now on the lock may be used as this at the most. Report it as [drained](Holdings::drained) as soon as nobody uses
    /// it as more; at once, if nobody does.
    Narrow {
        /// Which.
        lock: LockId,
        /// As what.
        to: Mode,
    },
    /// Drop what is cached of these keys, as far as the new mode does not allow it, and report that as
    /// [invalidated](Holdings::invalidated).
    Invalidate {
        /// Which lock.
        lock: LockId,
        /// Its keys.
        range: KeyRange,
        /// From what to what it comes down.
        change: Change,
    },
    /// Drop everything that is cached of these keys, and write nothing of it: somebody else may have them. Report that as
    /// [invalidated](Holdings::invalidated), too.
    Discard {
        /// Which lock.
        lock: LockId,
        /// Its keys.
        range: KeyRange,
        /// As what it was held.
        from: Mode,
    },
    /// Nothing that was read under the lock may be relied on from now on without taking it again.
    Uncover(LockId),
    /// Whoever has this ticket has the lock as this mode, from now on.
    Admit {
        /// Which lock.
        lock: LockId,
        /// Who.
        ticket: Ticket,
        /// As what.
        mode: Mode,
    },
    /// Whoever has this ticket will not get the lock.
    Refuse(Ticket, Refusal),
    /// The lock is lost. Whoever still uses it is to find out. Report it as drained when nobody does.
    Void(LockId),
    /// There is nothing to remember of this lock: its place may be given to another.
    Forget(LockId),
}

/// How a lock may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open {
    /// Which.
    pub lock: LockId,
    /// Its keys.
    pub range: KeyRange,
    /// As what.
    pub mode: Mode,
    /// The grant.
    pub token: Token,
    /// Changes whenever reading begins anew; zero where nothing may be read.
    pub refresh: u64,
}

/// Why somebody does not get a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// This range shares keys with a lock of another range, here or at the server.
    Overlaps(KeyRange),
    /// The server's limit of locks for one client is reached.
    TooMany,
    /// No locks are taken any more.
    Closed,
}

/// The server does not follow the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// It grants or refuses what was not asked for.
    #[error("lock {start}: the server answers for {mode}, which nobody asked for")]
    Unasked {
        /// The lock.
        start: Key,
        /// The mode that it speaks of.
        mode: Mode,
    },
    /// A grant's token is not greater than the one before.
    #[error("lock {start}: token {found} follows {before}")]
    TokenFell {
        /// The lock.
        start: Key,
        /// The token before.
        before: Token,
        /// The one that came.
        found: Token,
    },
    /// It refuses a question that this client had every reason to ask.
    #[error("lock {start}: the server finds it {reason:?}")]
    Baseless {
        /// The lock.
        start: Key,
        /// What the server says.
        reason: Reason,
    },
    /// It calls a lock back a second time before it was answered (K3).
    #[error("lock {start}: the server calls it back twice")]
    RevokedTwice {
        /// The lock.
        start: Key,
    },
    /// A message that this client does not know.
    #[error("a message that has no place here")]
    OutOfPlace,
}

/// A place in the list of locks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Entry {
    Live(Lock),
    /// Lost, and some still use it, or drop what they cached.
    Void {
        is_used: bool,
        is_invalidated: bool,
    },
}

/// What a client holds, wants, and has to give up.
#[derive(Clone, Debug, Default)]
pub struct Holdings {
    entries: Slab<Entry>,
    by_start: BTreeMap<Key, LockId>,
    /// First keys of locks that were lost, and of which something may still be cached: they are not asked for before it
    /// is dropped (H7).
    discarding: BTreeMap<Key, LockId>,
    /// Locks of which something is held.
    held: usize,
    term: Term,
    told: Told,
    is_closed: bool,
    /// Nobody is admitted to anything for the time being.
    is_suspended: bool,
    refresh: u64,
}

/// What tells two states apart, for whoever goes through all of them.
impl Hash for Holdings {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { entries, by_start, discarding, held, term, told, is_closed, is_suspended, refresh } = self;
        entries.iter().for_each(|entry| entry.hash(state));
        (by_start, discarding, held, term, told, is_closed, is_suspended, refresh).hash(state);
    }
}

impl Holdings {
    /// Nothing, and no server.
    pub fn new() -> Self {
        Self::default()
    }

    // --- from this side ----------------------------------------------------------------------------------------------

    /// Somebody wants a lock and will wait for it under `ticket`, which is new. Admitted at once if that is possible.
    ///
    /// # Panics
    /// H5, for `Null`: there is nothing to wait for. A broken caller.
    pub fn want(&mut self, range: KeyRange, mode: Mode, ticket: Ticket, effects: &mut Vec<Effect>) {
        assert!(mode != Mode::Null, "H5: nobody waits for nothing");
        if self.is_closed && !cfg!(tidelock_weaken = "closed_unnoticed") {
            return effects.push(Effect::Refuse(ticket, Refusal::Closed));
        }
        match self.find_or_insert(range) {
            Some(id) => {
                self.live(id).waiters.push_back((ticket, mode));
                self.serve(id, effects);
            }
            None => effects.push(Effect::Refuse(ticket, Refusal::Overlaps(range))),
        }
    }

    /// Whoever has this ticket for the lock that begins there waits no longer. Tells whether they did: if not, they have been
    /// admitted or refused.
    pub fn cancel(&mut self, start: Key, ticket: Ticket, effects: &mut Vec<Effect>) -> bool {
        let Some(id) = self.by_start.get(&start).copied() else { return false };
        let waiters = &mut self.live(id).waiters;
        let before = waiters.len();
        waiters.retain(|(waiting, _)| *waiting != ticket);
        let has_waited = waiters.len() < before;
        self.forget_if_nothing(id, effects);
        has_waited
    }

    /// Gives a lock back that nobody waits for and that rests. Tells whether that is so.
    pub fn give_back(&mut self, id: LockId, effects: &mut Vec<Effect>) -> bool {
        let Some(Entry::Live(lock)) = self.entries.get_mut(id.0 as usize) else { return false };
        let is_wanted = lock.asked.is_some() || !lock.waiters.is_empty();
        if lock.held == Mode::Null || is_wanted || !lock.demands.is_empty() {
            return false;
        }
        lock.demands.push_back(Demand::Own(Mode::Null));
        self.begin(id, effects);
        true
    }

    /// Nobody uses the lock as more any more than it has come down to; or nobody uses it, if it is lost. May be reported for
    /// nothing.
    pub fn drained(&mut self, id: LockId, effects: &mut Vec<Effect>) {
        match self.entries.get_mut(id.0 as usize) {
            Some(Entry::Live(lock)) if lock.stage == Stage::Draining => {
                lock.stage = Stage::Invalidating;
                let to = lock.usable();
                if !to.may_read() {
                    lock.refresh = 0;
                    effects.push(Effect::Uncover(id));
                }
                if self.is_closed {
                    return self.finish(id, effects);
                }
                let change = Change { from: lock.held, to };
                effects.push(Effect::Invalidate { lock: id, range: lock.range, change });
            }
            Some(Entry::Void { is_used, .. }) => {
                *is_used = false;
                self.forget_if_void(id, effects);
            }
            _ => {}
        }
    }

    /// What was cached is dropped, as [`Effect::Invalidate`] said.
    pub fn invalidated(&mut self, id: LockId, effects: &mut Vec<Effect>) {
        match self.entries.get_mut(id.0 as usize) {
            Some(Entry::Live(lock)) if lock.stage == Stage::Invalidating => self.finish(id, effects),
            Some(Entry::Void { is_invalidated, .. }) => {
                *is_invalidated = true;
                self.discarded(id, effects);
                self.forget_if_void(id, effects);
            }
            _ => {}
        }
    }

    /// For as long as this is so, nobody is admitted: whether what is held may be used is not known.
    pub fn suspend(&mut self, is_suspended: bool, effects: &mut Vec<Effect>) {
        let ends = self.is_suspended && !is_suspended;
        self.is_suspended = is_suspended;
        if ends {
            self.ids().into_iter().for_each(|id| self.serve(id, effects));
        }
    }

    /// No lock is taken any more, and whoever waits is refused. What is held comes down when the server says so, without an
    /// invalidation: whoever cached something has dropped it before.
    pub fn close(&mut self, effects: &mut Vec<Effect>) {
        self.is_closed = true;
        for id in self.ids() {
            self.refuse_all(id, Refusal::Closed, effects);
            self.forget_if_nothing(id, effects);
        }
    }

    // --- from the server ---------------------------------------------------------------------------------------------

    /// A session was opened with the server of `term`, under which nothing is held.
    ///
    /// # Panics
    /// H4, if something still is: it has to be [lost](Self::lose) first. A broken caller.
    pub fn opened(&mut self, term: Term, effects: &mut Vec<Effect>) {
        assert_eq!(self.held, 0, "H4: a new session begins with nothing held");
        self.term = term;
        self.told = Told::All;
        self.ids().into_iter().for_each(|id| self.serve(id, effects));
    }

    /// The session goes on with the server of `term`, which knows nothing of what is held: it is to be told, see
    /// [`next_part`](Self::next_part).
    pub fn recovering(&mut self, term: Term, effects: &mut Vec<Effect>) {
        self.term = term;
        self.told = Told::before(Key::MIN);
        for id in self.ids() {
            self.live(id).asked = None;
            // Asked for, and wanted by nobody any more: no answer will come.
            self.forget_if_nothing(id, effects);
        }
    }

    /// The session is over, and with it everything that was held. Those who wait go on waiting, for the next.
    pub fn lose(&mut self, effects: &mut Vec<Effect>) {
        self.told = Told::Nothing;
        self.held = 0;
        for (_, id) in std::mem::take(&mut self.by_start) {
            let void = Entry::Void { is_used: true, is_invalidated: true };
            let Entry::Live(mut lock) = std::mem::replace(&mut self.entries[id.0 as usize], void) else {
                unreachable!("H4: what is lost has left the index")
            };
            if lock.stage == Stage::Invalidating {
                self.entries[id.0 as usize] = Entry::Void { is_used: true, is_invalidated: false };
            }
            effects.push(Effect::Void(id));
            if !lock.waiters.is_empty() {
                let again = Lock { waiters: std::mem::take(&mut lock.waiters), ..Lock::new(lock.range) };
                self.insert(again);
            }
        }
    }

    /// Takes a message of the server whose term was told last.
    ///
    /// # Errors
    /// If the server does not follow the protocol. Nothing has changed then.
    pub fn hear(&mut self, message: ToClient, effects: &mut Vec<Effect>) -> Result<(), Violation> {
        match message {
            ToClient::Granted(granted) => self.granted(granted, effects),
            ToClient::Refused(refused) => self.refused(refused, effects),
            ToClient::Revoke(descent) => self.revoked(descent, effects),
            // How far a new server got with the snapshot: what carries messages knows that already.
            ToClient::SnapshotTaken(_) => Ok(()),
            ToClient::Lost(lost) => {
                self.lost(lost, effects);
                Ok(())
            }
            _ => Err(Violation::OutOfPlace),
        }
    }

    fn granted(&mut self, granted: Granted, effects: &mut Vec<Effect>) -> Result<(), Violation> {
        let Granted { range, change, token } = granted;
        let (start, mode) = (range.start(), change.to);
        let unasked = Violation::Unasked { start, mode };
        let id = *self.by_start.get(&start).ok_or(unasked)?;
        let next_refresh = self.refresh + 1;
        let lock = self.live(id);
        if lock.range != range || lock.asked != Some(mode) || !lock.demands.is_empty() {
            return Err(unasked);
        }
        if token <= lock.token {
            return Err(Violation::TokenFell { start, before: lock.token, found: token });
        }
        let was_held = lock.held != Mode::Null;
        (lock.held, lock.token, lock.asked) = (mode, token, None);
        lock.is_narrowed = false;
        let begins_to_read = mode.may_read() && lock.refresh == 0;
        if begins_to_read {
            lock.refresh = next_refresh;
        }
        let refresh = lock.refresh;
        self.refresh += u64::from(begins_to_read);
        self.held += usize::from(!was_held);
        effects.push(Effect::Open(Open { lock: id, range, mode, token, refresh }));
        self.serve(id, effects);
        Ok(())
    }

    fn refused(&mut self, refused: Refused, effects: &mut Vec<Effect>) -> Result<(), Violation> {
        let Refused { start, wanted, reason } = refused;
        let unasked = Violation::Unasked { start, mode: wanted };
        let id = *self.by_start.get(&start).ok_or(unasked)?;
        let lock = self.live(id);
        if lock.asked != Some(wanted) {
            return Err(unasked);
        }
        let refusal = match reason {
            Reason::Overlaps => Refusal::Overlaps(lock.range),
            Reason::TooMany => Refusal::TooMany,
            _ => return Err(Violation::Baseless { start, reason }),
        };
        self.live(id).asked = None;
        self.refuse_all(id, refusal, effects);
        self.forget_if_nothing(id, effects);
        Ok(())
    }

    fn revoked(&mut self, descent: Descent, effects: &mut Vec<Effect>) -> Result<(), Violation> {
        let Some(id) = self.by_start.get(&descent.start).copied() else {
            // Nothing is held of it: the promise holds as it is.
            self.cede(descent, Mode::Null, effects);
            return Ok(());
        };
        let (term, demand) = (self.term, Demand::Told(self.term, descent));
        let lock = self.live(id);
        // Each that is met leads to the next, so there must not be as many as a server likes.
        if lock.demands.iter().any(|demand| matches!(demand, Demand::Told(told, _) if *told == term)) {
            return Err(Violation::RevokedTwice { start: descent.start });
        }
        lock.demands.push_back(demand);
        if lock.demands.len() == 1 {
            self.begin(id, effects);
        }
        Ok(())
    }

    /// The server knows nothing of this grant. One that is not there any more has been given up already.
    fn lost(&mut self, lost: Lost, effects: &mut Vec<Effect>) {
        let Some(id) = self.by_start.get(&lost.start).copied() else { return };
        let is_closed = self.is_closed;
        let lock = self.live(id);
        if lock.held == Mode::Null || lock.token != lost.token {
            return;
        }
        let (range, from) = (lock.range, lock.held);
        // Its caches are being dropped already, then.
        let is_told = lock.stage == Stage::Invalidating;
        let waiters = std::mem::take(&mut lock.waiters);
        let void = Entry::Void { is_used: true, is_invalidated: is_closed && !is_told };
        self.entries[id.0 as usize] = void;
        self.by_start.remove(&lost.start);
        self.held -= 1;
        effects.push(Effect::Void(id));
        if !is_closed && !is_told {
            effects.push(Effect::Discard { lock: id, range, from });
        }
        if !is_closed {
            self.discarding.insert(lost.start, id);
        }
        if !waiters.is_empty() {
            let again = Lock { waiters, ..Lock::new(range) };
            self.insert(again);
        }
    }

    /// Nothing is cached any more of a lock that was lost: it may be asked for again (H7).
    fn discarded(&mut self, id: LockId, effects: &mut Vec<Effect>) {
        let Some((start, _)) = self.discarding.iter().find(|(_, discarding)| **discarding == id) else {
            return;
        };
        let start = *start;
        self.discarding.remove(&start);
        if let Some(again) = self.by_start.get(&start).copied() {
            self.serve(again, effects);
        }
    }

    // --- coming down -------------------------------------------------------------------------------------------------

    /// Begins with the first demand.
    fn begin(&mut self, id: LockId, effects: &mut Vec<Effect>) {
        let lock = self.live(id);
        let to = lock.demands[0].to();
        if !lock.is_above(to) {
            return self.finish(id, effects);
        }
        (lock.stage, lock.is_narrowed) = (Stage::Draining, true);
        effects.push(Effect::Narrow { lock: id, to });
    }

    /// The first demand is met, one way or the other.
    fn finish(&mut self, id: LockId, effects: &mut Vec<Effect>) {
        let term = self.term;
        let lock = self.live(id);
        let demand = lock.demands.pop_front().expect("a lock comes down for a reason");
        lock.stage = Stage::Resting;
        let to = demand.to();
        let comes_down = lock.is_above(to);
        let start = lock.range.start();
        match demand {
            Demand::Told(told, descent) if told == term => {
                if comes_down {
                    lock.held = to;
                }
                let held = lock.held;
                self.cede(descent, held, effects);
            }
            // The present server believes that nothing has happened yet.
            Demand::Own(_) | Demand::Told(..) if comes_down => {
                let release = ToServer::Release(lock.release(to));
                self.say(start, release, effects);
            }
            Demand::Own(_) | Demand::Told(..) => {}
        }
        self.held -= usize::from(comes_down && to == Mode::Null);
        self.go_on(id, effects);
    }

    /// After one demand was met: meets the next, or lets the lock be used again.
    fn go_on(&mut self, id: LockId, effects: &mut Vec<Effect>) {
        let lock = self.live(id);
        if !lock.demands.is_empty() {
            return self.begin(id, effects);
        }
        if lock.held != Mode::Null && lock.is_narrowed {
            lock.is_narrowed = false;
            let Lock { range, held, token, refresh, .. } = *lock;
            effects.push(Effect::Open(Open { lock: id, range, mode: held, token, refresh }));
        }
        self.serve(id, effects);
        self.forget_if_nothing(id, effects);
    }

    /// Says that the lock came down as it was told to; and if that is more than is held, that less is.
    fn cede(&mut self, descent: Descent, held: Mode, effects: &mut Vec<Effect>) {
        let Descent { start, token, change } = descent;
        self.say(start, ToServer::Ceded(descent), effects);
        if change.to != held {
            let rest = Change { from: change.to, to: held };
            self.say(start, ToServer::Release(Descent { start, token, change: rest }), effects);
        }
    }

    // --- waiting -----------------------------------------------------------------------------------------------------

    /// Admits whoever can be, and asks for the next.
    fn serve(&mut self, id: LockId, effects: &mut Vec<Effect>) {
        let (term, is_suspended) = (self.term, self.is_suspended);
        let lock = self.live(id);
        let usable = lock.usable();
        if !is_suspended {
            lock.waiters.retain(|(ticket, mode)| {
                let is_admitted = usable.satisfies(*mode);
                if is_admitted {
                    effects.push(Effect::Admit { lock: id, ticket: *ticket, mode: *mode });
                }
                !is_admitted
            });
        }
        let Some(question) = lock.question(term).filter(|question| !usable.satisfies(question.change.to))
        else {
            return;
        };
        let start = question.range.start();
        if self.told.is_told(start) && !self.discarding.contains_key(&start) {
            self.live(id).asked = Some(question.change.to);
            effects.push(Effect::Send(ToServer::Acquire(question)));
        }
    }

    fn refuse_all(&mut self, id: LockId, refusal: Refusal, effects: &mut Vec<Effect>) {
        let waiters = std::mem::take(&mut self.live(id).waiters);
        effects.extend(waiters.into_iter().map(|(ticket, _)| Effect::Refuse(ticket, refusal)));
    }

    // --- places ------------------------------------------------------------------------------------------------------

    /// The lock of this range; `None` if it shares keys with another.
    fn find_or_insert(&mut self, range: KeyRange) -> Option<LockId> {
        let before = self.by_start.range(..=range.end()).next_back().map(|(_, id)| *id);
        match before {
            Some(id) if self.live(id).range == range => Some(id),
            Some(id) if self.live(id).range.overlaps(&range) => None,
            _ => Some(self.insert(Lock::new(range))),
        }
    }

    fn insert(&mut self, lock: Lock) -> LockId {
        let start = lock.range.start();
        let place = self.entries.insert(Entry::Live(lock));
        let id = LockId(u32::try_from(place).expect("nobody has that many locks"));
        self.by_start.insert(start, id);
        id
    }

    fn live(&mut self, id: LockId) -> &mut Lock {
        match &mut self.entries[id.0 as usize] {
            Entry::Live(lock) => lock,
            Entry::Void { .. } => unreachable!("H4: what is lost has left the index"),
        }
    }

    fn forget_if_nothing(&mut self, id: LockId, effects: &mut Vec<Effect>) {
        let lock = self.live(id);
        if lock.is_nothing() {
            let start = lock.range.start();
            self.by_start.remove(&start);
            self.entries.remove(id.0 as usize);
            effects.push(Effect::Forget(id));
        }
    }

    fn forget_if_void(&mut self, id: LockId, effects: &mut Vec<Effect>) {
        if let Some(Entry::Void { is_used: false, is_invalidated: true }) = self.entries.get(id.0 as usize) {
            self.entries.remove(id.0 as usize);
            effects.push(Effect::Forget(id));
        }
    }

    fn ids(&self) -> Vec<LockId> {
        self.by_start.values().copied().collect()
    }

    /// H3.
    fn say(&mut self, start: Key, message: ToServer, effects: &mut Vec<Effect>) {
        if self.told.is_told(start) {
            effects.push(Effect::Send(message));
        }
    }
}
