//! More keys than room: every miss inserts and something else must go. No I/O: what a miss costs is the cache's
//! own work. Time and hit ratio come from an undisturbed race, the times of single inserts from a second one.

use super::{
    Turn,
    demand::{Demand, demand},
};
use crate::{
    block::Reference,
    contender::Contender,
    histogram::Latencies,
    rig::Rig,
    sample::{Figure, Sample},
    scale::Scale,
};

/// Demands under pressure.
#[derive(Debug)]
pub struct Pressure {
    demand: Demand,
    ops: usize,
    warming_ops: usize,
}

impl Pressure {
    pub(super) fn load(scale: &Scale, seed: u64) -> Self {
        Self { demand: Demand::new(seed), ops: scale.demands, warming_ops: scale.warming_demands }
    }

    pub(super) fn warm<C: Contender>(&self, cache: &C) {
        self.demand.warm(cache, self.warming_ops);
    }

    pub(super) fn measure<C: Contender>(&self, cache: &C, rig: &Rig, turn: Turn) -> Sample {
        let keys = self.demand.draw_turn(turn.number, turn.threads, self.ops + self.ops / 2);
        let run = |index: usize| {
            let references = keys[index][..self.ops].iter().map(to_reference);
            references.filter(|&reference| demand(cache, reference)).count()
        };
        let race = rig.processors.race(turn.threads, |_| (), run);
        let rest: Vec<&[u32]> = keys.iter().map(|keys| &keys[self.ops..]).collect();
        rig.sample_hits(&race, self.ops).with(time_inserts(cache, rig, &rest))
    }
}

/// Meets the demand of one thread for each of `keys`, with a clock around every insert.
fn time_inserts<C: Contender>(cache: &C, rig: &Rig, keys: &[&[u32]]) -> Vec<(Figure, f64)> {
    let run = |index: usize| {
        let mut latencies = Latencies::new();
        let mut longest = 0;
        for reference in keys[index].iter().map(to_reference) {
            if cache.lookup(reference) {
                continue;
            }
            let start = rig.stopwatch.ticks();
            cache.insert(reference);
            let nanos = rig.stopwatch.nanos(rig.stopwatch.ticks() - start);
            latencies.record(nanos);
            longest = longest.max(nanos);
        }
        (latencies, longest)
    };
    let race = rig.processors.race(keys.len(), |_| (), run);
    let (latencies, longest): (Vec<_>, Vec<_>) = race.results.into_iter().unzip();
    let longest = longest.into_iter().max().unwrap_or(0);
    let named = [(Figure::InsertP50Ns, 0.5), (Figure::InsertP99Ns, 0.99), (Figure::InsertP999Ns, 0.999)];
    let quantiles = Latencies::merged(latencies);
    quantiles.figures(named).chain([(Figure::InsertMaxUs, longest as f64 / 1e3)]).collect()
}

fn to_reference(&key: &u32) -> Reference {
    Reference::to(key.into())
}
