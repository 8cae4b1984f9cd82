//! S-29: what a writer gave out comes back before the writer goes.
use tidelock_block_cache::{BlockCache, DirtyBlock};
use tidelock_format::BlockRef;

fn keep(cache: &BlockCache, block_ref: BlockRef) -> Option<DirtyBlock<'_>> {
    let writer = cache.writer();
    writer.get(block_ref)
}

fn main() {}
