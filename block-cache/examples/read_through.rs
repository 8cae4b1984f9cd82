//! A read-through cache over a file: what is not cached is read, verified and kept.
//!
//! The file is formatted with a few hundred blocks and opened as a device: through io_uring and past the page cache where the
//! system allows that, and by threads otherwise. Then the same blocks are read twice.

use std::error::Error;
use std::time::Instant;

use tidelock_block_cache::BlockCache;
use tidelock_dev::{AlignedBuffer, BlockDevice, OpenOptions};
use tidelock_format::{BlockHeader, BlockNo, BlockRef, BlockSize, Checksum, DeviceRange, Fsid, Magic, Seq};

const SIZE: BlockSize = BlockSize::DEFAULT;
const BLOCKS: u64 = 256;
const FSID: Fsid = Fsid(0xf00d);
const LEAF: Magic = Magic(0x4c45_4146);

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let bytes = (BLOCKS + 1) * SIZE.bytes() as u64;
    let opened = OpenOptions::new().create(bytes).open(folder.path().join("volume"))?;
    let device = opened.device;
    println!("{}", device.describe());
    let refs = (1..=BLOCKS).map(|blkno| format_block(&*device, blkno)).collect::<Result<Vec<_>, _>>()?;

    let cache = BlockCache::builder(device).fsid(FSID).block_size(SIZE).capacity(64 << 20).build()?;
    for round in ["cold", "warm"] {
        let begun = Instant::now();
        for wanted in &refs {
            // A miss waits for the device on this very thread; a hit is there already.
            let block = cache.read_ref(*wanted, LEAF).wait()?;
            assert_eq!(block[SIZE.bytes() - 1], wanted.blkno.0 as u8);
        }
        println!("{round}: {:?} for each of {BLOCKS} blocks", begun.elapsed() / BLOCKS as u32);
    }

    // One submission for many blocks, when it is known what will be wanted.
    cache.shrink(u64::MAX);
    let begun = Instant::now();
    let blocks = cache.read_many(&refs, LEAF).wait().into_iter().collect::<Result<Vec<_>, _>>()?;
    println!("batched: {:?} for each of {} blocks", begun.elapsed() / BLOCKS as u32, blocks.len());

    let stats = cache.stats();
    println!("{} hits, {} misses, {} device reads", stats.hits, stats.misses, stats.events.device_reads);
    assert_eq!(stats.events.damaged_images, 0);
    Ok(())
}

/// Writes a block as `mkfs` would, and returns the reference that leads to it.
fn format_block(device: &dyn BlockDevice, blkno: u64) -> Result<BlockRef, Box<dyn Error>> {
    let block = BlockRef::new(BlockNo(blkno), Seq(blkno * 31));
    let mut image = AlignedBuffer::zeroed(SIZE.bytes(), device.align());
    image.fill(blkno as u8);
    BlockHeader { crc: Checksum(0), magic: LEAF, fsid: FSID, seq: block.seq, blkno: block.blkno }
        .write(&mut image);
    BlockHeader::seal(&mut image);
    let range = DeviceRange::of_block(block.blkno, SIZE).ok_or("a block beyond any device")?;
    tidelock_dev::io::write(device, range, image).wait()?;
    Ok(block)
}
