//! Least recently used: the policy everybody knows, and the one that a scan or a loop defeats.
//!
//! No list is kept. The trace is its own list: a block's place in it is its last access, and the least recently used
//! block is the one at the first place that is still some resident block's last access. That place only ever moves
//! forward, so a whole run costs O(n).

use super::Trace;

/// The last access of a block that is not in the cache.
const ABSENT: usize = usize::MAX;

/// Hits of a cache of `capacity` blocks that evicts the least recently used.
///
/// # Panics
/// If `capacity` is zero.
pub(crate) fn hits(trace: &Trace, capacity: usize) -> u64 {
    assert!(capacity > 0, "a cache holds at least one block");
    let ids = trace.ids();
    let mut last_access = vec![ABSENT; trace.unique()];
    let mut residents = 0;
    let mut oldest = 0;
    let mut hits = 0;
    for (place, &id) in ids.iter().enumerate() {
        if last_access[id as usize] != ABSENT {
            hits += 1;
        } else if residents < capacity {
            residents += 1;
        } else {
            while last_access[ids[oldest] as usize] != oldest {
                oldest += 1;
            }
            last_access[ids[oldest] as usize] = ABSENT;
        }
        last_access[id as usize] = place;
    }
    hits
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_least_recently_used_block_goes_first() {
        // 1 2, then 1 hits and makes 2 the older one; 3 evicts 2; 1 hits; 2 misses and evicts 3; 3 misses.
        assert_eq!(hits(&Trace::from_blocks(vec![1, 2, 1, 3, 1, 2, 3]), 2), 2);
    }

    #[test]
    fn a_loop_one_block_larger_than_the_cache_never_hits() {
        let trace = Trace::from_blocks((0..50).map(|i| i % 5).collect());
        assert_eq!(hits(&trace, 4), 0);
        assert_eq!(hits(&trace, 5), 45);
    }

    #[test]
    fn one_frame_hits_only_immediate_repeats() {
        assert_eq!(hits(&Trace::from_blocks(vec![7, 7, 8, 7, 7, 7]), 1), 3);
    }

    proptest! {
        #[test]
        fn it_equals_a_plain_list_kept_in_order(
            blocks in proptest::collection::vec(0u64..12, 1..200),
            capacity in 1usize..14,
        ) {
            let trace = Trace::from_blocks(blocks);
            let mut list: Vec<u32> = Vec::new();
            let mut expected = 0;
            for &id in trace.ids() {
                match list.iter().position(|&other| other == id) {
                    Some(place) => { list.remove(place); expected += 1 }
                    None if list.len() == capacity => { list.remove(0); }
                    None => {}
                }
                list.push(id);
            }
            prop_assert_eq!(hits(&trace, capacity), expected);
        }
    }
}
