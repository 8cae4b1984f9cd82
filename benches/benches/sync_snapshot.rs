//! How long does the writer of a snapshot wait while readers load it in a loop? The answer decides which cell is used where.
//!
//! `Snapshot` is for what every operation reads, `ColdSnapshot` for what is read at human pace. Without readers the cold one
//! is the cheaper to change; under a loop of readers its writer starves. So that this ends, readers who have held a writer
//! up for long enough take a nap: a figure near the limit means "until they let go". For `Snapshot` it is an assertion.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, SamplingMode, criterion_group, criterion_main};
use tidelock_sync::{ColdSnapshot, Snapshot};

/// Readers let a writer through that waited for so long.
const PATIENCE: Duration = Duration::from_millis(100);

/// Readers of one cell, and the writer's word that it waits.
struct Contest {
    began: Instant,
    /// When the writer began to wait, in nanoseconds since `began`; 0 while it does not.
    waits_since: AtomicU64,
    is_over: AtomicBool,
}

impl Contest {
    fn new() -> Self {
        Self { began: Instant::now(), waits_since: AtomicU64::new(0), is_over: AtomicBool::new(false) }
    }

    /// Relaxed, all of these: numbers to steer by; joining the threads orders the rest.
    fn read(&self, load: impl Fn() -> u64) {
        while !self.is_over.load(Ordering::Relaxed) {
            for _ in 0..64 {
                std::hint::black_box(load());
            }
            let since = Duration::from_nanos(self.waits_since.load(Ordering::Relaxed));
            if !since.is_zero() && self.began.elapsed().saturating_sub(since) > PATIENCE {
                thread::sleep(Duration::from_millis(1));
            }
        }
    }

    /// Times `count` stores; returns their sum and the longest.
    fn write(&self, count: u64, store: impl Fn(u64)) -> (Duration, Duration) {
        let (mut sum, mut longest) = (Duration::ZERO, Duration::ZERO);
        for value in 0..count {
            let begun = Instant::now();
            self.waits_since.store((self.began.elapsed().as_nanos() as u64).max(1), Ordering::Relaxed);
            store(value);
            self.waits_since.store(0, Ordering::Relaxed);
            let took = begun.elapsed();
            (sum, longest) = (sum + took, longest.max(took));
        }
        (sum, longest)
    }
}

/// Runs `count` stores beside `readers` threads.
fn contest(
    readers: usize,
    count: u64,
    load: impl Fn() -> u64 + Sync,
    store: impl Fn(u64),
) -> (Duration, Duration) {
    let contest = Contest::new();
    thread::scope(|scope| {
        (0..readers).for_each(|_| drop(scope.spawn(|| contest.read(&load))));
        let times = contest.write(count, &store);
        contest.is_over.store(true, Ordering::Relaxed);
        times
    })
}

fn stores(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("sync_snapshot/store");
    group.sample_size(10).sampling_mode(SamplingMode::Flat).measurement_time(Duration::from_secs(2));
    for readers in [0, 2, 8] {
        let (hot, cold) = (Snapshot::new(0), ColdSnapshot::new(0));
        group.bench_function(BenchmarkId::new("Snapshot", readers), |bencher| {
            bencher.iter_custom(|count| {
                let (sum, longest) = contest(readers, count, || *hot.load(), |value| hot.store(value));
                assert!(longest < 10 * PATIENCE, "readers starve the writer: one store took {longest:?}");
                sum
            });
        });
        group.bench_function(BenchmarkId::new("ColdSnapshot", readers), |bencher| {
            bencher
                .iter_custom(|count| contest(readers, count, || *cold.load(), |value| cold.store(value)).0);
        });
    }
    group.finish();
}

fn loads(criterion: &mut Criterion) {
    let (hot, cold) = (Snapshot::new(0u64), ColdSnapshot::new(0u64));
    let mut group = criterion.benchmark_group("sync_snapshot/load");
    group.bench_function("Snapshot", |bencher| bencher.iter(|| hot.load()));
    group.bench_function("ColdSnapshot", |bencher| bencher.iter(|| cold.load()));
    group.finish();
}

criterion_group!(benches, stores, loads);
criterion_main!(benches);
