//! A decorator that counts: requests, bytes, failures, how many were in flight, and how long they took.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::hook::{delegate, hooked};
use crate::{BlockDevice, Done, Operation, Request};

/// A device that counts what goes through it.
#[derive(Debug)]
pub struct Counted {
    inner: Arc<dyn BlockDevice>,
    meters: Arc<Meters>,
}

impl Counted {
    /// Counts what goes to `inner`.
    pub fn new(inner: Arc<dyn BlockDevice>) -> Self {
        Self { inner, meters: Arc::default() }
    }

    /// What was counted so far.
    pub fn counts(&self) -> Counts {
        let meters = &self.meters;
        Counts {
            reads: meters.reads.tally(),
            writes: meters.writes.tally(),
            flushes: meters.flushes.tally(),
            in_flight_max: load(&meters.in_flight_max),
        }
    }

    fn count(&self, batch: &mut Vec<Request>) {
        let started = Instant::now();
        for request in std::mem::take(batch) {
            if request.operation != Operation::Flush && request.range.is_empty() {
                // A transfer of nothing is no transfer: other decorators submit it to wake who waits.
                batch.push(request);
                continue;
            }
            self.meters.begin();
            let meters = self.meters.clone();
            batch.push(hooked(request, move |request, result| {
                meters.end(&request, result.is_ok(), started.elapsed());
                request.end(result);
            }));
        }
    }
}

impl BlockDevice for Counted {
    delegate!(size, align, drive, attend);

    fn submit(&self, batch: &mut Vec<Request>) {
        self.count(batch);
        self.inner.submit(batch);
    }

    fn queue(&self, batch: &mut Vec<Request>) {
        self.count(batch);
        self.inner.queue(batch);
    }

    fn submit_and_drive(&self, batch: &mut Vec<Request>, done: Done<'_>, deadline: Option<Instant>) -> bool {
        self.count(batch);
        self.inner.submit_and_drive(batch, done, deadline)
    }

    fn describe(&self) -> String {
        format!("{}, counted", self.inner.describe())
    }
}

/// What was counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Of reads.
    pub reads: Tally,
    /// Of writes.
    pub writes: Tally,
    /// Of flushes.
    pub flushes: Tally,
    /// Most requests that were in flight at once.
    pub in_flight_max: u64,
}

/// What was counted of one operation. Only what has ended counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Requests, failed ones too.
    pub requests: u64,
    /// Bytes asked for by those that succeeded.
    pub bytes: u64,
    /// Requests that failed.
    pub failed: u64,
    /// How many took 2^i to 2^(i+1) nanoseconds; the last holds all that took longer.
    pub latency: [u64; LATENCIES],
}

/// Classes of latency: the last one begins at 2^39 ns, about nine minutes.
pub const LATENCIES: usize = 40;

impl Default for Tally {
    fn default() -> Self {
        Self { requests: 0, bytes: 0, failed: 0, latency: [0; LATENCIES] }
    }
}

impl Tally {
    /// A time that the share `quantile` (0 to 1) of the requests did not exceed: exact to a factor of two. `None` when
    /// nothing was counted.
    pub fn latency_at(&self, quantile: f64) -> Option<Duration> {
        let rank = (self.requests as f64 * quantile).ceil().max(1.0) as u64;
        let mut seen = 0;
        let class = self.latency.iter().position(|count| {
            seen += count;
            seen >= rank
        })?;
        Some(Duration::from_nanos(1 << (class + 1)))
    }
}

#[derive(Debug, Default)]
struct Meters {
    reads: Meter,
    writes: Meter,
    flushes: Meter,
    in_flight: AtomicU64,
    in_flight_max: AtomicU64,
}

#[derive(Debug)]
struct Meter {
    requests: AtomicU64,
    bytes: AtomicU64,
    failed: AtomicU64,
    latency: [AtomicU64; LATENCIES],
}

impl Default for Meter {
    fn default() -> Self {
        let zero = || AtomicU64::new(0);
        Self { requests: zero(), bytes: zero(), failed: zero(), latency: std::array::from_fn(|_| zero()) }
    }
}

impl Meters {
    fn begin(&self) {
        // Relaxed: statistics; nothing is concluded from one counter about another.
        let in_flight = self.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        // Relaxed: as above.
        self.in_flight_max.fetch_max(in_flight, Ordering::Relaxed);
    }

    fn end(&self, request: &Request, is_ok: bool, took: Duration) {
        // Relaxed: as in `begin`.
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        let meter = match request.operation {
            Operation::Read => &self.reads,
            Operation::Write => &self.writes,
            Operation::Flush => &self.flushes,
        };
        let class = took.as_nanos().max(1).ilog2().min(LATENCIES as u32 - 1);
        add(&meter.latency[class as usize], 1);
        match is_ok {
            true => add(&meter.bytes, request.range.len()),
            false => add(&meter.failed, 1),
        }
        add(&meter.requests, 1);
    }
}

impl Meter {
    fn tally(&self) -> Tally {
        Tally {
            requests: load(&self.requests),
            bytes: load(&self.bytes),
            failed: load(&self.failed),
            latency: std::array::from_fn(|class| load(&self.latency[class])),
        }
    }
}

fn add(counter: &AtomicU64, amount: u64) {
    // Relaxed: statistics.
    counter.fetch_add(amount, Ordering::Relaxed);
}

fn load(counter: &AtomicU64) -> u64 {
    // Relaxed: statistics.
    counter.load(Ordering::Relaxed)
}
