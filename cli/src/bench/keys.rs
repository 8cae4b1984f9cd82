//! Which slot is read next: drawn from a distribution, reproducible from a seed.

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, Zipf};

/// Drawing from Zipf's law takes longer than a cache hit, so draws are made in advance and used again and again.
const DRAWN: usize = 1 << 20;
/// Spreads ranks over the volume, so that often-read blocks are no neighbours. A prime above any number of slots in use
/// is coprime to it.
const SPREAD: u64 = 4_294_967_291;

/// An endless sequence of slots.
pub(crate) enum Keys {
    Uniform { random: SmallRng, slots: u32 },
    Drawn { slots: Box<[u32]>, next: usize },
}

impl Keys {
    /// Every slot as often as every other.
    pub(crate) fn uniform(slots: u32, seed: u64) -> Self {
        Keys::Uniform { random: SmallRng::seed_from_u64(seed), slots }
    }

    /// Zipf's law: the slot of rank `k` as often as `k` to the power of `-exponent`.
    pub(crate) fn zipf(slots: u32, exponent: f64, seed: u64) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        let law = Zipf::new(f64::from(slots), exponent).expect("at least one slot, and a positive exponent");
        let drawn = (0..DRAWN).map(|_| spread(law.sample(&mut random) as u64 - 1, slots));
        Keys::Drawn { slots: drawn.collect(), next: 0 }
    }

    /// The next slot.
    #[inline]
    pub(crate) fn next(&mut self) -> u32 {
        match self {
            Keys::Uniform { random, slots } => random.random_range(0..*slots),
            Keys::Drawn { slots, next } => {
                let slot = slots[*next];
                *next = (*next + 1) % DRAWN;
                slot
            }
        }
    }
}

fn spread(rank: u64, slots: u32) -> u32 {
    (rank * SPREAD % u64::from(slots)) as u32
}

/// A seed of its own for each thread.
pub(crate) fn seed_of(seed: u64, thread: usize) -> u64 {
    seed ^ (thread as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_ranks_share_a_slot() {
        for slots in [1, 2, 64, 1000, 30_720] {
            let mut all: Vec<u32> = (0..slots).map(|rank| spread(rank.into(), slots)).collect();
            all.sort_unstable();
            assert!(all.into_iter().eq(0..slots), "{slots}");
        }
    }

    #[test]
    fn the_first_rank_is_drawn_as_often_as_the_law_says() {
        let mut keys = Keys::zipf(1000, 0.99, 7);
        let first = (0..DRAWN).filter(|_| keys.next() == spread(0, 1000)).count();
        let law: f64 = 1.0 / (1..=1000).map(|rank| f64::from(rank).powf(-0.99)).sum::<f64>();
        assert!((first as f64 / DRAWN as f64 - law).abs() < 0.005, "{first} of {DRAWN}");
    }

    #[test]
    fn the_same_seed_gives_the_same_slots() {
        let draw = |seed| {
            let mut keys = Keys::uniform(1 << 20, seed);
            [(); 8].map(|()| keys.next())
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }
}
