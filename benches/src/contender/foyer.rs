//! foyer's memory cache with S3-FIFO. Its entries are reference-counted handles themselves: no `Arc` within.

use foyer_memory::{Cache, CacheBuilder, S3FifoConfig};

use super::{
    Contender, Shape,
    hasher::{FixedState, fixed},
};
use crate::block::{Block, Reference};

pub(super) struct Foyer(Cache<u64, Block, FixedState>);

impl Contender for Foyer {
    const NAME: &'static str = "foyer";
    const ABOUT: &'static str = "bounded cache (S3-FIFO); takes its entry handle";

    fn build(shape: &Shape) -> Self {
        let policy = S3FifoConfig::default();
        Self(
            CacheBuilder::new(shape.capacity).with_eviction_config(policy).with_hash_builder(fixed()).build(),
        )
    }

    #[inline(always)]
    fn lookup(&self, reference: Reference) -> bool {
        self.0.get(&reference.blkno).is_some_and(|entry| entry.value().answers(reference))
    }

    #[inline]
    fn insert(&self, reference: Reference) {
        drop(self.0.insert(reference.blkno, Block::new(reference)));
    }
}
