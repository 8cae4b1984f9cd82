//! moka: a bounded TinyLFU cache that defers its bookkeeping to a queue.

use std::sync::Arc;

use moka::sync::Cache;

use super::{
    Contender, Shape,
    hasher::{FixedState, fixed},
};
use crate::block::{Block, Reference};

pub(super) struct Moka(Cache<u64, Arc<Block>, FixedState>);

impl Contender for Moka {
    const NAME: &'static str = "moka";
    const ABOUT: &'static str = "bounded cache (TinyLFU); clones an Arc";

    fn build(shape: &Shape) -> Self {
        let builder = Cache::builder().max_capacity(shape.capacity as u64).initial_capacity(shape.room());
        Self(builder.build_with_hasher(fixed()))
    }

    #[inline(always)]
    fn lookup(&self, reference: Reference) -> bool {
        self.0.get(&reference.blkno).is_some_and(|block| block.answers(reference))
    }

    #[inline]
    fn insert(&self, reference: Reference) {
        self.0.insert(reference.blkno, Arc::new(Block::new(reference)));
    }

    fn settle(&self) {
        self.0.run_pending_tasks();
    }
}
