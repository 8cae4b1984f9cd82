//! S3-FIFO: the best known policy among the simple ones, as published (Yang et al., SOSP'23).
//!
//! Three queues, no reordering on a hit. A new block enters a *small* queue of a tenth of the cache; what was not hit
//! often enough there leaves soon and is remembered by number in a *ghost* queue; what was hit, or comes back while
//! the ghost remembers it, lives in the *main* queue, which gives one more round for each hit (three at most).
//!
//! Correctness rests on each block being in at most one of small and main, which `Whereabouts` says, and on a stale
//! ghost entry being recognised by its stamp: a block that left the ghost and entered it again has a newer one.

use super::Trace;
use std::collections::VecDeque;

/// Hits beyond this many are not counted: two bits a block.
const HITS_COUNTED_MAX: u8 = 3;

/// Hits of S3-FIFO with `capacity` blocks, where `promote_at` hits in the small queue earn a place in main.
///
/// The paper's text counts from two, other implementations from one; neither is better on every trace.
///
/// # Panics
/// If `capacity` or `promote_at` is zero.
pub(crate) fn hits(trace: &Trace, capacity: usize, promote_at: u8) -> u64 {
    assert!(capacity > 0, "a cache holds at least one block");
    assert!(promote_at > 0, "promotion at zero hits would leave nothing to evict from the small queue");
    let mut cache = S3Fifo::new(trace.unique(), capacity, promote_at);
    trace.ids().iter().filter(|&&id| cache.access(id)).count() as u64
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Whereabouts {
    Away,
    /// Remembered, not cached. The stamp tells this stay in the ghost queue from an earlier one.
    Ghost {
        stamp: u64,
    },
    Cached,
}

struct S3Fifo {
    capacity: usize,
    small_max: usize,
    promote_at: u8,
    small: VecDeque<u32>,
    main: VecDeque<u32>,
    /// Block and stamp; entries of blocks that came back stay until they reach the front.
    ghost: VecDeque<(u32, u64)>,
    ghosts: usize,
    ghosts_ever: u64,
    whereabouts: Vec<Whereabouts>,
    hits_counted: Vec<u8>,
}

impl S3Fifo {
    fn new(blocks: usize, capacity: usize, promote_at: u8) -> Self {
        S3Fifo {
            capacity,
            small_max: (capacity / 10).max(1),
            promote_at,
            small: VecDeque::new(),
            main: VecDeque::new(),
            ghost: VecDeque::new(),
            ghosts: 0,
            ghosts_ever: 0,
            whereabouts: vec![Whereabouts::Away; blocks],
            hits_counted: vec![0; blocks],
        }
    }

    /// Accesses a block; it is cached afterwards. Says whether it was before.
    fn access(&mut self, id: u32) -> bool {
        let block = id as usize;
        if self.whereabouts[block] == Whereabouts::Cached {
            self.hits_counted[block] = (self.hits_counted[block] + 1).min(HITS_COUNTED_MAX);
            return true;
        }
        if self.small.len() + self.main.len() == self.capacity {
            self.evict();
        }
        // Asked after evicting: the eviction may just have pushed this block out of the ghost.
        if matches!(self.whereabouts[block], Whereabouts::Ghost { .. }) {
            self.ghosts -= 1;
            self.main.push_back(id);
        } else {
            self.small.push_back(id);
        }
        self.whereabouts[block] = Whereabouts::Cached;
        self.hits_counted[block] = 0;
        false
    }

    /// Makes room for one block.
    fn evict(&mut self) {
        let from_small = self.small.len() >= self.small_max || self.main.is_empty();
        if !(from_small && self.evict_from_small()) {
            self.evict_from_main();
        }
    }

    /// Evicts from the small queue, promoting what has earned it. Says whether a block went: promotions may have
    /// filled main beyond its share, or emptied the queue, and then main has to give.
    fn evict_from_small(&mut self) -> bool {
        while let Some(id) = self.small.pop_front() {
            if self.hits_counted[id as usize] < self.promote_at {
                self.remember(id);
                return true;
            }
            self.hits_counted[id as usize] = 0;
            self.main.push_back(id);
            if self.main.len() > self.main_max() {
                return false;
            }
        }
        false
    }

    /// Evicts the first block of the main queue that has used up its rounds.
    fn evict_from_main(&mut self) {
        while let Some(id) = self.main.pop_front() {
            let hits = &mut self.hits_counted[id as usize];
            if *hits == 0 {
                self.whereabouts[id as usize] = Whereabouts::Away;
                return;
            }
            *hits -= 1;
            self.main.push_back(id);
        }
    }

    /// Moves an evicted block's number into the ghost queue, which forgets its oldest beyond main's size.
    fn remember(&mut self, id: u32) {
        let stamp = self.ghosts_ever;
        self.ghosts_ever += 1;
        self.whereabouts[id as usize] = Whereabouts::Ghost { stamp };
        self.ghost.push_back((id, stamp));
        self.ghosts += 1;
        while self.ghosts > self.main_max().max(1) {
            let (oldest, stamp) = self.ghost.pop_front().expect("every remembered block is in the queue");
            if self.whereabouts[oldest as usize] == (Whereabouts::Ghost { stamp }) {
                self.whereabouts[oldest as usize] = Whereabouts::Away;
                self.ghosts -= 1;
            }
        }
    }

    fn main_max(&self) -> usize {
        self.capacity - self.small_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_block_hit_on_probation_survives_a_scan() {
        // 1 is hit twice in the small queue. The scan fills the ten frames and evicts: 1 is promoted, the scan
        // blocks 100, 101, .. go out one after the other. So 1 hits at the end; LRU would have lost it.
        let mut blocks = vec![1, 1, 1];
        blocks.extend(100..200);
        blocks.push(1);
        assert_eq!(hits(&Trace::from_blocks(blocks.clone()), 10, 2), 3);
        assert_eq!(crate::trace::lru::hits(&Trace::from_blocks(blocks), 10), 2);
    }

    #[test]
    fn the_threshold_decides_whether_one_hit_is_enough() {
        let mut blocks = vec![1, 1];
        blocks.extend(100..200);
        blocks.push(1);
        assert_eq!(hits(&Trace::from_blocks(blocks.clone()), 10, 1), 2);
        assert_eq!(hits(&Trace::from_blocks(blocks), 10, 2), 1);
    }

    #[test]
    fn a_block_the_ghost_remembers_returns_to_main() {
        // Ten frames: 0..=9 fill them, 10 pushes 0 into the ghost, 0 comes back into main (and pushes out 1). The
        // scan that follows drains the small queue only, so 0 hits at the end: the one hit.
        let mut blocks: Vec<u64> = (0..=10).collect();
        blocks.push(0);
        blocks.extend(100..200);
        blocks.push(0);
        assert_eq!(hits(&Trace::from_blocks(blocks), 10, 2), 1);
    }

    #[test]
    fn the_ghost_forgets_what_left_too_long_ago() {
        // As above, but nine blocks (main's size) leave between the eviction of 0 and its return: forgotten, it
        // enters the small queue and the scan pushes it out.
        let mut blocks: Vec<u64> = (0..=19).collect();
        blocks.push(0);
        blocks.extend(100..200);
        blocks.push(0);
        assert_eq!(hits(&Trace::from_blocks(blocks), 10, 2), 0);
    }

    proptest! {
        #[test]
        fn the_queues_never_exceed_their_sizes_and_agree_with_the_whereabouts(
            ids in proptest::collection::vec(0u32..24, 1..300),
            capacity in 1usize..24,
            promote_at in 1u8..=3,
        ) {
            let mut cache = S3Fifo::new(24, capacity, promote_at);
            for &id in &ids {
                cache.access(id);
                prop_assert!(cache.small.len() + cache.main.len() <= capacity);
                prop_assert!(cache.ghosts <= cache.main_max().max(1));
                prop_assert!(cache.small.contains(&id) || cache.main.contains(&id));
            }
            let count = |wanted: fn(&Whereabouts) -> bool| cache.whereabouts.iter().filter(|w| wanted(w)).count();
            prop_assert_eq!(count(|w| *w == Whereabouts::Cached), cache.small.len() + cache.main.len());
            prop_assert_eq!(count(|w| matches!(w, Whereabouts::Ghost { .. })), cache.ghosts);
        }
    }
}
