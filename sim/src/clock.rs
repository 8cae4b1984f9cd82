//! What time it is, for the world and for each process in it.
//!
//! The world has a true time. A process sees it through a clock of its own, which began elsewhere and runs a little fast or
//! slow. It counts while its process stands still, as `CLOCK_BOOTTIME` does; that one which does not is a planted bug.

use std::sync::Arc;
use std::time::Duration;

use tidelock_lock_client::{Clock, ManualClock};

use crate::random::nanos;

/// True time since the run began.
pub(crate) type Time = Duration;

/// One process's clock.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LocalClock {
    /// What it shows when the world begins.
    begins: u64,
    /// How much faster it runs than the truth, in millionths.
    rate_ppm: i64,
    /// Time that it did not count.
    lost: u64,
}

impl LocalClock {
    pub(crate) fn new(begins: Duration, rate_ppm: i64) -> Self {
        Self { begins: nanos(begins), rate_ppm, lost: 0 }
    }

    /// What it shows at this moment.
    pub(crate) fn show(&self, now: Time) -> Duration {
        let true_nanos = i128::from(nanos(now));
        let gained = true_nanos * i128::from(self.rate_ppm) / 1_000_000;
        let shown = i128::from(self.begins) + true_nanos + gained - i128::from(self.lost);
        Duration::from_nanos(u64::try_from(shown.max(0)).unwrap_or(u64::MAX))
    }

    /// The first moment at which it shows this, or a nanosecond or two later.
    pub(crate) fn when(&self, shown: Duration) -> Time {
        let since = i128::from(nanos(shown)) - i128::from(self.begins) + i128::from(self.lost);
        let guess = since.max(0) * 1_000_000 / (1_000_000 + i128::from(self.rate_ppm));
        let mut when = Duration::from_nanos(u64::try_from(guess).unwrap_or(u64::MAX / 4));
        // Bound: rounding is off by a few nanoseconds at the most.
        while self.show(when) < shown {
            when += Duration::from_nanos(1);
        }
        when
    }

    /// It stood still for so long.
    pub(crate) fn lose(&mut self, time: Duration) {
        self.lost += nanos(time);
    }
}

/// The clocks that a client reads: set to what its process's clock shows before anything is done there. The coarse one is a
/// little behind, and stands still while the process does.
#[derive(Clone, Debug, Default)]
pub(crate) struct SharedClock(Arc<(ManualClock, ManualClock)>);

impl SharedClock {
    pub(crate) fn set(&self, shown: Duration, slept: Duration) {
        let (exact, coarse) = &*self.0;
        exact.set(shown);
        let behind = nanos(shown.saturating_sub(slept)) / COARSE_STEP * COARSE_STEP;
        coarse.set(Duration::from_nanos(behind));
    }
}

/// The steps of a coarse clock, as nanoseconds.
const COARSE_STEP: u64 = 4_000_000;

impl Clock for SharedClock {
    fn now(&self) -> Duration {
        self.0.0.now()
    }

    fn coarse(&self) -> u64 {
        nanos(self.0.1.now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_clock_shows_is_found_again() {
        for rate in [-400_000, -4_000, 0, 1, 3_999, 400_000] {
            let clock = LocalClock::new(Duration::from_secs(1000), rate);
            for true_nanos in [0, 1, 999, 1_000_000_007, 123_456_789_012] {
                let now = Duration::from_nanos(true_nanos);
                let found = clock.when(clock.show(now));
                assert!(clock.show(found) >= clock.show(now), "{rate}: {found:?}, {now:?}");
                assert!(found <= now + Duration::from_nanos(2), "{rate}: {found:?}, {now:?}");
            }
        }
    }

    #[test]
    fn time_that_was_not_counted_is_missing() {
        let mut clock = LocalClock::new(Duration::ZERO, 0);
        clock.lose(Duration::from_secs(3));
        assert_eq!(clock.show(Duration::from_secs(10)), Duration::from_secs(7));
    }
}
