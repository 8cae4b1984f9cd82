//! A stopwatch for single operations: the time stamp counter where it is steady, less the cost of reading it.

use quanta::Clock;

/// A clock whose own cost is known.
#[derive(Clone, Debug)]
pub struct Stopwatch {
    clock: Clock,
    cost_ticks: u64,
}

impl Stopwatch {
    /// Calibrates against the system's clock (some hundred milliseconds, once a process).
    pub fn calibrated() -> Self {
        let clock = Clock::new();
        let mut costs: Vec<u64> = (0..4096).map(|_| clock.raw().abs_diff(clock.raw())).collect();
        costs.sort_unstable();
        Self { cost_ticks: costs[costs.len() / 2], clock }
    }

    /// The counter now.
    #[inline]
    pub fn ticks(&self) -> u64 {
        self.clock.raw()
    }

    /// What a span of `ticks`, read with two calls of [`Stopwatch::ticks`], took in nanoseconds without them.
    #[inline]
    pub fn nanos(&self, ticks: u64) -> u64 {
        self.clock.delta_as_nanos(0, ticks.saturating_sub(self.cost_ticks))
    }
}

#[cfg(test)]
mod tests {
    use std::{thread, time::Duration};

    use super::*;

    #[test]
    fn a_nap_takes_its_time_and_nothing_takes_next_to_none() {
        let stopwatch = Stopwatch::calibrated();
        let start = stopwatch.ticks();
        thread::sleep(Duration::from_millis(10));
        let nap_ns = stopwatch.nanos(stopwatch.ticks() - start);
        assert!(nap_ns >= 9_900_000, "{nap_ns}");
        assert_eq!(stopwatch.nanos(stopwatch.cost_ticks), 0);
    }
}
