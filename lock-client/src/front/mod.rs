//! The fast path: taking a lock that is held already, without a lock.
//!
//! A lock that may be used has a *slot*, found through an *index*, and in it a *word* that counts its users. Taking the lock is
//! one addition to the word; giving it up is another. Everything else is decided at the *desk*, by whoever has its mutex: which
//! lock has which slot, what it may be used as, and when it is nobody's any more.
//!
//! A slot in which readers meet gets more such words, so that they do not: see [`slot`].
//!
//! - **J1** A user counts from the addition that let it in until the one that lets it out, and as long as there is one, the slot
//!   is the same lock's. A lock is narrowed by a change of the same word: whoever is not counted by then does not get in.
//! - **J2** Nobody uses a lock as what it may not be used as, not for a moment, but beside a use of the same kind that began
//!   before.
//! - **J3** When the last user leaves that a draining lock waits for, it is reported at least once. A report counts only if the
//!   word still says so.
//! - **J4** What the index says is looked up in the slot; what it does not say is asked at the desk. It may be wrong at any time.
//! - **J5** Whoever lets a lock go that is lost changes nothing but a count.

mod index;
mod slot;
mod tenancy;
mod usage;
mod word;

use std::sync::OnceLock;

use tidelock_format::KeyRange;
use tidelock_lock_proto::Mode;
use tidelock_sync::atomic::{AtomicU64, Ordering};

use self::index::Index;
use self::slot::Slot;
pub(crate) use self::tenancy::{LastTenancy, Tenancy};
pub(crate) use self::usage::Use;
use self::word::{Entry, Word};
use crate::{LockId, Open};

/// The first chunk has two to the power of this slots, each next one twice as many.
const FIRST_CHUNK: u32 = if cfg!(tidelock_loom) { 1 } else { 8 };
const CHUNKS: usize = 33 - FIRST_CHUNK as usize;

/// All locks that may be used.
#[derive(Debug)]
pub(crate) struct Front {
    chunks: [OnceLock<Box<[Slot]>>; CHUNKS],
    index: Index,
    hasher: ahash::RandomState,
    /// Locks that were given a slot. Only the desk looks.
    tenants: AtomicU64,
}

