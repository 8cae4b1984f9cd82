//! No cache at all: one reference count on a cache line of its own, taken and dropped.
//!
//! This is what the hardware asks for a pinned read of one hot block. A cache cannot be faster than this where
//! its readers leave with a reference; the goal for the hot block is a multiple of it.

use std::{
    hint::black_box,
    sync::atomic::{AtomicU64, Ordering},
};

use crossbeam_utils::CachePadded;

use super::{Contender, Shape};
use crate::block::Reference;

pub(super) struct FetchPair(CachePadded<AtomicU64>);

impl Contender for FetchPair {
    const NAME: &'static str = "fetch-pair";
    const ABOUT: &'static str = "floor: a bare fetch_add and fetch_sub on one cache line";

    fn build(_: &Shape) -> Self {
        Self(CachePadded::new(AtomicU64::new(0)))
    }

    #[inline(always)]
    fn lookup(&self, reference: Reference) -> bool {
        // Acquire: as a cache takes a reference; pairs with the Release below in other threads.
        let before = self.0.fetch_add(1, Ordering::Acquire);
        // Release: as a cache drops one; pairs with the Acquire above in other threads.
        self.0.fetch_sub(1, Ordering::Release);
        before != black_box(reference.seq)
    }

    fn insert(&self, _: Reference) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contender::Start;

    #[test]
    fn a_pair_leaves_the_count_as_it_was() {
        let mut pair = FetchPair::build(&Shape { capacity: 1, resident: 1, start: Start::Sized });
        assert!(pair.lookup(Reference::to(77)));
        assert_eq!(*pair.0.get_mut(), 0);
    }
}
