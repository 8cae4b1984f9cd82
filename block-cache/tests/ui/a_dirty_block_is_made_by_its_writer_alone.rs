//! S-29, S-30: nobody but a writer makes one, or makes one name another image.
use tidelock_block_cache::DirtyBlock;
use tidelock_format::BlockRef;

fn rename(mut dirty: DirtyBlock<'_>) {
    dirty.block_ref = BlockRef::NULL;
}

fn main() {}
