//! How everything is measured: threads that work until they are told to stop, a sample of their latencies, and what the
//! cache counted meanwhile.
//!
//! A cache hit takes about as long as reading the clock, so where operations are short only one in [`STRIDE`] is timed, the
//! cost of the clock itself is taken off, and how many operations a thread did comes from counting, not from timing. The
//! first part of a run is not measured: caches, tables and branch predictors are as cold then as they never are again.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Barrier, LazyLock, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rustix::time::{ClockId, clock_gettime};
use tidelock_block_cache::{BlockCache, Stats};

use super::progress::Progress;
use super::setting::Setting;
use crate::error::CliError;

/// One operation in so many is timed where they are short.
const STRIDE: u32 = 64;
/// Operations that take longer are all timed.
const SHORT_NS_MAX: u64 = 4000;
/// Share of the time that is not measured, before what is.
const WARM_UP: u32 = 8;
/// Longest latency that is told from longer ones.
const LATENCY_MAX: Duration = Duration::from_secs(60);

const WARMING: u8 = 0;
const MEASURING: u8 = 1;
const OVER: u8 = 2;

/// Tells the threads of a run when to begin and to stop.
#[derive(Debug)]
pub(crate) struct Clock {
    /// Passed by all threads together, once each has drawn its keys.
    start: Barrier,
    phase: AtomicU8,
    /// The first failure that ends the run early.
    failure: Mutex<Option<CliError>>,
}

impl Clock {
    fn new(threads: usize) -> Self {
        // And the thread that watches the time.
        Self { start: Barrier::new(threads + 1), phase: AtomicU8::new(WARMING), failure: Mutex::new(None) }
    }

    /// Waits until everybody is ready to begin. Each thread calls it once.
    pub(crate) fn begin(&self) {
        self.start.wait();
    }

    pub(crate) fn is_warming(&self) -> bool {
        // Relaxed: a hint when to look elsewhere; what threads did is read after they were joined.
        self.phase.load(Ordering::Relaxed) == WARMING
    }

    pub(crate) fn is_over(&self) -> bool {
        // Relaxed: as above.
        self.phase.load(Ordering::Relaxed) == OVER
    }

    fn enter(&self, phase: u8) {
        // Relaxed: as above. Never back: a thread that failed has ended the run.
        self.phase.fetch_max(phase, Ordering::Relaxed);
    }

    /// Ends the run: going on would only repeat this.
    pub(crate) fn fail(&self, error: CliError) {
        self.failure.lock().expect("nobody panics here").get_or_insert(error);
        self.enter(OVER);
    }
}

/// What one thread did while it was measured.
pub(crate) struct Samples {
    pub(crate) ops: u64,
    pub(crate) elapsed: Duration,
    pub(crate) latencies: Histogram<u64>,
    pub(crate) errors: u64,
}

impl Samples {
    pub(crate) fn new() -> Self {
        let max = LATENCY_MAX.as_nanos() as u64;
        let latencies = Histogram::new_with_bounds(1, max, 3).expect("bounds as the histogram wants them");
        Self { ops: 0, elapsed: Duration::ZERO, latencies, errors: 0 }
    }

    /// Does `op` again and again, as long as `clock` runs.
    pub(crate) fn of<E: Into<CliError>>(clock: &Clock, mut op: impl FnMut() -> Result<(), E>) -> Self {
        clock.begin();
        let mut warming = Self::new();
        let start = Instant::now();
        while clock.is_warming() {
            warming.batch(clock, 1, &mut op);
        }
        let mean = start.elapsed().as_nanos() as u64 / warming.ops.max(1);
        let stride = if mean > SHORT_NS_MAX { 1 } else { STRIDE };
        Self::measured(clock, |samples| samples.batch(clock, stride, &mut op))
    }

    /// Calls `work` again and again from now on, as long as `clock` runs.
    pub(crate) fn measured(clock: &Clock, mut work: impl FnMut(&mut Self)) -> Self {
        let mut samples = Self::new();
        let start = Instant::now();
        while !clock.is_over() {
            work(&mut samples);
        }
        samples.elapsed = start.elapsed();
        samples
    }

    /// One operation that is timed, and so many that are not that there are `stride`.
    #[inline]
    fn batch<E: Into<CliError>>(
        &mut self,
        clock: &Clock,
        stride: u32,
        op: &mut impl FnMut() -> Result<(), E>,
    ) {
        let start = Instant::now();
        let first = op();
        self.took(start.elapsed());
        self.count(clock, first);
        for _ in 1..stride {
            let result = op();
            self.count(clock, result);
        }
    }

