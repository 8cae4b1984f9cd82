//! S-31: a borrowed block is there for as long as its guard.
use tidelock_block_cache::BlockCache;
use tidelock_format::{BlockRef, Magic};

fn keep(cache: &BlockCache, wanted: BlockRef) -> Option<&[u8]> {
    let guard = cache.guard();
    guard.peek(wanted, Magic(1))
}

fn main() {}
