//! The state word of a frame: who holds it, what it holds, and whether lookups may still find it.
//!
//! ```text
//!  bit 36..5    4         3        2..0
//!  [ pins ] [orphan] [present]  [phase]
//! ```
//!
//! Presence is a bit of the reference count: who wants a counted pin adds it and then looks whether the bit still stands. So one
//! atomic addition both takes the reference and tells whether it may be kept.
//!
//! ```text
//!            claim                 completion            verified
//!   Free ------------> Filling ----------------> Loaded ----------> Clean
//!    ^ \                   \ error                  \ mismatch       /  ^
//!    |  \ dirty             v                        v              /   | written
//!    |   '-----> Dirty    Failed (not present)      (removed)      /    |
//!    |             \________________________________________ _____/_____'
//!    |                                                       v
//!    '-------------------- grace period ------------------ Retired
//! ```
//!
//! - **B5** exactly one party turns the presence bit off: [`State::evict`] only at zero pins, [`State::hide`] at any time.
//! - Whoever brings a hidden frame to zero pins retires it, exactly once: [`State::retire`] is a compare-and-swap to
//!   `Retired`, and there is no way back but through the pool.
//! - Lookups may add a pin to a hidden frame for a moment and take it off again: they run under a guard, and a retired
//!   frame is not reused before all guards that could have seen it are gone.

use tidelock_sync::atomic::{AtomicU64, Ordering};
use tidelock_sync::word::Field;

use super::unless;

// What every hit asks stands lowest: its mask fits into an instruction.
const PHASE: Field = Field::first(3);
const PRESENT: Field = PHASE.then(1);
const ORPHAN: Field = PRESENT.then(1);
const PINS: Field = ORPHAN.then(32);

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Phase {
    /// Nothing; owned by the pool, or by the thread that took it from there.
    Free = 0,
    /// A device is reading into it.
    Filling = 1,
    /// Read, not verified yet.
    Loaded = 2,
    /// An immutable image, verified.
    Clean = 3,
    /// An image that its writer still changes, or is writing.
    Dirty = 4,
    /// The read failed; waiters take the error from the header.
    Failed = 5,
    /// Hidden and unpinned; waits for the guards that may still see it.
    Retired = 6,
}

/// A value of the state word.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word(u64);

impl Word {
    /// A frame that lookups can find, in `phase`, with `pins` references.
    pub(crate) const fn present(phase: Phase, pins: u64) -> Self {
        Self(PRESENT.put(PHASE.put(PINS.put(0, pins), phase as u64), 1))
    }

    pub(crate) const fn pins(self) -> u64 {
        PINS.get(self.0)
    }

    #[inline(always)]
    pub(crate) const fn is_present(self) -> bool {
        PRESENT.get(self.0) == 1
    }

    /// The bits that tell whether it is readable, and what they are then.
    pub(crate) const READABLE_MASK: u64 = PRESENT.mask() | PHASE.mask();
    pub(crate) const READABLE: u64 = Self::present(Phase::Clean, 0).0;

    /// Whether lookups can find it and need not verify it: what every hit asks.
    #[inline(always)]
    pub(crate) const fn is_readable(self) -> bool {
        self.0 & Self::READABLE_MASK == Self::READABLE
    }

    pub(crate) fn phase(self) -> Phase {
        match PHASE.get(self.0) {
            0 => Phase::Free,
            1 => Phase::Filling,
            2 => Phase::Loaded,
            3 => Phase::Clean,
            4 => Phase::Dirty,
            5 => Phase::Failed,
            6 => Phase::Retired,
            _ => unreachable!("only the values of Phase are ever stored"),
        }
    }
}

impl std::fmt::Debug for Word {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let presence = if self.is_present() { "present" } else { "hidden" };
        let orphan = if ORPHAN.get(self.0) == 1 { ", orphan" } else { "" };
        write!(f, "{:?}, {presence}, {} pins{orphan}", self.phase(), self.pins())
    }
}

/// What dropping a pin asks of whoever dropped it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Unpinned {
    /// Nothing.
    Held,
    /// It was the last pin of a hidden frame: try to retire it.
    LastOfHidden,
}

