//! quick_cache: a sharded, bounded cache (CLOCK with S3-FIFO's ideas) behind reader-writer locks.

use std::sync::Arc;

use quick_cache::{UnitWeighter, sync::Cache};

use super::{
    Contender, Shape,
    hasher::{FixedState, fixed},
};
use crate::block::{Block, Reference};

pub(super) struct QuickCache(Cache<u64, Arc<Block>, UnitWeighter, FixedState>);

impl Contender for QuickCache {
    const NAME: &'static str = "quick_cache";
    const ABOUT: &'static str = "bounded cache; clones an Arc";

    fn build(shape: &Shape) -> Self {
        let lifecycle = Default::default();
        Self(Cache::with(shape.room(), shape.capacity as u64, UnitWeighter, fixed(), lifecycle))
    }

    #[inline(always)]
    fn lookup(&self, reference: Reference) -> bool {
        self.0.get(&reference.blkno).is_some_and(|block| block.answers(reference))
    }

    #[inline]
    fn insert(&self, reference: Reference) {
        self.0.insert(reference.blkno, Arc::new(Block::new(reference)));
    }
}
