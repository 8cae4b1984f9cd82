//! TinyUFO: lock-free S3-FIFO with TinyLFU admission. Its hash is ahash as well, with keys of its own choice.

use std::sync::Arc;

use super::{Contender, Shape, Start};
use crate::block::{Block, Reference};

pub(super) struct TinyUfo(tinyufo::TinyUfo<u64, Arc<Block>>);

/// What TinyUFO is told to expect when it has to grow; it takes no zero.
const SMALL_START: usize = 1024;

impl Contender for TinyUfo {
    const NAME: &'static str = "tinyufo";
    const ABOUT: &'static str = "bounded cache (S3-FIFO + TinyLFU); clones an Arc";

    fn build(shape: &Shape) -> Self {
        let expected = match shape.start {
            Start::Empty => SMALL_START,
            Start::Sized => shape.capacity,
        };
        Self(tinyufo::TinyUfo::new(shape.capacity, expected))
    }

    #[inline(always)]
    fn lookup(&self, reference: Reference) -> bool {
        self.0.get(&reference.blkno).is_some_and(|block| block.answers(reference))
    }

    #[inline]
    fn insert(&self, reference: Reference) {
        drop(self.0.put(reference.blkno, Arc::new(Block::new(reference)), 1));
    }
}
