//! One cache's account with a budget: what it took, and what it gave back.

use std::sync::Weak;
use tidelock_sync::unmodelled::{AtomicU64, Ordering};

use super::{MemoryBudget, Shrinker};

/// One cache's account with a budget, in frames.
#[derive(Debug, Default)]
pub(crate) struct Charge {
    budget: Option<MemoryBudget>,
    frame_bytes: u64,
    id: AtomicU64,
    taken: AtomicU64,
}

impl Charge {
    pub(crate) fn new(budget: Option<MemoryBudget>, frame_bytes: usize) -> Self {
        Self { budget, frame_bytes: frame_bytes as u64, ..Self::default() }
    }

    /// The cache exists now.
    pub(crate) fn join(&self, cache: Weak<dyn Shrinker>) {
        if let Some(budget) = &self.budget {
            // Relaxed: read again by leave() alone.
            self.id.store(budget.register(cache), Ordering::Relaxed);
        }
    }

    /// The cache was closed: its frames are not the budget's any more.
    pub(crate) fn leave(&self) {
        if let Some(budget) = &self.budget {
            budget.deregister(self.id.load(Ordering::Relaxed));
            // Relaxed: the number itself is all that is shared.
            budget.give_back(self.taken.swap(0, Ordering::Relaxed));
        }
    }

    /// Takes room for up to `frames`; returns for how many.
    pub(crate) fn take(&self, frames: usize) -> usize {
        let Some(budget) = &self.budget else { return frames };
        let bytes = budget.take(frames as u64 * self.frame_bytes, self.frame_bytes);
        // Relaxed: as above.
        self.taken.fetch_add(bytes, Ordering::Relaxed);
        (bytes / self.frame_bytes) as usize
    }

    /// Gives the room of `frames` back.
    pub(crate) fn give_back(&self, frames: usize) {
        let Some(budget) = &self.budget else { return };
        let bytes = frames as u64 * self.frame_bytes;
        // After leave() there is nothing left to give.
        let changed =
            self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| taken.checked_sub(bytes));
        if changed.is_ok() {
            budget.give_back(bytes);
        }
    }

    /// Whether a frame could be had if somebody else made room.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.budget.as_ref().is_some_and(|budget| budget.used() + self.frame_bytes > budget.limit())
    }

    /// Asks for room for `frames`. Called with nothing locked: another cache shrinks meanwhile.
    pub(crate) fn make_room(&self, frames: usize) -> bool {
        let Some(budget) = &self.budget else { return false };
        budget.make_room(self.taken.load(Ordering::Relaxed), frames as u64 * self.frame_bytes)
    }
}
