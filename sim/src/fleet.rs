//! Many seeds, on several threads: each run is in one of them, from beginning to end.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::{Counts, Report, Settings, Tally, run};

/// Seeds to be run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Fleet {
    /// The first.
    pub start: u64,
    /// How many.
    pub seeds: u64,
    /// Threads.
    pub jobs: usize,
    /// How to run them.
    pub settings: Settings,
    /// Whether to go on after a violation.
    pub goes_on: bool,
}

/// What came of many runs.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Summary {
    /// Runs.
    pub seeds: u64,
    /// Those in which a property did not hold, by seed.
    pub failed: Vec<Report>,
    /// What happened in all of them.
    pub counts: Counts,
    /// Faults that happened.
    pub faults: Tally,
    /// Their time, all together.
    pub time: Duration,
    /// The longest recovery, and its seed.
    pub recovery: (Duration, u64),
    /// The longest time that it took to settle, and the seed.
    pub settling: (Duration, u64),
}

impl Summary {
    fn add(&mut self, report: Report) {
        self.seeds += 1;
        self.counts.add(&report.counts);
        self.faults.add(&report.faults);
        self.time += report.time;
        self.recovery = self.recovery.max((report.recovery, report.seed));
        self.settling = self.settling.max((report.settling, report.seed));
        if report.violation.is_some() {
            self.failed.push(report);
        }
    }
}

impl Fleet {
    /// These seeds, on one thread.
    pub fn new(start: u64, seeds: u64, settings: Settings) -> Self {
        Self { start, seeds, jobs: 1, settings, goes_on: false }
    }

    /// Runs them. `told` is called after each, from whatever thread it was on.
    pub fn run(&self, told: impl Fn(&Report) + Sync) -> Summary {
        let (next, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
        let summary = Mutex::new(Summary::default());
        let work = || {
            loop {
                // Relaxed: a counter; nothing else is told by it.
                let nth = next.fetch_add(1, Ordering::Relaxed);
                // Relaxed: a hint to stop early.
                if nth >= self.seeds || is_over.load(Ordering::Relaxed) {
                    return;
                }
                let report = run(self.start.wrapping_add(nth), &self.settings);
                told(&report);
                if report.violation.is_some() && !self.goes_on {
                    // Relaxed: as above.
                    is_over.store(true, Ordering::Relaxed);
                }
                summary.lock().expect("nobody panics with it").add(report);
            }
        };
        thread::scope(|scope| {
            for _ in 0..self.jobs.max(1) {
                scope.spawn(work);
            }
        });
        let mut summary = summary.into_inner().expect("nobody panics with it");
        summary.failed.sort_by_key(|report| report.seed);
        summary
    }
}
