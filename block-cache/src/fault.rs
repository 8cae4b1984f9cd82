//! Named faults that a test can arm, and that report having fired.
//!
//! They are always compiled in: each is looked at on a slow path only, after everything else that decides there, so that
//! an unrelated event never uses one up. Arming returns a handle; a test asserts that it fired.

use std::sync::{Arc, Mutex};
use tidelock_sync::unmodelled::{AtomicBool, AtomicUsize, Ordering};

use tidelock_format::BlockNo;

/// A place where something can be made to go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FaultPoint {
    /// The next read of this block by reference finds its cached copy stale, although it matches: the copy is dropped and
    /// the media read again. Fires only when the copy can be dropped.
    Stale(BlockNo),
    /// The device refuses to take the first request of the next submit: of reads, of a write, or a flush.
    RefuseSubmit,
    /// Who needs a frame, for a block that is read, inserted or dirtied, gets none.
    NoFrame,
    /// The index should grow and cannot. Counted as a refused growth.
    NoGrowth,
}

/// One armed fault.
#[derive(Debug)]
struct Armed {
    point: FaultPoint,
    /// Times to let pass before it fires.
    passes: AtomicUsize,
    fired: AtomicBool,
}

/// Tells whether an armed fault fired. Dropping it disarms the fault.
#[derive(Debug)]
#[must_use = "dropping the handle disarms the fault"]
pub struct ArmedFault {
    armed: Arc<Armed>,
    faults: Arc<Faults>,
}

impl ArmedFault {
    /// Whether it fired.
    pub fn has_fired(&self) -> bool {
        // Acquire: pairs with the Release in fires().
        self.armed.fired.load(Ordering::Acquire)
    }
}

impl Drop for ArmedFault {
    fn drop(&mut self) {
        let mut list = self.faults.list();
        list.retain(|armed| !Arc::ptr_eq(armed, &self.armed));
        // Relaxed: a hint for fires(); the list decides.
        self.faults.count.store(list.len(), Ordering::Relaxed);
    }
}

/// The faults of one cache.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    list: Mutex<Vec<Arc<Armed>>>,
    /// How many are armed, so that nobody takes the mutex for nothing.
    count: AtomicUsize,
}

impl Faults {
    fn list(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Armed>>> {
        self.list.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Arms `point` to fire once, after `passes` times of passing by.
    pub(crate) fn arm(self: &Arc<Self>, point: FaultPoint, passes: usize) -> ArmedFault {
        let armed =
            Arc::new(Armed { point, passes: AtomicUsize::new(passes), fired: AtomicBool::new(false) });
        let mut list = self.list();
        list.push(armed.clone());
        // Relaxed: as in drop().
        self.count.store(list.len(), Ordering::Relaxed);
        drop(list);
        ArmedFault { armed, faults: self.clone() }
    }

    /// Whether any fault is armed, for those who would have to do work to find out whether they want to know.
    pub(crate) fn are_armed(&self) -> bool {
        // Relaxed: as in drop().
        self.count.load(Ordering::Relaxed) > 0
    }

    /// Whether a fault at `point` is still to fire.
    pub(crate) fn await_point(&self, point: FaultPoint) -> bool {
        // Relaxed: the list's mutex orders it.
        self.are_armed()
            && self.list().iter().any(|armed| armed.point == point && !armed.fired.load(Ordering::Relaxed))
    }

    /// Whether a fault armed at `point` fires now.
    pub(crate) fn fires(&self, point: FaultPoint) -> bool {
        self.are_armed() && self.fires_armed(point)
    }

    #[cold]
    fn fires_armed(&self, point: FaultPoint) -> bool {
        self.list().iter().any(|armed| {
            // Relaxed: the list's mutex orders these.
            if armed.point != point || armed.fired.load(Ordering::Relaxed) {
                return false;
            }
            let passes = armed.passes.load(Ordering::Relaxed);
            if passes > 0 {
                armed.passes.store(passes - 1, Ordering::Relaxed);
                return false;
            }
            // Release: pairs with the Acquire in has_fired().
            armed.fired.store(true, Ordering::Release);
            true
        })
    }
}
