//! The dirty blocks of one transaction.
//!
//! Dirty blocks are uniquely owned: by the [`BlockWriter`] that made them, and while one is worked on, by a [`DirtyBlock`].
//! Dirtying always makes a new image in a new frame at a new location, complete and dirty before lookups can find it (B3);
//! readers of whatever was there before keep their bytes (B2). Writing seals the images, writes them in block order, and
//! makes them clean blocks like any other.
//!
//! - **W1** Every entry of the set is a frame in phase `Dirty` with one pin, the writer's.
//! - **W2** A supply hands out blocks of the device, and never one that an open writer still has dirty: anything else is a
//!   panic, and no reader has seen anything change.
//! - **W3** No image changes while the device reads it: while a write is in flight, every call on its writer that could touch a
//!   block waits for it.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::panic::Location;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tidelock_format::{BlockHeader, BlockNo, BlockRef, Checksum, Magic, Seq};
use tidelock_sync::{Op, Pending};

use crate::raw::core::Purpose;
use crate::raw::frame::FrameNo;
use crate::read::Read;
use crate::shared::Shared;
use crate::supply::{BlockSupply, SupplyError};
use crate::write::{WriteError, WriteReport, WriteSet, Written};
use crate::{Block, BlockCache, CacheError};

/// One transaction's dirty set. Independent writers of one cache do not disturb each other.
///
/// Dropping a writer forgets what it did not write.
pub struct BlockWriter {
    cache: BlockCache,
    set: Mutex<DirtySet>,
}

#[derive(Debug, Default)]
struct DirtySet {
    /// In block order, which is the order of writing.
    blocks: BTreeMap<BlockNo, Entry>,
    /// A write whose completions are still out (W3).
    in_flight: Option<Arc<WriteSet>>,
}

#[derive(Debug)]
struct Entry {
    frame: FrameNo,
    seq: Seq,
    /// Whether a [`DirtyBlock`] of it is out.
    is_borrowed: bool,
}

/// Why a block could not be dirtied. The reference, the supply and the writer are as they were.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DirtyError {
    /// The image to start from could not be read, or there is no frame for the new one.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// There is no block for the new image.
    #[error(transparent)]
    Supply(#[from] SupplyError),
}

impl BlockWriter {
    pub(crate) fn new(cache: &BlockCache) -> Self {
        Self { cache: cache.clone(), set: Mutex::default() }
    }

    fn shared(&self) -> &Arc<Shared> {
        self.cache.shared()
    }

