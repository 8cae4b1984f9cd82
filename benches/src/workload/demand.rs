//! Zipf demand for ten times as many blocks as there is room for: what pressure and scan have in common.
//!
//! Keys are drawn anew for every turn of a cache. A cache that met the same keys again would do better than the
//! law allows, as an eviction policy remembers what it met; all caches meet the same keys in their n-th turn.

use super::{Content, Setup};
use crate::{
    block::Reference,
    contender::{Contender, Shape, Start},
    rng::Rng,
    zipf::Zipf,
};

/// Blocks that the cache has room for.
const CAPACITY: usize = 64 << 10;

/// Blocks that are asked for.
const UNIVERSE: u32 = 640 << 10;

/// How unevenly.
const EXPONENT: f64 = 0.9;

/// How often housekeeping gets its turn while a cache is warmed.
const SETTLE_EVERY: usize = 64 << 10;

/// Random streams of one seed: which keys are popular, the warm-up, and one for each thread of each turn.
const POPULARITY: u64 = 0;
const WARMING: u64 = 1;
const TURNS: u64 = 2;
const THREADS_MAX: u64 = 64;

/// A source of keys.
#[derive(Debug)]
pub(super) struct Demand {
    seed: u64,
    zipf: Zipf,
}

/// A cache with room for a tenth, holding what a warm-up left.
pub(super) fn setup() -> Setup {
    let shape = Shape { capacity: CAPACITY, resident: CAPACITY, start: Start::Sized };
    Setup { shape, content: Content::Survivors }
}

/// Looks a block up and inserts it if it is not there; says whether it was.
#[inline]
pub(super) fn demand<C: Contender>(cache: &C, reference: Reference) -> bool {
    let is_hit = cache.lookup(reference);
    if !is_hit {
        cache.insert(reference);
    }
    is_hit
}

impl Demand {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, zipf: Zipf::new(UNIVERSE, EXPONENT, &mut Rng::new(seed, POPULARITY)) }
    }

    /// Brings a cache to the state it will stay in.
    pub(super) fn warm<C: Contender>(&self, cache: &C, ops: usize) {
        let keys = self.draw(WARMING, ops);
        for some in keys.chunks(SETTLE_EVERY) {
            for &key in some {
                demand(cache, Reference::to(key.into()));
            }
            cache.settle();
        }
    }

    /// `len` keys for each of `threads` threads in a cache's turn number `turn`.
    pub(super) fn draw_turn(&self, turn: u64, threads: usize, len: usize) -> Vec<Vec<u32>> {
        (0..threads as u64).map(|thread| self.draw(TURNS + turn * THREADS_MAX + thread, len)).collect()
    }

    fn draw(&self, stream: u64, len: usize) -> Vec<u32> {
        let mut rng = Rng::new(self.seed, stream);
        std::iter::repeat_with(|| self.zipf.draw(&mut rng)).take(len).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_thread_of_every_turn_has_keys_of_its_own() {
        let demand = Demand::new(1);
        let (first, second) = (demand.draw_turn(0, 2, 64), demand.draw_turn(1, 2, 64));
        assert_ne!(first[0], first[1]);
        assert_ne!(first[0], second[0]);
        assert_eq!(first, demand.draw_turn(0, 2, 64));
    }
}
