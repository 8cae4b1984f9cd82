//! The instruments of one run, handed to every measurement.

use std::{io, time::Duration};

use crate::{
    clock::Stopwatch,
    sample::Sample,
    threads::{Processors, Race},
};

/// Processors and stopwatch.
#[derive(Clone, Debug)]
pub struct Rig {
    /// Where threads run.
    pub processors: Processors,
    /// What times single operations.
    pub stopwatch: Stopwatch,
}

impl Rig {
    /// Sets the instruments up.
    pub fn new() -> io::Result<Self> {
        Ok(Self { processors: Processors::allowed()?, stopwatch: Stopwatch::calibrated() })
    }

    /// What one operation cost the core it ran on, when `threads` threads did `ops` of them together in `wall`.
    pub fn ns_per_op(&self, wall: Duration, threads: usize, ops: usize) -> f64 {
        let cores = threads.min(self.processors.count());
        wall.as_nanos() as f64 * cores as f64 / ops as f64
    }

    /// The sample of a race in which each thread did `ops` lookups and returned how many of them hit.
    pub fn sample_hits(&self, race: &Race<usize>, ops: usize) -> Sample {
        let total = ops * race.results.len();
        let hits: usize = race.results.iter().sum();
        Sample::new(self.ns_per_op(race.wall, race.results.len(), total), hits as f64 / total as f64)
    }
}