/// What came of trying to enter.
#[derive(Debug)]
pub(crate) enum Entered<'a> {
    /// The caller uses the lock.
    In(Use<'a>),
    /// Likewise; and it is to be [widened](Front::widen).
    Crowd(Use<'a>),
    /// The desk has to be asked.
    Not,
    /// Likewise; and this lock is to be reported as drained first (J3).
    Drained(LockId),
}

impl Front {
    /// No locks. `seed` makes the hash: whoever wants the same twice gives the same.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            chunks: std::array::from_fn(|_| OnceLock::new()),
            index: Index::new(),
            hasher: ahash::RandomState::with_seed(seed as usize),
            tenants: AtomicU64::new(0),
        }
    }

    // --- for everybody -----------------------------------------------------------------------------------------------

    /// Begins to use the lock of this range, if it may be used as `mode` right now.
    #[inline]
    pub(crate) fn enter(&self, range: &KeyRange, mode: Mode) -> Entered<'_> {
        for id in self.index.find(self.hash(range)) {
            let is_it = |slot: &Slot| slot.is_of(range) || cfg!(tidelock_weaken = "range_unchecked");
            match self.enter_slot(id, self.slot(id), mode, is_it) {
                // Another lock: its slot was given on, or it has the same hash (J4).
                Entered::Not => {}
                entered => return entered,
            }
        }
        Entered::Not
    }

    /// The same for a lock that was found before, if it still is where it was.
    #[inline]
    pub(crate) fn enter_again(&self, tenancy: Tenancy, mode: Mode) -> Entered<'_> {
        let Tenancy { id, tenant } = tenancy;
        let is_it = |slot: &Slot| slot.tenant() == tenant || cfg!(tidelock_weaken = "tenant_unchecked");
        self.known_slot(id).map_or(Entered::Not, |slot| self.enter_slot(id, slot, mode, is_it))
    }

    #[inline]
    fn enter_slot<'a>(
        &self,
        id: LockId,
        slot: &'a Slot,
        mode: Mode,
        is_it: impl FnOnce(&Slot) -> bool,
    ) -> Entered<'a> {
        let word = slot.word();
        let is_drained = match word.enter(mode) {
            Entry::In { is_shared } if is_it(slot) => {
                // Relaxed: a hint. Written only when it changes, so that users of one lock share the line.
                if !slot.was_used.load(Ordering::Relaxed) {
                    slot.was_used.store(true, Ordering::Relaxed);
                }
                let usage = Use { slot, word, id, mode };
                return if is_shared && slot.is_crowded() {
                    Entered::Crowd(usage)
                } else {
                    Entered::In(usage)
                };
            }
            Entry::In { .. } => word.leave(mode),
            Entry::Not { is_drained } => is_drained,
        };
        if is_drained { Entered::Drained(id) } else { Entered::Not }
    }

    /// The use of a lock that was [handed out](Self::hand_out).
    pub(crate) fn use_of(&self, id: LockId, mode: Mode) -> Use<'_> {
        let slot = self.slot(id);
        Use { slot, word: slot.first_word(), id, mode }
    }

    /// The use that has this [lane](Use::lane).
    pub(crate) fn use_in(&self, id: LockId, lane: usize, mode: Mode) -> Use<'_> {
        let slot = self.slot(id);
        let word = slot.words().nth(lane).expect("J1: a use is counted in its lock's slot");
        Use { slot, word, id, mode }
    }

    /// The refresh generation that the slot has now; zero if nothing may be read.
    pub(crate) fn refresh(&self, id: LockId) -> u64 {
        // Acquire: pairs with the Release in `uncover`; whoever still sees the generation looks at what was cached before
        // it was dropped.
        self.known_slot(id).map_or(0, |slot| slot.refresh.load(Ordering::Acquire))
    }

    /// Users, for reading and for writing.
    pub(crate) fn users_of(&self, id: LockId) -> (u64, u64) {
        self.known_slot(id).map_or((0, 0), Slot::users)
    }

    // --- for the desk ------------------------------------------------------------------------------------------------

    /// The lock may be used as this. Tells whether it could not be used at all before.
    pub(crate) fn open(&self, open: &Open) -> bool {
        let Open { lock, range, mode, token, refresh } = *open;
        let slot = self.slot_or_make(lock);
        *slot.token.lock().expect("nobody panics with a token in hand") = token;
        let is_new = !slot.first_word().look().is_present();
        if is_new {
            // Relaxed: under the desk's mutex. From one on: zero is no lock.
            let tenant = self.tenants.fetch_add(1, Ordering::Relaxed) + 1;
            slot.give_to(&range, tenant);
            // Relaxed: a hint.
            slot.was_used.store(true, Ordering::Relaxed);
        }
        // Relaxed: `open` follows.
        slot.refresh.store(refresh, Ordering::Relaxed);
        slot.words().for_each(|word| word.open(mode));
        if is_new {
            self.index.insert(self.hash(&range), lock, |id| self.hash(&self.slot(id).range()));
        }
        is_new
    }

    /// Lets somebody use a lock who waited.
    pub(crate) fn hand_out(&self, id: LockId, mode: Mode) {
        self.slot(id).first_word().hand_out(mode);
    }

    /// The lock may be used as this at the most.
    pub(crate) fn narrow(&self, id: LockId, to: Mode) {
        self.slot(id).words().for_each(|word| word.narrow(to));
    }

    /// Whether nobody is in the way any more of a lock that comes down or is lost.
    pub(crate) fn is_drained(&self, id: LockId) -> bool {
        // A lock that was never granted has no slot, and no users.
        let Some(slot) = self.known_slot(id) else { return true };
        let count = if cfg!(tidelock_weaken = "lanes_forgotten") { 1 } else { usize::MAX };
        slot.words().take(count).all(|word| word.look().is_drained())
    }

    /// Gives a lock in which readers meet more room.
    pub(crate) fn widen(&self, id: LockId) {
        if let Some(slot) = self.known_slot(id) {
            slot.widen();
        }
    }

    /// What was read under the lock counts for nothing any more.
    pub(crate) fn uncover(&self, id: LockId) {
        if cfg!(tidelock_weaken = "still_covered") {
            return;
        }
        // Release: pairs with the Acquire in `refresh`.
        self.slot(id).refresh.store(0, Ordering::Release);
    }

    /// What was left for the invalidation.
    pub(crate) fn take_stamp(&self, id: LockId) -> u64 {
        // Relaxed: the lock has drained.
        self.slot(id).stamp.swap(0, Ordering::Relaxed)
    }

    /// The lock is lost.
    pub(crate) fn void(&self, id: LockId) {
        let Some(slot) = self.known_slot(id) else { return };
        slot.words().for_each(Word::void);
        self.uncover(id);
        self.index.remove(self.hash(&slot.range()), id, |id| self.hash(&self.slot(id).range()));
    }

    /// The lock is nobody's any more.
    pub(crate) fn forget(&self, id: LockId) {
        // A lock that was never granted has no slot.
        let Some(slot) = self.known_slot(id) else { return };
        if slot.first_word().look().is_present() {
            self.index.remove(self.hash(&slot.range()), id, |id| self.hash(&self.slot(id).range()));
        }
        slot.words().for_each(Word::clear);
    }

    /// Whether the lock was used since this was asked last.
    pub(crate) fn take_was_used(&self, id: LockId) -> bool {
        let Some(slot) = self.known_slot(id) else { return true };
        let (readers, writers) = slot.users();
        // Relaxed: a hint.
        slot.was_used.swap(false, Ordering::Relaxed) || readers + writers > 0
    }

    // --- places ------------------------------------------------------------------------------------------------------

    #[inline]
    fn hash(&self, range: &KeyRange) -> u64 {
        self.hasher.hash_one(slot::split(range.start()))
    }

    #[inline]
    fn slot(&self, id: LockId) -> &Slot {
        let (chunk, place) = place(id);
        &self.chunks[chunk].get().expect("a slot is made before its number is known")[place]
    }

    #[inline]
    fn known_slot(&self, id: LockId) -> Option<&Slot> {
        let (chunk, place) = place(id);
        self.chunks[chunk].get().map(|slots| &slots[place])
    }

    fn slot_or_make(&self, id: LockId) -> &Slot {
        let (chunk, place) = place(id);
        let make = || (0..1usize << (FIRST_CHUNK as usize + chunk)).map(|_| Slot::new()).collect();
        &self.chunks[chunk].get_or_init(make)[place]
    }
}

/// The chunk of a slot, and its place in it.
#[inline]
fn place(id: LockId) -> (usize, usize) {
    let number = u64::from(id.0) + (1 << FIRST_CHUNK);
    let chunk = number.ilog2() - FIRST_CHUNK;
    (chunk as usize, (number - (1 << (chunk + FIRST_CHUNK))) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lock_has_a_place_of_its_own() {
        let mut last = place(LockId(0));
        assert_eq!(last, (0, 0));
        for id in 1..100_000 {
            let next = place(LockId(id));
            assert!(next == (last.0, last.1 + 1) || next == (last.0 + 1, 0), "{id}: {next:?} after {last:?}");
            last = next;
        }
        assert!(place(LockId(u32::MAX)).0 < CHUNKS);
    }
}