/// What became of an attempt to retire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Retired {
    /// This call did it: the frame is the caller's to hand to the pool.
    Mine,
    /// As above, for a frame that outlived its cache's closing.
    MineOrphan,
    /// Somebody holds it still, or retired it already.
    Not,
}

/// What became of an attempt to evict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Evicted {
    /// The frame is retired and the caller's.
    Mine,
    /// It has references: a block in use, or a writer's.
    Pinned,
    /// It is not a clean or loaded block of the cache now.
    NotResident,
}

/// What a frame of a cache that was closed is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Orphaned {
    /// Nobody holds it.
    Empty,
    /// Held, as the word said at that moment; its last holder gets [`Retired::MineOrphan`].
    Held(Word),
}

/// The atomic word.
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct State(AtomicU64);

impl State {
    #[cfg(any(tidelock_loom, tidelock_shuttle))]
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    #[inline(always)]
    pub(crate) fn load(&self) -> Word {
        // Acquire: pairs with the Release of advance(); whoever sees Clean sees the bytes and the header.
        Word(self.0.load(unless(cfg!(tidelock_weaken = "load_acquire"), Ordering::Acquire)))
    }

    /// Takes an owned frame out of `Free` (or `Retired`, after its grace period). Lookups find it once it is in the table.
    pub(crate) fn claim(&self, word: Word) {
        // Release: pairs with the Acquire of pin(); the header was written before.
        self.0.store(word.0, Ordering::Release);
    }

    /// Puts an owned frame back to `Free`.
    pub(crate) fn free(&self) {
        // Relaxed: handed on through the pool's mutex, and no lookup can see this frame.
        self.0.store(0, Ordering::Relaxed);
    }

    /// Adds a pin. The caller looks at the word returned (as it is *with* the pin) and gives the pin back if that is not
    /// what it wanted.
    #[inline(always)]
    pub(crate) fn pin(&self) -> Word {
        // Acquire: pairs with the Release of advance() and claim(); who gets a pin on a Clean frame sees its bytes.
        let acquire = unless(cfg!(tidelock_weaken = "pin_acquire"), Ordering::Acquire);
        let before = self.0.fetch_add(PINS.unit(), acquire);
        debug_assert!(PINS.get(before) < PINS.max(), "B4: four billion references to one block");
        Word(before + PINS.unit())
    }

    /// Gives a pin back.
    #[inline(always)]
    pub(crate) fn unpin(&self) -> Unpinned {
        // Release: pairs with the Acquire of evict() and retire(): this reader's reads of the bytes come before the reuse.
        let release = unless(cfg!(tidelock_weaken = "unpin_release"), Ordering::Release);
        let before = Word(self.0.fetch_sub(PINS.unit(), release));
        debug_assert!(before.pins() > 0, "B4: a pin was given back that nobody held");
        let is_last = before.pins() == 1 && !before.is_present();
        if is_last && !cfg!(tidelock_weaken = "unpin_forgets") {
            Unpinned::LastOfHidden
        } else {
            Unpinned::Held
        }
    }

    /// Turns presence off, whatever pins there are. Tells whether this call did it.
    pub(crate) fn hide(&self) -> bool {
        // AcqRel: Acquire pairs with advance() (the remover may look at the header), Release with pin() of those who come
        // too late and then read what replaced it.
        let before = Word(self.0.fetch_and(!PRESENT.mask(), Ordering::AcqRel));
        before.is_present() || cfg!(tidelock_weaken = "hide_blindly")
    }

    /// Retires a hidden frame that nobody holds.
    pub(crate) fn retire(&self) -> Retired {
        let mut now = Word(self.0.load(Ordering::Relaxed));
        // Bound: each failed exchange means that another thread pinned, unpinned or retired this frame; a lookup that
        // comes after the frame left the table cannot pin it, so the retries are at most the lookups under way.
        while !now.is_present()
            && now.pins() == 0
            && (now.phase() != Phase::Retired || cfg!(tidelock_weaken = "retire_twice"))
            && now.phase() != Phase::Free
        {
            let orphan = ORPHAN.get(now.0);
            let retired = ORPHAN.put(PHASE.put(0, Phase::Retired as u64), orphan);
            // Acquire: pairs with the Release of unpin(): every reader is done with the bytes. Release: whoever takes the
            // frame from the pool comes after.
            let both = unless(cfg!(tidelock_weaken = "retire_acquire"), Ordering::AcqRel);
            match self.0.compare_exchange(now.0, retired, both, Ordering::Relaxed) {
                Ok(_) if orphan == 1 => return Retired::MineOrphan,
                Ok(_) => return Retired::Mine,
                Err(changed) => now = Word(changed),
            }
        }
        Retired::Not
    }