    fn set(&self) -> MutexGuard<'_, DirtySet> {
        self.set.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Makes the block that `block_ref` names writable, and changes `block_ref` to name the new image.
    ///
    /// A block that this writer has dirty already is given out as it is. Otherwise the existing image is read (a null
    /// reference starts from zeroes), a frame and then a block for the new image are taken, and it becomes visible, complete
    /// and dirty, in place of whatever copy is cached at that location. Nothing after the last step that can fail can fail.
    ///
    /// # Errors
    /// [`DirtyError`]; `block_ref`, `supply` and this writer are as they were.
    ///
    /// # Panics
    /// W2, when the supply hands out a block that is dirty or not on the device. Also when a [`DirtyBlock`] of this very block is still out, as
    /// when a `RefCell` is borrowed twice.
    #[track_caller]
    pub fn dirty<'a>(
        &'a self,
        block_ref: &'a mut BlockRef,
        magic: Magic,
        supply: &'a mut dyn BlockSupply,
    ) -> Op<'a, Result<DirtyBlock<'a>, DirtyError>> {
        let site = Location::caller();
        let mut dirtying = Dirtying { writer: self, block_ref, magic, supply, site, source: Source::Unknown };
        match dirtying.try_now() {
            Some(result) => Op::ready(result),
            None => Op::pending(dirtying),
        }
    }

    /// Gives out a block that this writer has dirty; `None` when `block_ref` names no such image.
    ///
    /// # Panics
    /// When a [`DirtyBlock`] of it is still out.
    pub fn get(&self, block_ref: BlockRef) -> Option<DirtyBlock<'_>> {
        self.set().settle(self.shared());
        self.borrow(block_ref)
    }

    fn borrow(&self, block_ref: BlockRef) -> Option<DirtyBlock<'_>> {
        let mut set = self.set();
        let entry = set.blocks.get_mut(&block_ref.blkno).filter(|entry| entry.seq == block_ref.seq)?;
        assert!(!entry.is_borrowed, "dirty block {block_ref} is given out already");
        entry.is_borrowed = true;
        Some(DirtyBlock { writer: self, frame: entry.frame, block_ref })
    }

    /// How many blocks are dirty.
    pub fn len(&self) -> usize {
        self.set().blocks.len()
    }

    /// Whether nothing is dirty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that are dirty.
    pub fn dirty_bytes(&self) -> u64 {
        self.len() as u64 * self.shared().core.frames.size().bytes() as u64
    }

    /// Writes every dirty block: seals each with its checksum, submits them in block order, waits for all. After success they
    /// are clean blocks and the writer is empty. Says nothing about a volatile cache in the device: [`BlockCache::flush`]
    /// does.
    ///
    /// # Errors
    /// [`WriteError`] when any write failed: then *all* blocks stay dirty, and the call can be repeated.
    pub fn write(&mut self) -> Op<'_, Result<WriteReport, WriteError>> {
        Op::pending(Writing { writer: self, write: None })
    }

    /// Drops one dirty block without writing it. References to it lead nowhere from now on. Tells whether there was one.
    pub fn forget(&mut self, block_ref: BlockRef) -> bool {
        let shared = self.cache.shared().clone();
        let mut set = self.set();
        set.settle(&shared);
        let is_it = set.blocks.get(&block_ref.blkno).is_some_and(|entry| entry.seq == block_ref.seq);
        if is_it && let Some(entry) = set.blocks.remove(&block_ref.blkno) {
            forget_frame(&shared, entry.frame);
        }
        is_it
    }

    /// Drops every dirty block without writing it.
    pub fn forget_all(&mut self) {
        let shared = self.cache.shared().clone();
        let mut set = self.set();
        set.settle(&shared);
        std::mem::take(&mut set.blocks).into_values().for_each(|entry| forget_frame(&shared, entry.frame));
    }
}

/// Takes a dirty frame that nobody has borrowed out of sight.
fn forget_frame(shared: &Shared, frame: FrameNo) {
    shared.core.counters.forgotten.count();
    shared.core.remove(frame);
    shared.core.let_go(frame);
}

impl DirtySet {
    /// W3: waits for a write that was given up by whoever started it.
    fn settle(&mut self, shared: &Shared) {
        if let Some(write) = self.in_flight.take() {
            write.wait(shared, None);
        }
    }
}

impl Drop for BlockWriter {
    fn drop(&mut self) {
        self.forget_all();
    }
}

impl fmt::Debug for BlockWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlockWriter({} dirty blocks)", self.len())
    }
}

/// A dirty block, to be worked on. Give it back by dropping it; it stays dirty.
pub struct DirtyBlock<'w> {
    writer: &'w BlockWriter,
    frame: FrameNo,
    block_ref: BlockRef,
}

impl DirtyBlock<'_> {
    /// The reference to this image.
    pub fn block_ref(&self) -> BlockRef {
        self.block_ref
    }
}

impl Deref for DirtyBlock<'_> {
    type Target = [u8];

    /// The whole image, header included.
    fn deref(&self) -> &[u8] {
        self.writer.shared().core.frames.image(self.frame)
    }
}

impl DerefMut for DirtyBlock<'_> {
    /// The whole image. The header is the cache's: what is written there is put right again when the block is written.
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: W1, and this is the only DirtyBlock of the frame: F4.
        unsafe { self.writer.shared().core.frames.image_mut(self.frame) }
    }
}

