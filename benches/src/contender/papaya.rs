//! papaya: a lock-free hash table that evicts nothing, read in two ways.

use std::sync::Arc;

use papaya::HashMap;

use super::{
    Contender, Shape,
    hasher::{FixedState, fixed},
};
use crate::block::{Block, Reference};

/// The block lies in the table's own entry and is read in place, under a guard taken for each lookup: the least
/// that papaya can do.
pub(super) struct Papaya(HashMap<u64, Block, FixedState>);

impl Contender for Papaya {
    const NAME: &'static str = "papaya";
    const ABOUT: &'static str = "map, evicts nothing; reads in place under a guard";

    fn build(shape: &Shape) -> Self {
        Self(HashMap::builder().capacity(shape.room()).hasher(fixed()).build())
    }

    #[inline(always)]
    fn lookup(&self, reference: Reference) -> bool {
        self.0.pin().get(&reference.blkno).is_some_and(|block| block.answers(reference))
    }

    #[inline]
    fn insert(&self, reference: Reference) {
        self.0.pin().insert(reference.blkno, Block::new(reference));
    }
}

/// The reader leaves with an `Arc`, which it may keep for as long as it likes.
pub(super) struct PapayaArc(HashMap<u64, Arc<Block>, FixedState>);

impl Contender for PapayaArc {
    const NAME: &'static str = "papaya-arc";
    const ABOUT: &'static str = "map, evicts nothing; clones an Arc under a guard";

    fn build(shape: &Shape) -> Self {
        Self(HashMap::builder().capacity(shape.room()).hasher(fixed()).build())
    }

    #[inline(always)]
    fn lookup(&self, reference: Reference) -> bool {
        let block = self.0.pin().get(&reference.blkno).cloned();
        block.is_some_and(|block| block.answers(reference))
    }

    #[inline]
    fn insert(&self, reference: Reference) {
        self.0.pin().insert(reference.blkno, Arc::new(Block::new(reference)));
    }
}
