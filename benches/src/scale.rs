//! How much of everything is done: enough for steady figures, or little enough for a quick look.
//!
//! The sizes of caches and key spaces are the same in both, so the same things are measured; `--quick` repeats
//! less often and does fewer operations, which widens the spread between repetitions.

use std::time::Duration;

/// Numbers of operations, per thread and measurement where not said otherwise.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// How often the whole plan is played.
    pub repetitions: usize,
    /// How often growth is played, at most: one to two minutes each time.
    pub growths: usize,
    /// How long the machine is left alone before each turn of growth: see [`play`](crate::tournament::play).
    pub settling: Duration,
    /// How often a set too large for the processor's caches is looked up, at most: filling the caches takes the time.
    pub far_repetitions: usize,
    /// Lookups in a resident set, against every peer.
    pub lookups: usize,
    /// Lookups where all who take part are fast.
    pub fast_lookups: usize,
    /// Lookups in a set too large for the processor's caches.
    pub far_lookups: usize,
    /// Lookups and inserts under pressure.
    pub demands: usize,
    /// The same before a cache under pressure is measured, all in one thread.
    pub warming_demands: usize,
    /// Lookups in each phase of the scan workload.
    pub phase_demands: usize,
}

impl Scale {
    /// Some twenty-five minutes in all.
    pub const FULL: Self = Self {
        repetitions: 7,
        growths: 5,
        settling: Duration::from_secs(6),
        far_repetitions: 7,
        lookups: 2 << 20,
        fast_lookups: 8 << 20,
        far_lookups: 4 << 20,
        demands: 3 << 20,
        warming_demands: 3 << 20,
        phase_demands: 256 << 10,
    };

    /// Under three minutes in all.
    pub const QUICK: Self = Self {
        repetitions: 3,
        growths: 1,
        settling: Duration::ZERO,
        far_repetitions: 2,
        lookups: 256 << 10,
        fast_lookups: 1 << 20,
        far_lookups: 256 << 10,
        demands: 256 << 10,
        warming_demands: 2 << 20,
        phase_demands: 64 << 10,
    };
}

/// What each of `threads` threads does of `ops`: many threads on few cores do not do more in all than two.
pub fn share(ops: usize, threads: usize) -> usize {
    ops * 2 / threads.max(2)
}
