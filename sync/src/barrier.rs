//! A store-load barrier in two halves: the side that runs all the time pays nothing, the side that runs rarely pays for
//! both.
//!
//! Two parties each store a flag and then look at the other's: at least one must see the other's store. With ordinary
//! fences both pay some tens of cycles each time, and the fence also keeps the processor from overlapping the cache
//! misses of one lookup with those of the next. Here the frequent side calls [`light`], which only keeps the compiler
//! from reordering; the rare side calls [`heavy`], which makes every processor that runs a thread of this process
//! execute a full barrier (`membarrier(2)`, `MEMBARRIER_CMD_PRIVATE_EXPEDITED`, Linux 4.14). So whatever the frequent
//! side stored before its `light` is visible after the `heavy`, or its later loads come after it.
//!
//! Where the system call cannot be had, [`light`] is nothing but a compiler's barrier and the frequent side has to fence for
//! itself: [`prepare`] tells it so, once, and it can fold that into a look that it takes anyway. Under a model both are fences.
//! The idea is that of asymmetric fences (P1202, folly, and the `seize` crate).

use crate::atomic::{Ordering, fence};

#[cfg(not(any(tidelock_loom, tidelock_shuttle)))]
pub use system::{heavy, light};

#[cfg(any(tidelock_loom, tidelock_shuttle))]
pub use modelled::{heavy, light};

#[cfg(any(tidelock_loom, tidelock_shuttle))]
mod modelled {
    use crate::atomic::{Ordering, fence};

    /// The frequent side's half.
    pub fn light() {
        // Off under this weakening: see docs/ordering.md.
        if !cfg!(tidelock_weaken = "light_barrier") {
            // SeqCst: pairs with heavy(); one of the two sides sees the other's store.
            fence(Ordering::SeqCst);
        }
    }

    /// The rare side's half.
    pub fn heavy() {
        if !cfg!(tidelock_weaken = "heavy_barrier") {
            // SeqCst: pairs with light().
            fence(Ordering::SeqCst);
        }
    }
}

#[cfg(not(any(tidelock_loom, tidelock_shuttle)))]
mod system {
    use std::sync::OnceLock;
    use std::sync::atomic::{Ordering, compiler_fence, fence};

    /// The frequent side's half: its stores before are visible to whoever calls [`heavy`] after, or its loads after see
    /// what that party stored before. Provided that [`prepare`](super::prepare) has said yes; else the caller adds a fence.
    #[inline(always)]
    pub fn light() {
        compiler_fence(Ordering::SeqCst);
    }

    /// The rare side's half. Costs a few microseconds when other threads run, a system call otherwise.
    pub fn heavy() {
        // SeqCst: orders this thread's own store before its later loads, whatever the kernel does.
        fence(Ordering::SeqCst);
        if register() && !membarrier::expedite() {
            unreachable!("membarrier failed after the kernel accepted the registration");
        }
        // SeqCst: pairs with the fence of a caller of light() who has to add one.
        fence(Ordering::SeqCst);
    }

    /// Asks the kernel once, and tells whether it will do. From then on it covers every thread of the process.
    pub(super) fn register() -> bool {
        static REGISTERED: OnceLock<bool> = OnceLock::new();
        *REGISTERED.get_or_init(membarrier::register)
    }

    #[cfg(target_os = "linux")]
    mod membarrier {
        /// From `linux/membarrier.h`.
        const PRIVATE_EXPEDITED: libc::c_int = 1 << 3;
        const REGISTER_PRIVATE_EXPEDITED: libc::c_int = 1 << 4;

        pub(super) fn register() -> bool {
            call(REGISTER_PRIVATE_EXPEDITED)
        }

        pub(super) fn expedite() -> bool {
            call(PRIVATE_EXPEDITED)
        }

        fn call(command: libc::c_int) -> bool {
            // SAFETY: the call takes two integers, touches no memory of ours and has no precondition.
            let answer = unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) };
            answer == 0
        }
    }

    #[cfg(not(target_os = "linux"))]
    mod membarrier {
        pub(super) fn register() -> bool {
            false
        }

        pub(super) fn expedite() -> bool {
            false
        }
    }
}

/// Asks the kernel for cheap barriers, and returns whether it agreed. Whoever uses [`light`] calls this before, and where
/// the answer is no puts a sequentially consistent fence behind each [`light`].
pub fn prepare() -> bool {
    #[cfg(not(any(tidelock_loom, tidelock_shuttle)))]
    return system::register();
    #[cfg(any(tidelock_loom, tidelock_shuttle))]
    true
}

/// [`light`] for a frequent side that has nothing to fold that answer into: fences where the kernel did not agree.
#[inline]
pub fn light_or_fence() {
    light();
    if !prepare() {
        // SeqCst: pairs with heavy().
        fence(Ordering::SeqCst);
    }
}