impl Drop for DirtyBlock<'_> {
    fn drop(&mut self) {
        if let Some(entry) = self.writer.set().blocks.get_mut(&self.block_ref.blkno) {
            entry.is_borrowed = false;
        }
    }
}

impl fmt::Debug for DirtyBlock<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DirtyBlock({})", self.block_ref)
    }
}

/// One call to `dirty` under way.
struct Dirtying<'a> {
    writer: &'a BlockWriter,
    block_ref: &'a mut BlockRef,
    magic: Magic,
    supply: &'a mut dyn BlockSupply,
    site: &'static Location<'static>,
    source: Source,
}

/// What the new image starts from.
enum Source {
    Unknown,
    Zeroes,
    Reading(Read),
    Image(Block),
}

impl<'a> Dirtying<'a> {
    /// Finds out what to start from. `Some` when the block is dirty already.
    fn begin(&mut self) -> Option<DirtyBlock<'a>> {
        if !matches!(self.source, Source::Unknown) {
            return None;
        }
        if let Some(dirty) = self.writer.borrow(*self.block_ref) {
            return Some(dirty);
        }
        self.source = if self.block_ref.is_null() {
            Source::Zeroes
        } else {
            Source::Reading(Read::new(self.writer.shared(), *self.block_ref, self.magic, self.site))
        };
        None
    }

    /// What is to be read first, if anything.
    fn reading(&mut self) -> Option<&mut Read> {
        match &mut self.source {
            Source::Reading(read) => Some(read),
            _ => None,
        }
    }

    fn image_read(&mut self, image: Result<Block, CacheError>) -> Result<(), DirtyError> {
        self.source = Source::Image(image?);
        Ok(())
    }

    /// Everything that can fail, then everything that cannot.
    fn finish(&mut self) -> Result<DirtyBlock<'a>, DirtyError> {
        let shared = self.writer.shared();
        let core = &shared.core;
        if shared.is_closed() {
            return Err(CacheError::Closed.into());
        }
        let seq = shared.new_seq()?;
        let mut taken = shared.take_frame(Purpose::Write)?;
        let old = (!self.block_ref.is_null()).then_some(self.block_ref.blkno);
        let blkno = self.supply.replace(old)?;
        // From here on nothing fails (O-02), but for a supply that breaks its promise (W2).
        let image = BlockRef::new(blkno, seq);
        let is_on_device = !image.is_null() && shared.range_of(blkno).is_ok();
        assert!(is_on_device, "W2: the supply handed out block {blkno}, which is not on the device");
        self.fill(taken.image_mut(), image);
        let frame = taken.into_frame();
        if core.enter_dirty(frame, image, self.magic).is_err() {
            core.give_back(frame);
            panic!("W2: the supply handed out block {blkno}, which an open writer still has dirty");
        }
        // Closed meanwhile: then it is out of sight, as every other dirty block is by now, and still the writer's.
        shared.closed_meanwhile(frame);
        core.counters.dirtied.count();
        self.writer.set().blocks.insert(blkno, Entry { frame, seq, is_borrowed: true });
        *self.block_ref = image;
        Ok(DirtyBlock { writer: self.writer, frame, block_ref: image })
    }

    /// Makes the bytes of an owned frame a copy or zeroes, with a complete header.
    fn fill(&self, bytes: &mut [u8], image: BlockRef) {
        match &self.source {
            Source::Image(old) => bytes.copy_from_slice(old),
            _ => bytes.fill(0),
        }
        let header = BlockHeader {
            crc: Checksum(0),
            magic: self.magic,
            fsid: self.writer.shared().fsid,
            seq: image.seq,
            blkno: image.blkno,
        };
        header.write(bytes);
    }
}

