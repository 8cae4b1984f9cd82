//! Who uses a lock, and what it may be used as, in one atomic word.
//!
//! ```text
//!   | void | present | draining | usable mode | writers | readers |
//! ```
//!
//! Users enter and leave by one addition each. What the lock may be used as changes by a read-modify-write of the same word, so
//! of an entry and a change one is first: either the change sees the user, or the user sees the change (J1).

use tidelock_lock_proto::Mode;
use tidelock_sync::atomic::{AtomicU64, Ordering};
use tidelock_sync::word::Field;

const READERS: Field = Field::first(28);
const WRITERS: Field = READERS.then(28);
const USABLE: Field = WRITERS.then(2);
/// Whoever is the last to leave of those that have to leave reports it.
const DRAINING: Field = USABLE.then(1);
/// Without this, the word is nobody's.
const PRESENT: Field = DRAINING.then(1);
/// The lock is lost, and its users are to find out.
const VOID: Field = PRESENT.then(1);

/// Users that a lock may have of each kind. Half of what fits: threads that enter in vain pass through the count.
const USERS_MAX: u64 = READERS.max() / 2;

/// The word of one lock. A cache line of its own: every user writes it, and reads what stands beside it.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Word(AtomicU64);

/// What came of entering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// The lock is in use by the caller.
    In {
        /// Others read it, as the caller does.
        is_shared: bool,
    },
    /// It may not be used so. With `is_drained`, the attempt was the last that a draining lock waited for, and that has to be
    /// reported.
    Not {
        /// As [`Word::leave`] tells.
        is_drained: bool,
    },
}

/// A word at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look(u64);

impl Word {
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// A word that says the same, without users. Whoever calls has the desk's mutex.
    pub(super) fn empty_copy(&self) -> Self {
        let Look(word) = self.look();
        let state = if cfg!(tidelock_weaken = "lane_unnarrowed") {
            USABLE.put(word, Mode::Write.number().into())
        } else {
            word
        };
        Self(AtomicU64::new(state & !(READERS.mask() | WRITERS.mask())))
    }

    /// Begins to use the lock, if it is there and may be used as `mode`.
    #[inline]
    pub(super) fn enter(&self, mode: Mode) -> Entry {
        // Acquire: pairs with the Release in `open`; whoever gets in sees the lock's range, and what was done under the lock
        // before it could be used so.
        let order =
            if cfg!(tidelock_weaken = "enter_acquire") { Ordering::Relaxed } else { Ordering::Acquire };
        let before = Look(self.0.fetch_add(unit(mode), order));
        if before.admits(mode) {
            Entry::In { is_shared: mode == Mode::Read && READERS.get(before.0) > 0 }
        } else {
            Entry::Not { is_drained: self.leave(mode) }
        }
    }

    /// Begins to use the lock on behalf of somebody who waited. Whoever hands it out is the one who changes the word, and
    /// has just looked.
    pub(super) fn hand_out(&self, mode: Mode) {
        // Relaxed: whoever gets the lock gets it from this thread, by way of a mutex.
        let before = Look(self.0.fetch_add(unit(mode), Ordering::Relaxed));
        assert!(before.admits(mode), "J2: a lock is handed out as what it may be used as");
    }

    /// Uses the lock once more, beside an entry of at least the same mode that the caller has: whatever it is narrowed to.
    pub(super) fn enter_again(&self, mode: Mode) {
        // Relaxed: the caller's own entry has seen all that there is to see.
        self.0.fetch_add(unit(mode), Ordering::Relaxed);
    }

    /// Ends one use. Tells whether it was the last that a draining lock waited for: then that has to be reported (J3).
    #[inline]
    pub(super) fn leave(&self, mode: Mode) -> bool {
        // Release: pairs with the Acquire in `look`; whoever finds the lock drained sees what its users did.
        let order =
            if cfg!(tidelock_weaken = "give_up_release") { Ordering::Relaxed } else { Ordering::Release };
        let before = Look(self.0.fetch_sub(unit(mode), order));
        before.is_drained_by(Look(before.0 - unit(mode))) && !cfg!(tidelock_weaken = "leave_unreported")
    }

