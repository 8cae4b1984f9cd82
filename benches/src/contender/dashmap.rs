//! dashmap: a sharded hash map behind reader-writer locks; it evicts nothing.

use std::sync::Arc;

use super::{
    Contender, Shape,
    hasher::{FixedState, fixed},
};
use crate::block::{Block, Reference};

pub(super) struct DashMap(dashmap::DashMap<u64, Arc<Block>, FixedState>);

impl Contender for DashMap {
    const NAME: &'static str = "dashmap";
    const ABOUT: &'static str = "map, evicts nothing; clones an Arc under a shard's lock";

    fn build(shape: &Shape) -> Self {
        Self(dashmap::DashMap::with_capacity_and_hasher(shape.room(), fixed()))
    }

    #[inline(always)]
    fn lookup(&self, reference: Reference) -> bool {
        let block = self.0.get(&reference.blkno).map(|entry| Arc::clone(entry.value()));
        block.is_some_and(|block| block.answers(reference))
    }

    #[inline]
    fn insert(&self, reference: Reference) {
        self.0.insert(reference.blkno, Arc::new(Block::new(reference)));
    }
}
