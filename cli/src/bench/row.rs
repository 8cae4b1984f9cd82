//! One measurement, as it is reported. The JSON lines are these, field for field.

use serde::Serialize;
use tidelock_block_cache::Stats;

use super::measure::Measured;
use super::setting::Setting;
use crate::error::CliError;

/// What one measurement came to.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Row {
    pub(crate) workload: &'static str,
    pub(crate) threads: usize,
    /// Reads that each thread kept in flight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) depth: Option<u32>,
    pub(crate) block_size: usize,
    pub(crate) capacity_blocks: u64,
    pub(crate) ops: u64,
    pub(crate) seconds: f64,
    /// Time of one thread for one operation.
    pub(crate) ns_per_op: f64,
    /// Processor time of the whole process for one operation.
    pub(crate) cpu_ns_per_op: f64,
    pub(crate) p50_ns: u64,
    pub(crate) p99_ns: u64,
    pub(crate) p999_ns: u64,
    pub(crate) max_ns: u64,
    pub(crate) hit_ratio: f64,
    pub(crate) device_reads: u64,
    pub(crate) device_writes: u64,
    /// Moved between cache and device.
    pub(crate) bytes: u64,
    pub(crate) shrink_visited: u64,
    pub(crate) shrink_freed: u64,
    pub(crate) stale: u64,
    /// Requests for a frame that found none, and were repeated.
    pub(crate) no_frame: u64,
    pub(crate) errors: u64,
    #[serde(flatten)]
    pub(crate) replayed: Option<Replayed>,
    #[serde(flatten)]
    pub(crate) grown: Option<Grown>,
    /// What ended it early. Told after everything that was measured has been shown.
    #[serde(skip)]
    pub(crate) failure: Option<CliError>,
}

/// What only the replay of a trace has.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Replayed {
    pub(crate) trace: String,
    pub(crate) accesses: usize,
    pub(crate) unique: usize,
    pub(crate) belady_hit_ratio: f64,
    pub(crate) lru_hit_ratio: f64,
    pub(crate) s3fifo_hit_ratio: f64,
}

/// What only growth has: longest insertions, the middle of several rounds.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Grown {
    pub(crate) longest_insert_ns: u64,
    /// Of the same cache, built at its full size.
    pub(crate) longest_insert_presized_ns: u64,
}

impl Row {
    /// The row of a measured run.
    pub(crate) fn new(workload: &'static str, setting: &Setting, measured: Measured) -> Self {
        let samples = &measured.samples;
        let latency = |quantile| samples.latencies.value_at_quantile(quantile);
        let ops = samples.ops.max(1) as f64;
        Self {
            workload,
            threads: setting.threads,
            ops: samples.ops,
            seconds: samples.elapsed.as_secs_f64(),
            ns_per_op: measured.thread_seconds * 1e9 / ops,
            cpu_ns_per_op: measured.cpu_ns / ops,
            p50_ns: latency(0.5),
            p99_ns: latency(0.99),
            p999_ns: latency(0.999),
            max_ns: samples.latencies.max(),
            errors: samples.errors,
            failure: measured.failure,
            ..Self::counted(setting, &measured.before, &measured.after)
        }
    }

    /// What the cache counted between two moments.
    fn counted(setting: &Setting, before: &Stats, after: &Stats) -> Self {
        let (new, old) = (&after.events, &before.events);
        let (hits, misses) = (after.hits - before.hits, after.misses - before.misses);
        let device_reads = new.device_reads - old.device_reads;
        let device_writes = new.device_writes - old.device_writes;
        Self {
            block_size: setting.block_size.bytes(),
            capacity_blocks: setting.capacity,
            hit_ratio: hits as f64 / (hits + misses).max(1) as f64,
            device_reads,
            device_writes,
            bytes: (device_reads + device_writes) * setting.block_size.bytes() as u64,
            shrink_visited: new.shrink_visited - old.shrink_visited,
            shrink_freed: new.shrink_freed - old.shrink_freed,
            stale: new.stale_after_reread + new.stale_on_dirty - old.stale_after_reread - old.stale_on_dirty,
            no_frame: new.no_frame - old.no_frame,
            ..Self::default()
        }
    }

    /// Operations a second, of all threads together.
    pub(crate) fn ops_per_second(&self) -> f64 {
        self.ops as f64 / self.seconds.max(f64::MIN_POSITIVE)
    }

    /// Frames that eviction looked at for each that it freed.
    pub(crate) fn visited_per_freed(&self) -> Option<f64> {
        (self.shrink_freed > 0).then(|| self.shrink_visited as f64 / self.shrink_freed as f64)
    }
}
