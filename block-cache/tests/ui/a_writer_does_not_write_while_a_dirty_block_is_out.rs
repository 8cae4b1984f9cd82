//! S-27: no image changes while it is written.
use tidelock_block_cache::BlockWriter;
use tidelock_format::BlockRef;

fn write_too_early(mut writer: BlockWriter, block_ref: BlockRef) {
    let mut dirty = writer.get(block_ref).unwrap();
    let write = writer.write();
    dirty[100] = 1;
    drop(write);
}

fn main() {}
