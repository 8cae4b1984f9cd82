//! Lookups that hit: every key is resident, and nothing is evicted.

use std::hint::black_box;

use super::{Content, Setup};
use crate::{
    block::Reference,
    contender::{Contender, Shape, Start},
    histogram::Latencies,
    keys::{Draw, Keys},
    rig::Rig,
    rng::Rng,
    sample::{Figure, Sample},
    scale::share,
};

/// Lookups in a resident set.
#[derive(Debug)]
pub struct Lookup {
    resident: u32,
    capacity: usize,
    ops: usize,
    streams: Vec<Keys>,
    times_each: bool,
}

/// Blocks of the small set; its headers alone are 4 MiB.
const NEAR: u32 = 64 << 10;

/// Blocks of the large set: no cache of a processor holds its headers.
const FAR: u32 = 4 << 20;

/// Keys drawn for a thread in the small set, used over again: four of each, and still only 1 MiB of stream.
const NEAR_STREAM: usize = 256 << 10;

/// The most threads that the plan has in either set.
const NEAR_THREADS_MAX: usize = 8;
const FAR_THREADS_MAX: usize = 2;

impl Lookup {
    /// In a set whose table and headers fit the processor's caches, more or less.
    pub(super) fn near(draw: Draw, ops: usize, seed: u64) -> Self {
        Self {
            resident: NEAR,
            capacity: 2 * NEAR as usize,
            ops,
            streams: Keys::streams(draw, NEAR, NEAR_STREAM, NEAR_THREADS_MAX, seed),
            times_each: draw == Draw::Hot,
        }
    }

    /// In a set that lies in DRAM.
    pub(super) fn far(ops: usize, seed: u64) -> Self {
        Self {
            resident: FAR,
            capacity: FAR as usize + FAR as usize / 4,
            ops,
            streams: Keys::streams(Draw::Uniform, FAR, ops, FAR_THREADS_MAX, seed),
            times_each: false,
        }
    }

    pub(super) fn setup(&self) -> Setup {
        let shape = Shape { capacity: self.capacity, resident: self.resident as usize, start: Start::Sized };
        Setup { shape, content: Content::AllKeys }
    }

    /// Inserts every key, in an order that has nothing to do with the numbers: neighbours in the key space shall
    /// not be neighbours in memory.
    pub(super) fn fill<C: Contender>(&self, cache: &C) {
        let order = Rng::new(0, 0).permutation(self.resident);
        for some in order.chunks(1024) {
            some.iter().for_each(|&key| cache.insert(Reference::to(key.into())));
            cache.settle();
        }
        if self.resident == NEAR {
            offer_again(cache, &order);
        }
    }

    pub(super) fn measure<C: Contender>(&self, cache: &C, rig: &Rig, threads: usize) -> Sample {
        let ops = share(self.ops, threads);
        let run = |index: usize, ops| count_hits(cache, &self.streams[index], ops);
        let warm = |index| {
            run(index, ops / 16);
        };
        let race = rig.processors.race(threads, warm, |index| run(index, ops));
        let sample = rig.sample_hits(&race, ops);
        if self.times_each { sample.with(self.time_each(cache, rig, threads, ops / 2)) } else { sample }
    }

    /// The same again with a clock around every lookup.
    fn time_each<C: Contender>(
        &self,
        cache: &C,
        rig: &Rig,
        threads: usize,
        ops: usize,
    ) -> Vec<(Figure, f64)> {
        let run = |index: usize| {
            let mut latencies = Latencies::new();
            for &key in self.streams[index].take(ops).flatten() {
                let start = rig.stopwatch.ticks();
                black_box(cache.lookup(Reference::to(key.into())));
                latencies.record(rig.stopwatch.nanos(rig.stopwatch.ticks() - start));
            }
            latencies
        };
        let race = rig.processors.race(threads, |_| (), run);
        let named = [(Figure::P50Ns, 0.5), (Figure::P99Ns, 0.99), (Figure::P999Ns, 0.999)];
        Latencies::merged(race.results).figures(named).collect()
    }
}

/// Some caches admit a block only when it is asked for again; none of those meets us in the large set.
fn offer_again<C: Contender>(cache: &C, keys: &[u32]) {
    let is_refused = |&&key: &&u32| !cache.lookup(Reference::to(key.into()));
    keys.iter().filter(is_refused).for_each(|&key| cache.insert(Reference::to(key.into())));
    cache.settle();
}

/// The loop that is measured.
fn count_hits<C: Contender>(cache: &C, keys: &Keys, ops: usize) -> usize {
    keys.take(ops).map(|keys| cache.lookup_all(keys)).sum()
}
