//! Block-access traces, and the yardsticks a cache's hit ratio is held against.
//!
//! A hit ratio says little by itself: the same 40 % is poor on one trace and the best that can be had on another. So
//! a trace is read once ([`Trace`]) and played through three caches that exist only as arithmetic: the optimum
//! ([`belady`]), what most caches do ([`lru`]), and the best known simple policy ([`s3fifo`]). Each is one function
//! from a trace and a capacity to a number of hits.
//!
//! All three keep the rule the block cache has to keep: a block that was missed is in the cache when the access
//! returns, because somebody asked to hold it. A policy that may refuse blocks would play another game.
//!
//! What the block cache itself makes of a trace is not decided here: that is measured by running it.
#![forbid(unsafe_code)]

pub(crate) mod belady;
pub(crate) mod lru;
pub(crate) mod read;
pub(crate) mod s3fifo;

pub(crate) use read::Trace;

#[cfg(test)]
mod tests {
    use super::{Trace, belady, lru, s3fifo};
    use proptest::prelude::*;

    /// Few blocks and many accesses: caches of every size see hits, evictions and returns.
    fn any_trace() -> impl Strategy<Value = Trace> {
        proptest::collection::vec(0u64..12, 1..200).prop_map(Trace::from_blocks)
    }

    proptest! {
        #[test]
        fn no_policy_beats_the_optimum(trace in any_trace(), capacity in 1usize..14) {
            let best = belady::hits(&trace, capacity);
            prop_assert!(lru::hits(&trace, capacity) <= best);
            for promote_at in 1..=3 {
                prop_assert!(s3fifo::hits(&trace, capacity, promote_at) <= best);
            }
        }

        #[test]
        fn a_cache_that_holds_everything_misses_each_block_once(trace in any_trace()) {
            let all = (trace.len() - trace.unique()) as u64;
            prop_assert_eq!(belady::hits(&trace, trace.unique()), all);
            prop_assert_eq!(lru::hits(&trace, trace.unique()), all);
            prop_assert_eq!(s3fifo::hits(&trace, trace.unique(), 2), all);
        }

        #[test]
        fn more_capacity_never_costs_the_optimum_or_lru_a_hit(trace in any_trace(), capacity in 1usize..14) {
            prop_assert!(belady::hits(&trace, capacity) <= belady::hits(&trace, capacity + 1));
            prop_assert!(lru::hits(&trace, capacity) <= lru::hits(&trace, capacity + 1));
        }
    }
}
