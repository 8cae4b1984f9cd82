//! What time it is, by a clock that never goes back and goes on while the machine is suspended.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A clock. Time counts from some moment before the client began.
pub trait Clock: Send + Sync + 'static {
    /// The time.
    fn now(&self) -> Duration;

    /// How much time has passed since some moment or other, as nanoseconds: by a clock that is cheap to read, may be behind
    /// by some milliseconds, and need not count suspension. It is looked at whenever a lock is taken that is held already.
    fn coarse(&self) -> u64 {
        nanos(self.now())
    }
}

/// The machine's clock: Linux's `CLOCK_BOOTTIME`, which counts suspension (a lease that was slept through is over).
#[derive(Clone, Copy, Debug, Default)]
pub struct BootClock;

impl Clock for BootClock {
    #[inline]
    fn now(&self) -> Duration {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
    }

    #[inline]
    fn coarse(&self) -> u64 {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::MonotonicCoarse);
        time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
    }
}

/// A clock that stands until it is set: for tests and simulations.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    /// Sets it. Time in whole nanoseconds.
    pub fn set(&self, now: Duration) {
        self.0.store(nanos(now), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::SeqCst))
    }
}

/// A time as a word: enough for five hundred years.
pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
