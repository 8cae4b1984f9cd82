//! What people and tests look at.

use tidelock_format::{KeyRange, Token};
use tidelock_lock_proto::Mode;

use super::lock::Stage;
use super::{Entry, Holdings, LockId};

/// One lock of this client as it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockView {
    /// Its place.
    pub lock: LockId,
    /// Its keys.
    pub range: KeyRange,
    /// As what it is held. One that comes down counts as before until it is down.
    pub held: Mode,
    /// As what it may be used.
    pub usable: Mode,
    /// The grant.
    pub token: Token,
    /// What the server was asked for, and has not answered.
    pub asked: Option<Mode>,
    /// How many wait here.
    pub waiters: usize,
    /// How far it has come down.
    pub phase: Phase,
}

/// How far a lock has come down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It does not come down.
    Resting,
    /// It waits for those who use it.
    Draining,
    /// It waits for caches to be dropped.
    Invalidating,
}

impl Holdings {
    /// Every lock that is held or wanted, in order of their first keys.
    pub fn locks(&self) -> impl Iterator<Item = LockView> + '_ {
        self.by_start.values().map(|id| {
            let Entry::Live(lock) = &self.entries[id.0 as usize] else {
                unreachable!("H4: what is lost has left the index")
            };
            let phase = match lock.stage {
                Stage::Resting => Phase::Resting,
                Stage::Draining => Phase::Draining,
                Stage::Invalidating => Phase::Invalidating,
            };
            LockView {
                lock: *id,
                range: lock.range,
                held: lock.held,
                usable: lock.usable(),
                token: lock.token,
                asked: lock.asked,
                waiters: lock.waiters.len(),
                phase,
            }
        })
    }

    /// Locks of which something is held.
    pub fn held(&self) -> usize {
        self.held
    }

    /// Whether every place has been forgotten: nothing is held, wanted, or on its way out.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Places that are taken: of locks that are held or wanted, and of lost ones that somebody still uses.
    pub fn places(&self) -> usize {
        self.entries.len()
    }

    /// Looks whether everything that this machine rests on holds: for tests and simulations.
    ///
    /// # Panics
    /// If it does not, naming the invariant.
    pub fn check(&self) {
        let mut held = 0;
        for (start, id) in &self.by_start {
            let Entry::Live(lock) = &self.entries[id.0 as usize] else {
                panic!("H4: lost, and in the index")
            };
            assert_eq!(lock.range.start(), *start, "the index leads to the lock");
            held += usize::from(lock.held != Mode::Null);
            assert_eq!(
                lock.demands.is_empty(),
                lock.stage == Stage::Resting,
                "a lock comes down for a reason"
            );
            assert!(!lock.is_nothing(), "H4: nothing is remembered of a lock that is nothing");
            let waits_for_server = lock.asked.is_some() || !self.told.is_told(*start) || self.is_suspended;
            let waits_for_server = waits_for_server || self.discarding.contains_key(start);
            let waits = !lock.waiters.is_empty();
            assert!(!waits || waits_for_server || !lock.demands.is_empty(), "H5: somebody waits for nothing");
            let is_read = lock.usable().may_read() && lock.stage == Stage::Resting;
            assert!(!is_read || lock.refresh != 0, "H6: what may be read has a generation");
            assert!(!(lock.asked.is_some() && lock.is_held_up(self.term)), "H2: asked while it comes down");
        }
        assert_eq!(held, self.held, "the count of locks that are held");
    }
}
