//! A scan beside the usual demand: half of all operations ask for blocks that nobody will ask for again. A cache
//! that lets them push out what is popular loses hits in the other half.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{
    Turn,
    demand::{Demand, demand},
};
use crate::{
    block::Reference,
    contender::{Contender, Reclaimed},
    rig::Rig,
    sample::{Figure, Sample},
    scale::Scale,
};

/// Demand with a scan in the middle.
#[derive(Debug)]
pub struct Scan {
    demand: Demand,
    phase_ops: usize,
    warming_ops: usize,
    /// The next block that was never asked for.
    fresh: AtomicU64,
}

/// The scanned blocks lie behind all others.
const SCANNED_FROM: u64 = 1 << 32;

/// Phases of one measurement. The first is not counted: it heals what the scan of the last measurement did.
const PHASES: usize = 4;

/// The phase with the scan.
const DURING: usize = 2;

impl Scan {
    pub(super) fn load(scale: &Scale, seed: u64) -> Self {
        let (phase_ops, warming_ops) = (scale.phase_demands, scale.warming_demands);
        Self { demand: Demand::new(seed), phase_ops, warming_ops, fresh: AtomicU64::new(SCANNED_FROM) }
    }

    pub(super) fn warm<C: Contender>(&self, cache: &C) {
        self.demand.warm(cache, self.warming_ops);
    }

    pub(super) fn measure<C: Contender>(&self, cache: &C, rig: &Rig, turn: Turn) -> Sample {
        let threads = turn.threads;
        let keys = self.demand.draw_turn(turn.number, threads, PHASES * self.phase_ops);
        let before = cache.reclaimed();
        let race = rig.processors.race(threads, |_| (), |index| self.run(cache, &keys[index]));
        let hit = |phase: usize| {
            let hits: usize = race.results.iter().map(|hits| hits[phase]).sum();
            hits as f64 / (self.phase_ops * threads) as f64
        };
        let ops = (PHASES + 1) * self.phase_ops * threads;
        let hits = [
            (Figure::HitBefore, hit(DURING - 1)),
            (Figure::HitDuring, hit(DURING)),
            (Figure::HitAfter, hit(DURING + 1)),
            (Figure::ScanLostPoints, 100.0 * (hit(DURING - 1) - hit(DURING))),
        ];
        let work = before.zip(cache.reclaimed()).map(|(before, after)| visited_per_freed(before, after));
        Sample::new(rig.ns_per_op(race.wall, threads, ops), hit(DURING)).with(hits).with(work)
    }

    /// The phases of one thread, and the hits of the usual demand in each.
    fn run<C: Contender>(&self, cache: &C, keys: &[u32]) -> [usize; PHASES] {
        // Relaxed: gives each thread its own range; nothing else is read by it.
        let mut scanned = self.fresh.fetch_add(self.phase_ops as u64, Ordering::Relaxed);
        let mut hits = [0; PHASES];
        for (phase, keys) in keys.chunks_exact(self.phase_ops).enumerate() {
            for &key in keys {
                hits[phase] += usize::from(demand(cache, Reference::to(key.into())));
                if phase == DURING {
                    demand(cache, Reference::to(scanned));
                    scanned += 1;
                }
            }
        }
        hits
    }
}

fn visited_per_freed(before: Reclaimed, after: Reclaimed) -> (Figure, f64) {
    let freed = (after.freed - before.freed).max(1);
    (Figure::VisitedPerFreed, (after.visited - before.visited) as f64 / freed as f64)
}