    /// A timed operation took `elapsed`.
    pub(crate) fn took(&mut self, elapsed: Duration) {
        let elapsed = elapsed.saturating_sub(*CLOCK_COST);
        self.latencies.saturating_record(elapsed.as_nanos() as u64);
    }

    /// An operation ended.
    #[inline]
    pub(crate) fn count<E: Into<CliError>>(&mut self, clock: &Clock, result: Result<(), E>) {
        self.ops += 1;
        if let Err(error) = result {
            self.errors += 1;
            clock.fail(error.into());
        }
    }

    /// A timed operation took `elapsed`, and what went on between it and the one before does not count.
    pub(crate) fn worked(&mut self, elapsed: Duration) {
        self.took(elapsed);
        self.ran(elapsed);
    }

    /// All of it took `elapsed`.
    pub(crate) fn ran(&mut self, elapsed: Duration) {
        self.elapsed += elapsed;
    }
}

/// What it costs to time nothing.
static CLOCK_COST: LazyLock<Duration> =
    LazyLock::new(|| (0..10_000).map(|_| Instant::now().elapsed()).min().unwrap_or_default());

/// What a run came to.
pub(crate) struct Measured {
    pub(crate) samples: Samples,
    /// Of all threads together.
    pub(crate) thread_seconds: f64,
    /// Of the whole process.
    pub(crate) cpu_ns: f64,
    pub(crate) before: Stats,
    pub(crate) after: Stats,
    pub(crate) failure: Option<CliError>,
}

/// What is measured.
#[derive(Clone, Copy)]
pub(crate) struct Run<'a> {
    pub(crate) setting: &'a Setting,
    pub(crate) cache: &'a BlockCache,
    pub(crate) progress: &'a Progress,
}

/// Something that goes on beside the threads that are measured, until the clock is over.
pub(crate) type Beside<'a> = &'a (dyn Fn(&Clock) + Sync);

impl Run<'_> {
    /// Runs `work` on every thread; it gets the thread's number.
    pub(crate) fn measure(&self, work: impl Fn(usize, &Clock) -> Samples + Sync) -> Measured {
        self.measure_beside(&[], work)
    }

    /// As [`measure`](Self::measure), with others on threads of their own.
    pub(crate) fn measure_beside(
        &self,
        beside: &[Beside<'_>],
        work: impl Fn(usize, &Clock) -> Samples + Sync,
    ) -> Measured {
        let clock = Clock::new(self.setting.threads);
        thread::scope(|scope| {
            let (clock, work) = (&clock, &work);
            let workers: Vec<_> =
                (0..self.setting.threads).map(|thread| scope.spawn(move || work(thread, clock))).collect();
            for other in beside {
                scope.spawn(move || other(clock));
            }
            clock.begin();
            thread::sleep(self.setting.seconds / WARM_UP);
            let (before, cpu) = (self.cache.stats(), cpu_time());
            clock.enter(MEASURING);
            self.progress.wait(self.setting.seconds, || clock.is_over());
            clock.enter(OVER);
            let cpu_ns = (cpu_time() - cpu).as_nanos() as f64;
            let samples = workers.into_iter().map(|worker| worker.join().expect("no workload panics"));
            let (samples, thread_seconds) = sum(samples);
            let failure = clock.failure.lock().expect("nobody panics here").take();
            Measured { samples, thread_seconds, cpu_ns, before, after: self.cache.stats(), failure }
        })
    }
}

/// What all threads did, and the seconds of all of them together.
fn sum(threads: impl Iterator<Item = Samples>) -> (Samples, f64) {
    let mut sum = Samples::new();
    let mut thread_seconds = 0.0;
    for thread in threads {
        sum.ops += thread.ops;
        sum.errors += thread.errors;
        sum.elapsed = sum.elapsed.max(thread.elapsed);
        thread_seconds += thread.elapsed.as_secs_f64();
        sum.latencies.add(&thread.latencies).expect("all have the same bounds");
    }
    (sum, thread_seconds)
}

impl Measured {
    /// What the calling thread did by itself, with a cache that was new.
    pub(crate) fn alone(samples: Samples, cpu_ns: f64, after: Stats) -> Self {
        let thread_seconds = samples.elapsed.as_secs_f64();
        Self { samples, thread_seconds, cpu_ns, before: Stats::default(), after, failure: None }
    }
}

/// Processor time of the whole process, in user and kernel.
pub(crate) fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
