//! Formatted blocks on a device in memory, and caches over them: what the criterion groups measure on.
//!
//! The device costs a copy and no wait, so what is left of a miss is the cache's own work.

use std::sync::Arc;

use tidelock_block_cache::{BlockCache, Builder};
use tidelock_dev::{AlignedBuffer, BlockDevice, MemDevice};
use tidelock_format::{BlockHeader, BlockNo, BlockRef, BlockSize, Checksum, DeviceRange, Fsid, Magic, Seq};

/// The kind of every block.
pub const MAGIC: Magic = Magic(0x4245_4e43);

/// Blocks that can be read, and references to them.
#[derive(Debug)]
pub struct Volume {
    /// The device.
    pub device: Arc<MemDevice>,
    /// A reference to every block, from number 1 on.
    pub refs: Vec<BlockRef>,
    size: BlockSize,
}

impl Volume {
    /// Formats `blocks` blocks of `size`.
    pub fn format(blocks: u64, size: BlockSize) -> Self {
        let device = Arc::new(MemDevice::new((2 * blocks + 1) * size.bytes() as u64));
        let refs = (1..=blocks).map(|blkno| put(&*device, blkno, size)).collect();
        Self { device, refs, size }
    }

    /// A builder of a cache over it that holds `blocks` blocks.
    pub fn cache(&self, blocks: usize) -> Builder {
        let bytes = (blocks * self.size.bytes()) as u64;
        BlockCache::builder(self.device.clone())
            .block_size(self.size)
            .capacity(bytes)
            .capacity_max(bytes)
            .expected_blocks(blocks)
            .hash_seed(1)
    }
}

/// The sealed image of a block.
pub fn image(block: BlockRef, size: BlockSize) -> AlignedBuffer {
    let mut image = AlignedBuffer::zeroed(size.bytes(), size.bytes());
    image.fill(block.blkno.0 as u8);
    BlockHeader { crc: Checksum(0), magic: MAGIC, fsid: Fsid(0), seq: block.seq, blkno: block.blkno }
        .write(&mut image);
    BlockHeader::seal(&mut image);
    image
}

fn put(device: &dyn BlockDevice, blkno: u64, size: BlockSize) -> BlockRef {
    let block = BlockRef::new(BlockNo(blkno), Seq(blkno ^ 0x5eed));
    let range = DeviceRange::of_block(block.blkno, size).expect("the device was made for this block");
    tidelock_dev::io::write(device, range, image(block, size)).wait().expect("memory takes every write");
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_leads_to_its_block() {
        let volume = Volume::format(16, BlockSize::MIN);
        let cache = volume.cache(64).build().unwrap();
        for wanted in &volume.refs {
            assert_eq!(cache.read_ref(*wanted, MAGIC).wait().unwrap().block_ref(), *wanted);
        }
    }
}