    /// Turns one use for writing into one for reading. Answers as [`leave`](Self::leave).
    pub(super) fn downgrade(&self) -> bool {
        let change = READERS.unit().wrapping_sub(WRITERS.unit());
        // Release: as in `leave`.
        let before = Look(self.0.fetch_add(change, Ordering::Release));
        before.is_drained_by(Look(before.0.wrapping_add(change)))
    }

    /// From now on the lock may be used as this.
    pub(super) fn open(&self, mode: Mode) {
        self.change(|word| {
            let word = PRESENT.put(DRAINING.put(word, 0), 1);
            USABLE.put(word, mode.number().into())
        });
    }

    /// From now on the lock may be used as this at the most, and the last who has to leave reports it.
    pub(super) fn narrow(&self, to: Mode) {
        self.change(|word| USABLE.put(DRAINING.put(word, 1), to.number().into()));
    }

    /// The lock is lost: nobody gets in any more, and the last who leaves reports it.
    pub(super) fn void(&self) {
        self.change(|word| {
            let void = u64::from(!cfg!(tidelock_weaken = "void_unmarked"));
            let word = VOID.put(DRAINING.put(PRESENT.put(word, 0), 1), void);
            USABLE.put(word, Mode::Null.number().into())
        });
    }

    /// The word is nobody's again. Counts stay: threads that entered in vain are on their way out.
    pub(super) fn clear(&self) {
        self.change(|word| word & (READERS.mask() | WRITERS.mask()));
    }

    /// Only whoever has the desk's mutex changes what a lock may be used as.
    fn change(&self, change: impl Fn(u64) -> u64) {
        // AcqRel: Release pairs with the Acquire in `enter`; Acquire with the Release in `leave`.
        let set = if cfg!(tidelock_weaken = "open_release") { Ordering::Acquire } else { Ordering::AcqRel };
        let fetch = Ordering::Relaxed;
        let changed = self.0.fetch_update(set, fetch, |word| Some(change(word)));
        changed.expect("a change is never declined");
    }

    /// The word as it is now.
    #[inline]
    pub(super) fn look(&self) -> Look {
        // Acquire: pairs with the Release in `leave`.
        let order =
            if cfg!(tidelock_weaken = "look_acquire") { Ordering::Relaxed } else { Ordering::Acquire };
        Look(self.0.load(order))
    }
}

impl Look {
    #[inline]
    fn admits(self, mode: Mode) -> bool {
        let count = if mode == Mode::Read { READERS.get(self.0) } else { WRITERS.get(self.0) };
        let is_allowed = self.usable().satisfies(mode) || cfg!(tidelock_weaken = "narrowed_unnoticed");
        PRESENT.get(self.0) != 0 && is_allowed && count < USERS_MAX
    }

    fn usable(self) -> Mode {
        const MODES: [Mode; 4] = Mode::ALL;
        MODES[USABLE.get(self.0) as usize]
    }

    /// Users that have to leave before the lock has come down to what it may be used as.
    fn in_the_way(self) -> u64 {
        let (readers, writers) = (READERS.get(self.0), WRITERS.get(self.0));
        match self.usable() {
            Mode::Null => readers + writers,
            Mode::Read if cfg!(tidelock_weaken = "writers_uncounted") => 0,
            Mode::Read => writers,
            Mode::Write | Mode::WriteOnly => 0,
        }
    }

    fn is_drained_by(self, after: Look) -> bool {
        DRAINING.get(after.0) != 0 && self.in_the_way() > 0 && after.in_the_way() == 0
    }

    /// Whether nobody is in the way any more of a lock that comes down or is lost.
    pub(super) fn is_drained(self) -> bool {
        DRAINING.get(self.0) != 0 && self.in_the_way() == 0
    }

    /// Whether the word is somebody's.
    pub(super) fn is_present(self) -> bool {
        PRESENT.get(self.0) != 0
    }

    /// Whether the lock is lost.
    #[inline]
    pub(super) fn is_void(self) -> bool {
        VOID.get(self.0) != 0
    }

    /// Users, for reading and for writing.
    pub(super) fn users(self) -> (u64, u64) {
        (READERS.get(self.0), WRITERS.get(self.0))
    }
}

/// One user of this kind.
#[inline]
const fn unit(mode: Mode) -> u64 {
    match mode {
        Mode::Read => READERS.unit(),
        Mode::Write | Mode::WriteOnly => WRITERS.unit(),
        Mode::Null => panic!("nobody uses a lock as nothing"),
    }
}