    /// Hides and retires at once, if nobody holds it.
    pub(crate) fn evict(&self) -> Evicted {
        let now = Word(self.0.load(Ordering::Relaxed));
        if !now.is_present() || !matches!(now.phase(), Phase::Clean | Phase::Loaded) {
            return Evicted::NotResident;
        }
        if now.pins() > 0 && !cfg!(tidelock_weaken = "evict_ignores_pins") {
            return Evicted::Pinned;
        }
        let retired = PHASE.put(0, Phase::Retired as u64);
        // AcqRel: as in retire(). One attempt: a failure means that somebody pinned it, verified it or removed it.
        let both = unless(cfg!(tidelock_weaken = "evict_acquire"), Ordering::AcqRel);
        match self.0.compare_exchange(now.0, retired, both, Ordering::Relaxed) {
            Ok(_) => Evicted::Mine,
            Err(_) => Evicted::Pinned,
        }
    }

    /// Changes the phase of a frame that only the caller may change: the filler's `Filling`, the writer's `Dirty`.
    /// Pins and presence change freely meanwhile.
    pub(crate) fn advance(&self, from: Phase, to: Phase) -> Word {
        let step = (to as u64).wrapping_sub(from as u64).wrapping_mul(PHASE.unit());
        // Release: pairs with the Acquire of load() and pin(); the bytes and the header come first.
        let release = unless(cfg!(tidelock_weaken = "advance_release"), Ordering::Release);
        let before = Word(self.0.fetch_add(step, release));
        debug_assert_eq!(before.phase(), from, "only the owner of a phase changes it");
        Word(before.0.wrapping_add(step))
    }

    /// Changes `Loaded` to `Clean`, or `Clean` back to `Loaded`, which any holder of a pin may do. Tells whether this call did it.
    pub(crate) fn exchange_phase(&self, from: Phase, to: Phase) -> bool {
        let mut now = Word(self.0.load(Ordering::Relaxed));
        // Bound: a retry means that another thread changed its pin, and each of them has to get a pin under a guard.
        while now.phase() == from {
            let next = PHASE.put(now.0, to as u64);
            // Release: pairs with the Acquire of load() and pin(); the header was filled in before. Acquire: the bytes.
            let both = unless(cfg!(tidelock_weaken = "verified_release"), Ordering::AcqRel);
            match self.0.compare_exchange_weak(now.0, next, both, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(changed) => now = Word(changed),
            }
        }
        false
    }

    /// Takes the frame of a closed cache out of sight. One that nobody holds is retired at once, one that is held is marked
    /// as an orphan; tells which.
    pub(crate) fn orphan(&self) -> Orphaned {
        // Acquire, here and when the exchange fails: pairs with the Release of unpin() and retire(). Whoever gave up the
        // last pin is seen to be leaving: the memory may go after this.
        let acquire = unless(cfg!(tidelock_weaken = "orphan_acquire"), Ordering::Acquire);
        let mut now = Word(self.0.load(acquire));
        // Bound: as in retire(); no new pin is taken once presence is off, and before that each retry is a pin that was.
        loop {
            if matches!(now.phase(), Phase::Free | Phase::Retired) {
                return Orphaned::Empty;
            }
            let next = match now.pins() {
                0 => PHASE.put(0, Phase::Retired as u64),
                _ => ORPHAN.put(PRESENT.put(now.0, 0), 1),
            };
            // AcqRel: as in retire() and hide().
            match self.0.compare_exchange(now.0, next, Ordering::AcqRel, acquire) {
                Ok(_) if now.pins() == 0 => return Orphaned::Empty,
                Ok(_) => return Orphaned::Held(now),
                Err(changed) => now = Word(changed),
            }
        }
    }
}
