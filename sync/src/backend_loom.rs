//! Every interleaving, and every value that the memory model allows.

pub use loom::cell::UnsafeCell;
pub use loom::sync::{Arc, Condvar, Mutex, MutexGuard};

/// Atomic integers and fences, watched by loom.
pub mod atomic {
    pub use loom::sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
    };
}

/// Spin hints: loom switches to another thread.
pub mod hint {
    pub use loom::hint::spin_loop;
}

/// Threads that loom schedules.
pub mod thread {
    pub use loom::thread::{JoinHandle, spawn, yield_now};
}

/// Runs `body` once for every schedule, up to the bounds in `LOOM_MAX_PREEMPTIONS` and the like.
pub fn model(body: impl Fn() + Send + Sync + 'static) {
    loom::model(body);
}
