//! An async runtime: thousands of tasks that await blocks of one cache, on two threads.
//!
//! The cache knows no runtime. What may wait returns an `Op`, which is a future: a hit is ready at once, a miss wakes the
//! task when the device has answered. Many tasks that want the same block share one read.

use std::error::Error;
use std::sync::Arc;

use tidelock_block_cache::{BlockCache, CacheError};
use tidelock_dev::{AlignedBuffer, BlockDevice, OpenOptions};
use tidelock_format::{BlockHeader, BlockNo, BlockRef, BlockSize, Checksum, DeviceRange, Fsid, Magic, Seq};

const SIZE: BlockSize = BlockSize::MIN;
const BLOCKS: u64 = 128;
const TASKS: u64 = 2000;
const LEAF: Magic = Magic(0x4c45_4146);

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let bytes = (BLOCKS + 1) * SIZE.bytes() as u64;
    let device = OpenOptions::new().create(bytes).open(folder.path().join("volume"))?.device;
    let refs = (1..=BLOCKS).map(|blkno| format_block(&*device, blkno)).collect::<Result<Vec<_>, _>>()?;
    let cache = BlockCache::builder(device).block_size(SIZE).capacity(16 << 20).build()?;

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build()?;
    let sum = runtime.block_on(sum_of_all(&cache, Arc::new(refs)))?;
    // Each task adds up the last bytes of four blocks in a row.
    let expected: u64 = (0..TASKS).flat_map(|task| (task..task + 4).map(|n| 1 + n % BLOCKS)).sum();
    assert_eq!(sum, expected);

    let stats = cache.stats();
    println!("{TASKS} tasks read {} blocks with {} device reads", 4 * TASKS, stats.events.device_reads);
    println!("{} waited for a read that another task had begun", stats.events.joined_fills);
    assert_eq!(stats.events.device_reads, BLOCKS);
    Ok(())
}

/// Starts every task, then awaits each.
async fn sum_of_all(cache: &BlockCache, refs: Arc<Vec<BlockRef>>) -> Result<u64, Box<dyn Error>> {
    let tasks: Vec<_> = (0..TASKS)
        .map(|first| tokio::spawn(sum_of_four(cache.clone(), refs.clone(), first as usize)))
        .collect();
    let mut sum = 0;
    for task in tasks {
        sum += task.await??;
    }
    Ok(sum)
}

/// A block may be held over an await: it is a pin, not a guard. (A guard may not, and cannot: it is not `Send`.)
async fn sum_of_four(cache: BlockCache, refs: Arc<Vec<BlockRef>>, first: usize) -> Result<u64, CacheError> {
    let mut held = Vec::new();
    for wanted in (first..first + 4).map(|n| refs[n % refs.len()]) {
        held.push(cache.read_ref(wanted, LEAF).await?);
    }
    Ok(held.iter().map(|block| u64::from(block[SIZE.bytes() - 1])).sum())
}

/// Writes a block as `mkfs` would, and returns the reference that leads to it.
fn format_block(device: &dyn BlockDevice, blkno: u64) -> Result<BlockRef, Box<dyn Error>> {
    let block = BlockRef::new(BlockNo(blkno), Seq(blkno * 31));
    let mut image = AlignedBuffer::zeroed(SIZE.bytes(), device.align());
    image.fill(blkno as u8);
    BlockHeader { crc: Checksum(0), magic: LEAF, fsid: Fsid(0), seq: block.seq, blkno: block.blkno }
        .write(&mut image);
    BlockHeader::seal(&mut image);
    let range = DeviceRange::of_block(block.blkno, SIZE).ok_or("a block beyond any device")?;
    tidelock_dev::io::write(device, range, image).wait()?;
    Ok(block)
}