impl<'a> Pending<Result<DirtyBlock<'a>, DirtyError>> for Dirtying<'a> {
    fn try_now(&mut self) -> Option<Result<DirtyBlock<'a>, DirtyError>> {
        if !WriteSet::is_done_in(&mut self.writer.set().in_flight) {
            return None;
        }
        if let Some(dirty) = self.begin() {
            return Some(Ok(dirty));
        }
        if let Some(read) = self.reading() {
            let image = read.try_now()?;
            if let Err(error) = self.image_read(image) {
                return Some(Err(error));
            }
        }
        Some(self.finish())
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<DirtyBlock<'a>, DirtyError>> {
        ready!(WriteSet::poll_in(&mut self.writer.set().in_flight, self.writer.shared(), context));
        if let Some(dirty) = self.begin() {
            return Poll::Ready(Ok(dirty));
        }
        if let Some(read) = self.reading() {
            let image = ready!(read.poll(context));
            self.image_read(image)?;
        }
        Poll::Ready(self.finish())
    }

    fn wait(&mut self, deadline: Option<Instant>) -> Option<Result<DirtyBlock<'a>, DirtyError>> {
        if !WriteSet::wait_in(&mut self.writer.set().in_flight, self.writer.shared(), deadline) {
            return None;
        }
        if let Some(dirty) = self.begin() {
            return Some(Ok(dirty));
        }
        if let Some(read) = self.reading() {
            let image = read.wait(deadline)?;
            if let Err(error) = self.image_read(image) {
                return Some(Err(error));
            }
        }
        Some(self.finish())
    }
}

/// One call to `write` under way. Dropping it leaves the write to the device and to the writer's next call (W3).
struct Writing<'a> {
    writer: &'a BlockWriter,
    /// `None` until submitted.
    write: Option<Arc<WriteSet>>,
}

impl Writing<'_> {
    /// Seals and submits everything, once no earlier write is in flight.
    fn submit(&mut self) -> Arc<WriteSet> {
        if let Some(write) = &self.write {
            return write.clone();
        }
        let shared = self.writer.shared();
        let mut set = self.writer.set();
        let blocks: Vec<(BlockNo, FrameNo, Seq)> =
            set.blocks.iter().map(|(blkno, entry)| (*blkno, entry.frame, entry.seq)).collect();
        debug_assert!(set.blocks.values().all(|entry| !entry.is_borrowed), "write() borrows the writer");
        let write = WriteSet::submit(shared, &blocks);
        set.in_flight = Some(write.clone());
        self.write = Some(write.clone());
        write
    }

    /// All completions are in.
    fn finish(&mut self, write: &WriteSet) -> Result<WriteReport, WriteError> {
        let shared = self.writer.shared();
        let mut set = self.writer.set();
        set.in_flight = None;
        let Written { report, failed } = write.outcome();
        match failed {
            Some(error) => Err(error),
            None => {
                // W1 ends here: each gives its writer's pin back and is a clean block from now on.
                let blocks = std::mem::take(&mut set.blocks);
                for (blkno, entry) in blocks {
                    shared.core.settle_written(entry.frame);
                    shared.doubt(blkno);
                }
                Ok(report)
            }
        }
    }
}

impl Pending<Result<WriteReport, WriteError>> for Writing<'_> {
    fn try_now(&mut self) -> Option<Result<WriteReport, WriteError>> {
        if self.write.is_none() && !WriteSet::is_done_in(&mut self.writer.set().in_flight) {
            return None;
        }
        let write = self.submit();
        write.wait(self.writer.shared(), Some(Instant::now())).then(|| self.finish(&write))
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<WriteReport, WriteError>> {
        if self.write.is_none() {
            ready!(WriteSet::poll_in(&mut self.writer.set().in_flight, self.writer.shared(), context));
        }
        let write = self.submit();
        ready!(write.poll(self.writer.shared(), context));
        Poll::Ready(self.finish(&write))
    }

    fn wait(&mut self, deadline: Option<Instant>) -> Option<Result<WriteReport, WriteError>> {
        if self.write.is_none()
            && !WriteSet::wait_in(&mut self.writer.set().in_flight, self.writer.shared(), deadline)
        {
            return None;
        }
        let write = self.submit();
        write.wait(self.writer.shared(), deadline).then(|| self.finish(&write))
    }
}
