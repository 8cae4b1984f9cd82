//! A small number for the calling thread, so that per-thread state can live in an array.
//!
//! Numbers start at 0 and are given back when a thread ends; a new thread takes the smallest free one. So they stay as
//! small as the most threads that ever lived at once.

#[cfg(not(tidelock_loom))]
mod leases {
    use std::collections::BTreeSet;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// The numbers in use. A plain std mutex also under shuttle: who gets which number is not what models explore.
    struct Numbers {
        /// Given back, and smaller than `next`.
        free: BTreeSet<usize>,
        /// Never given out yet.
        next: usize,
    }

    static NUMBERS: Mutex<Numbers> = Mutex::new(Numbers { free: BTreeSet::new(), next: 0 });

    /// How many numbers were ever given out: `next`, to be read without the mutex.
    static BOUND: AtomicUsize = AtomicUsize::new(0);

    pub(super) fn bound() -> usize {
        // Acquire: pairs with the Release in Lease::take().
        BOUND.load(Ordering::Acquire)
    }

    /// A number, given back on drop.
    pub(super) struct Lease(pub(super) usize);

    impl Lease {
        pub(super) fn take() -> Self {
            let mut numbers = NUMBERS.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            Self(numbers.free.pop_first().unwrap_or_else(|| {
                numbers.next += 1;
                // Release: pairs with the Acquire in bound().
                BOUND.store(numbers.next, Ordering::Release);
                numbers.next - 1
            }))
        }
    }

    impl Drop for Lease {
        fn drop(&mut self) {
            let mut numbers = NUMBERS.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            numbers.free.insert(self.0);
            drop(numbers);
            super::cached::forget_cached();
        }
    }
}

/// A number that no thread's index has reached so far. Grows only.
///
/// A thread has raised it before its first call to [`thread_index`] returns, so whoever reads it after a
/// [`barrier::heavy`](crate::barrier::heavy) misses no thread that has passed a [`barrier::light`](crate::barrier::light),
/// or the fence that stands in for it, since then.
pub fn thread_index_bound() -> usize {
    bound()
}

#[cfg(not(any(tidelock_loom, tidelock_shuttle)))]
mod cached {
    use super::leases::Lease;
    use std::cell::Cell;

    /// Beyond every array that a number may be looked up in.
    const UNKNOWN: usize = usize::MAX;

    thread_local! {
        /// The thread's number, or [`UNKNOWN`] before it has one. No destructor, so reading it is a single load.
        static CACHED: Cell<usize> = const { Cell::new(UNKNOWN) };
        static LEASE: Lease = Lease::take();
    }

    /// The calling thread's number.
    #[inline(always)]
    pub fn thread_index() -> usize {
        match CACHED.get() {
            UNKNOWN => lease(),
            number => number,
        }
    }

    /// The calling thread's number, if it was asked for before: without a call.
    #[inline(always)]
    pub fn known_thread_index() -> Option<usize> {
        Some(CACHED.get()).filter(|number| *number != UNKNOWN)
    }

    #[cold]
    fn lease() -> usize {
        // While the thread's locals are being destroyed there is no lease to be had any more: take a number for good.
        let number = LEASE.try_with(|lease| lease.0).unwrap_or_else(|_| {
            let lease = Lease::take();
            let number = lease.0;
            std::mem::forget(lease);
            number
        });
        CACHED.set(number);
        number
    }

    pub(super) fn forget_cached() {
        CACHED.set(UNKNOWN);
    }
}

/// Loom would not see the order that the mutex makes between a number's last thread and its next: numbers are not given
/// back, and start anew in each execution.
#[cfg(tidelock_loom)]
mod cached {
    use loom::sync::atomic::{AtomicUsize, Ordering};
    use loom::{lazy_static, thread_local};

    lazy_static! {
        static ref NEXT: AtomicUsize = AtomicUsize::new(0);
    }

    thread_local! {
        // Release: pairs with the Acquire in bound().
        static NUMBER: usize = NEXT.fetch_add(1, Ordering::Release);
    }

    pub(super) fn bound() -> usize {
        // Acquire: as in a real lease.
        NEXT.load(Ordering::Acquire)
    }

    /// The calling thread's number.
    pub fn thread_index() -> usize {
        NUMBER.with(|number| *number)
    }

    /// As above.
    pub fn known_thread_index() -> Option<usize> {
        Some(thread_index())
    }
}

#[cfg(tidelock_shuttle)]
mod cached {
    use super::leases::Lease;
    use shuttle::thread_local;

    thread_local! {
        static LEASE: Lease = Lease::take();
    }

    /// The calling thread's number.
    pub fn thread_index() -> usize {
        LEASE.with(|lease| lease.0)
    }

    /// As above.
    pub fn known_thread_index() -> Option<usize> {
        Some(thread_index())
    }

    pub(super) fn forget_cached() {}
}

#[cfg(tidelock_loom)]
use cached::bound;
pub use cached::{known_thread_index, thread_index};
#[cfg(not(tidelock_loom))]
use leases::bound;
