//! The optimum: the most hits any cache of a given capacity can have on a trace.
//!
//! Belady's rule (1966): evict the block whose next access is farthest away. It needs to know the future, which a
//! recorded trace tells; no cache can follow it, and none can beat it.
//!
//! Correctness rests on one observation: every resident block has an entry under its next access, which lies ahead
//! of now, and what lies behind now belongs to accesses that have already been hits. So the farthest entry of the
//! heap is always that of a resident block, and nothing ever has to be looked up in it or taken out of its middle.

use super::Trace;
use std::collections::BinaryHeap;

/// When a block is accessed next: a place in the trace, or `NEVER`.
type Place = usize;
const NEVER: Place = Place::MAX;

/// Hits of the optimal cache of `capacity` blocks, in O(n log n).
///
/// # Panics
/// If `capacity` is zero.
pub(crate) fn hits(trace: &Trace, capacity: usize) -> u64 {
    assert!(capacity > 0, "a cache holds at least one block");
    let mut is_resident = vec![false; trace.unique()];
    let mut residents = 0;
    let mut by_next_access: BinaryHeap<(Place, u32)> = BinaryHeap::new();
    let mut hits = 0;
    for (&id, next) in trace.ids().iter().zip(next_accesses(trace)) {
        if is_resident[id as usize] {
            hits += 1;
        } else {
            if residents == capacity {
                let (_, farthest) = by_next_access.pop().expect("a full cache has an entry for each block");
                is_resident[farthest as usize] = false;
                residents -= 1;
            }
            is_resident[id as usize] = true;
            residents += 1;
        }
        by_next_access.push((next, id));
    }
    hits
}

/// For each access, where in the trace the same block is accessed next.
fn next_accesses(trace: &Trace) -> Vec<Place> {
    let mut next_of_block = vec![NEVER; trace.unique()];
    let mut next = vec![NEVER; trace.len()];
    for (place, &id) in trace.ids().iter().enumerate().rev() {
        next[place] = std::mem::replace(&mut next_of_block[id as usize], place);
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_textbook_example_has_three_hits_in_three_frames() {
        // Misses 1 2 3, then 4 evicts 3 (never used again); 1 2 hit; 5 evicts 4; 1 hits.
        let trace = Trace::from_blocks(vec![1, 2, 3, 4, 1, 2, 5, 1]);
        assert_eq!(hits(&trace, 3), 3);
    }

    #[test]
    fn a_loop_one_block_larger_than_the_cache_misses_once_a_cacheful() {
        // Blocks 0..5 four times over, 4 frames. 0 to 3 fill them. 4 evicts 3, accessed last of all; 0 1 2 hit; 3
        // evicts 2; 4 0 1 hit; 2 evicts 1; 3 4 0 hit; 1 evicts 0; 2 3 4 hit.
        let trace = Trace::from_blocks((0..20).map(|i| i % 5).collect());
        assert_eq!(hits(&trace, 4), 12);
        assert_eq!(hits(&trace, 1), 0);
    }

    #[test]
    fn a_missed_block_is_always_taken_in() {
        // With one frame the cache cannot keep 1 while it serves 2, however useless 2 is.
        assert_eq!(hits(&Trace::from_blocks(vec![1, 2, 1, 1]), 1), 1);
    }

    /// Tries every victim at every eviction. `cached` is a set of ids, one bit each.
    fn most_hits(ids: &[u32], cached: u32, capacity: u32) -> u64 {
        let Some((&id, rest)) = ids.split_first() else { return 0 };
        let with_id = cached | 1 << id;
        if cached == with_id {
            return 1 + most_hits(rest, cached, capacity);
        }
        if cached.count_ones() < capacity {
            return most_hits(rest, with_id, capacity);
        }
        let victims = (0..u32::BITS).filter(|victim| cached & 1 << victim != 0);
        victims.map(|victim| most_hits(rest, with_id & !(1 << victim), capacity)).max().unwrap_or(0)
    }

    proptest! {
        #[test]
        fn it_equals_the_best_of_all_choices(
            blocks in proptest::collection::vec(0u64..6, 1..13),
            capacity in 1usize..5,
        ) {
            let trace = Trace::from_blocks(blocks);
            prop_assert_eq!(hits(&trace, capacity), most_hits(trace.ids(), 0, capacity as u32));
        }
    }
}
