//! scc's hash map: a lock per bucket; it evicts nothing.

use std::sync::Arc;

use scc::HashMap;

use super::{
    Contender, Shape,
    hasher::{FixedState, fixed},
};
use crate::block::{Block, Reference};

pub(super) struct Scc(HashMap<u64, Arc<Block>, FixedState>);

impl Contender for Scc {
    const NAME: &'static str = "scc";
    const ABOUT: &'static str = "map, evicts nothing; clones an Arc under a bucket's lock";

    fn build(shape: &Shape) -> Self {
        Self(HashMap::with_capacity_and_hasher(shape.room(), fixed()))
    }

    #[inline(always)]
    fn lookup(&self, reference: Reference) -> bool {
        let block = self.0.read_sync(&reference.blkno, |_, block| Arc::clone(block));
        block.is_some_and(|block| block.answers(reference))
    }

    #[inline]
    fn insert(&self, reference: Reference) {
        drop(self.0.upsert_sync(reference.blkno, Arc::new(Block::new(reference))));
    }
}
