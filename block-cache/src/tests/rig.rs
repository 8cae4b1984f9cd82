//! A small cache over a device in memory, blocks to put there, and what tests ask of a cache when they are done.

use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use tidelock_dev::{AlignedBuffer, BlockDevice, Faulty, MemDevice};
use tidelock_format::{
    BlockHeader, BlockNo, BlockRef, BlockSize, Checksum, DeviceRange, Fsid, HEADER_BYTES, Magic, Seq,
};

use crate::{BlockCache, BlockSupply, BlockWriter, Builder, SupplyError};

pub(crate) const FSID: Fsid = Fsid(0x7157);
pub(crate) const MAGIC: Magic = Magic(0x4c4f_434b);
pub(crate) const SIZE: BlockSize = BlockSize::MIN;

/// Blocks of the test device.
pub(crate) const BLOCKS: u64 = 4096;

pub(crate) fn device() -> Arc<MemDevice> {
    Arc::new(MemDevice::new(BLOCKS * SIZE.bytes() as u64))
}

/// A device that fails on purpose, over one in memory.
pub(crate) fn faulty() -> Arc<Faulty> {
    Arc::new(Faulty::new(device(), 1))
}

/// A builder for `frames` blocks over `device`.
pub(crate) fn builder(device: Arc<dyn BlockDevice>, frames: usize) -> Builder {
    BlockCache::builder(device)
        .fsid(FSID)
        .block_size(SIZE)
        .capacity((frames * SIZE.bytes()) as u64)
        .capacity_max((4 * frames * SIZE.bytes()) as u64)
        .hash_seed(1)
}

/// The image of a block whose payload is `fill`.
#[cfg_attr(tidelock_shuttle, expect(dead_code, reason = "its models write through the cache"))]
pub(crate) fn image(block: BlockRef, fill: u8) -> AlignedBuffer {
    image_of(SIZE, block, fill)
}

/// As above, for blocks of any size.
pub(crate) fn image_of(size: BlockSize, block: BlockRef, fill: u8) -> AlignedBuffer {
    let mut image = AlignedBuffer::zeroed(size.bytes(), SIZE.bytes());
    image.fill(fill);
    BlockHeader { crc: Checksum(0), magic: MAGIC, fsid: FSID, seq: block.seq, blkno: block.blkno }
        .write(&mut image);
    BlockHeader::seal(&mut image);
    image
}

/// Puts an image on the medium, past the cache, as another node would.
#[cfg_attr(tidelock_shuttle, expect(dead_code, reason = "as above"))]
pub(crate) fn put(device: &dyn BlockDevice, at: BlockNo, image: AlignedBuffer) {
    let range = DeviceRange::of_block(at, SIZE).expect("test blocks are on the device");
    tidelock_dev::io::write(device, range, image).wait().expect("the test device takes writes");
}

/// Puts block `blkno`, image `seq`, on the medium and returns the reference to it.
#[cfg_attr(tidelock_shuttle, expect(dead_code, reason = "as above"))]
pub(crate) fn put_block(device: &dyn BlockDevice, blkno: u64, seq: u64) -> BlockRef {
    let block = BlockRef::new(BlockNo(blkno), Seq(seq));
    put(device, block.blkno, image(block, blkno as u8));
    block
}

/// Dirties `block`, fills the payload with `fill`, and gives it back.
pub(crate) fn dirty(writer: &BlockWriter, block: &mut BlockRef, supply: &mut Counting, fill: u8) {
    let mut dirty = writer.dirty(block, MAGIC, supply).wait().expect("nothing fails here");
    dirty[HEADER_BYTES..].fill(fill);
}

/// Whether the payload of an image is `fill` throughout.
pub(crate) fn is_filled(image: &[u8], fill: u8) -> bool {
    image[HEADER_BYTES..].iter().all(|byte| *byte == fill)
}

/// The message of a panic.
pub(crate) fn panic_message(run: impl FnOnce()) -> String {
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).expect_err("it was to panic");
    match panic.downcast::<String>() {
        Ok(message) => *message,
        Err(panic) => (*panic.downcast::<&str>().expect("a panic has a message")).to_owned(),
    }
}

/// Nothing is pinned any more, and closing has nothing to report.
pub(crate) fn close_clean(cache: BlockCache) {
    let held = cache.outstanding();
    assert!(held.is_empty(), "B8: still held: {held:?}");
    assert!(cache.close().is_clean());
}

/// Polls a future once, for a task that would be run by unparking this thread.
pub(crate) fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    std::pin::Pin::new(future).poll(&mut Context::from_waker(&waker))
}

/// Runs a future to its end on this thread.
pub(crate) fn block_on<F: Future + Unpin>(mut future: F) -> F::Output {
    loop {
        match poll_once(&mut future) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Hands out block numbers in order from `next` on, and remembers what was freed.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Counting {
    pub(crate) next: u64,
    pub(crate) freed: Vec<BlockNo>,
    pub(crate) left: Option<u64>,
}

impl Counting {
    pub(crate) fn from(next: u64) -> Self {
        Self { next, freed: Vec::new(), left: None }
    }
}

impl BlockSupply for Counting {
    fn replace(&mut self, old: Option<BlockNo>) -> Result<BlockNo, SupplyError> {
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(1).ok_or(SupplyError::Empty)?;
        }
        self.freed.extend(old);
        self.next += 1;
        Ok(BlockNo(self.next - 1))
    }
}
