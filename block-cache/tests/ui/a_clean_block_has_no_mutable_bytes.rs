//! S-27, B2: there is no way to change what others may be reading.
use tidelock_block_cache::Block;

fn scribble(mut block: Block) {
    block[100] = 1;
}

fn main() {}
