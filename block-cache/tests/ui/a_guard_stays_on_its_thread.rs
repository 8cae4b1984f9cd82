//! S-32: a guard protects what its own thread looks at.
use tidelock_block_cache::BlockCache;

fn hand_over(_: impl Send) {}

fn begin(cache: &BlockCache) {
    hand_over(cache.guard());
}

fn main() {}
