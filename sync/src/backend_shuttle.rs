//! Many random schedules of a program too large for loom. Atomics are sequentially consistent here.

pub use shuttle::sync::{Arc, Condvar, Mutex, MutexGuard};

/// Atomic integers and fences, scheduled by shuttle.
pub mod atomic {
    pub use shuttle::sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
    };
}

/// Spin hints: shuttle switches to another thread.
pub mod hint {
    pub use shuttle::hint::spin_loop;
}

/// Threads that shuttle schedules.
pub mod thread {
    pub use shuttle::thread::{JoinHandle, spawn, yield_now};
}

/// Runs `body` under many random schedules: `TIDELOCK_SHUTTLE_ITERATIONS` of them, 1000 when that is not set.
///
/// # Panics
/// If the variable is set to something that is not a number.
pub fn model(body: impl Fn() + Send + Sync + 'static) {
    let iterations = match std::env::var("TIDELOCK_SHUTTLE_ITERATIONS") {
        Ok(text) => text.parse().expect("TIDELOCK_SHUTTLE_ITERATIONS must be a number of schedules"),
        Err(_) => 1000,
    };
    shuttle::check_random(body, iterations);
}

/// Memory that several threads reach. Shuttle only watches synchronisation, so this is a plain cell.
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct UnsafeCell<T: ?Sized>(std::cell::UnsafeCell<T>);

impl<T> UnsafeCell<T> {
    /// A cell that holds `value`.
    pub const fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    /// Calls `read` with a pointer for reading. The caller makes sure that nobody writes meanwhile.
    pub fn with<R>(&self, read: impl FnOnce(*const T) -> R) -> R {
        read(self.0.get())
    }

    /// Calls `write` with a pointer for writing. The caller makes sure that nobody else reads or writes meanwhile.
    pub fn with_mut<R>(&self, write: impl FnOnce(*mut T) -> R) -> R {
        write(self.0.get())
    }
}
