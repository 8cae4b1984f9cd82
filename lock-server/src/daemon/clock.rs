//! The two clocks of a process: one that only goes on, for everything that is decided, and the time of day, for people.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// Since the machine was started, the time that it was suspended included: leases run while it sleeps.
pub(super) fn now() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    // It begins at zero and never goes back, so neither part is negative.
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// The time of day in ms since 1970.
pub(super) fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}
