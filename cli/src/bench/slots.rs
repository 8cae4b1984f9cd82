//! The volume in use: which image each of its slots means now, and which blocks are free for the next images.
//!
//! A *slot* is what a workload reads and replaces; where its image is changes with every replacement, because blocks are
//! copy-on-write. One block in sixteen is nobody's, so that writers have somewhere to go. Images are tagged with a running
//! number: the volume's fsid is new whenever it is filled, so no tag is used twice, and number and tag of a block fit in
//! one word that readers load while a writer stores it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tidelock_block_cache::{BlockCache, BlockSupply, Builder, SupplyError};
use tidelock_dev::BlockDevice;
use tidelock_format::{BlockNo, BlockRef, HEADER_BYTES, Seq};

use super::progress::Progress;
use super::setting::Setting;
use crate::error::CliError;
use crate::volume::{DATA, Description};

/// Of this many blocks one is kept free.
const SPARE_ONE_IN: u64 = 16;
/// Blocks written at a time while filling.
const FILL_BATCH: u64 = 256;

/// A volume in use.
pub(crate) struct Volume {
    device: Arc<dyn BlockDevice>,
    description: Description,
    slots: Box<[AtomicU64]>,
    free: Mutex<Free>,
    next_seq: Arc<AtomicU64>,
}

/// The blocks that no slot means.
#[derive(Debug, Default)]
pub(crate) struct Free {
    ready: VecDeque<BlockNo>,
    /// Free as soon as the transaction that replaced them is durable.
    left_behind: Vec<BlockNo>,
}

impl Volume {
    /// A volume whose every block is (or is about to be) as it was filled.
    pub(crate) fn new(device: Arc<dyn BlockDevice>, description: Description) -> Self {
        let spare = description.blocks / SPARE_ONE_IN;
        let used = description.blocks - spare;
        let slots = (1..=used).map(|blkno| AtomicU64::new(pack(BlockNo(blkno), Seq(blkno)))).collect();
        let ready = (used + 1..=description.blocks).map(BlockNo).collect();
        let free = Mutex::new(Free { ready, left_behind: Vec::new() });
        let next_seq = Arc::new(AtomicU64::new(description.blocks + 1));
        Self { device, description, slots, free, next_seq }
    }

    /// How many slots there are.
    pub(crate) fn slots(&self) -> u32 {
        self.slots.len() as u32
    }

    /// What `slot` means now.
    #[inline]
    pub(crate) fn block_ref(&self, slot: u32) -> BlockRef {
        // Relaxed: the word is all that is shared; whether it is still right, the block itself tells.
        unpack(self.slots[slot as usize].load(Ordering::Relaxed))
    }

    /// From now on `slot` means `image`, which is durable.
    pub(crate) fn set(&self, slot: u32, image: BlockRef) {
        // Relaxed: as above.
        self.slots[slot as usize].store(pack(image.blkno, image.seq), Ordering::Relaxed);
    }

    /// Where writers get blocks from. One writer at a time.
    pub(crate) fn free(&self) -> MutexGuard<'_, Free> {
        self.free.lock().expect("no writer panics")
    }

    /// Begins to build a cache of this volume.
    pub(crate) fn cache(&self, capacity_blocks: u64) -> Builder {
        let next_seq = self.next_seq.clone();
        // Relaxed: the number is all that is shared.
        self.cache_tagging(capacity_blocks, move || next_seq.fetch_add(1, Ordering::Relaxed))
    }

    fn cache_tagging(&self, capacity_blocks: u64, seqs: impl Fn() -> u64 + Send + Sync + 'static) -> Builder {
        let size = self.description.block_size;
        let capacity = capacity_blocks * size.bytes() as u64;
        BlockCache::builder(self.device.clone())
            .fsid(self.description.fsid)
            .block_size(size)
            .capacity(capacity)
            .seq_source(seqs)
    }

    /// A workload is about to replace images: the next run has to fill the volume anew.
    pub(crate) fn begin_writing(&self) -> Result<(), CliError> {
        Ok(Description { is_filled: false, ..self.description }.write(&*self.device)?)
    }

    /// Writes every block, each thread a part.
    pub(crate) fn fill(&self, setting: &Setting, progress: &Progress) -> Result<(), CliError> {
        let parts = setting.threads.min(FILLERS_MAX) as u64;
        let part = self.description.blocks.div_ceil(parts);
        progress.fill(self.description.bytes());
        thread::scope(|scope| {
            let fillers = (0..parts).map(|i| {
                let range = (i * part + 1, ((i + 1) * part).min(self.description.blocks));
                scope.spawn(move || self.fill_part(range, setting.seed, progress))
            });
            let fillers: Vec<_> = fillers.collect();
            fillers.into_iter().try_for_each(|filler| filler.join().expect("filling does not panic"))
        })
    }

    /// Writes blocks `first` to `last`, each tagged with its own number.
    fn fill_part(&self, (first, last): (u64, u64), seed: u64, progress: &Progress) -> Result<(), CliError> {
        let next = AtomicU64::new(first);
        // Relaxed: one thread uses it.
        let cache =
            self.cache_tagging(2 * FILL_BATCH, move || next.fetch_add(1, Ordering::Relaxed)).build()?;
        let mut writer = cache.writer();
        let mut supply = InOrder { next: first, last };
        for batch in (first..=last).step_by(FILL_BATCH as usize) {
            for _ in batch..(batch + FILL_BATCH).min(last + 1) {
                let mut image = BlockRef::NULL;
                let mut dirty = writer.dirty(&mut image, DATA, &mut supply).wait()?;
                let mut bytes = SmallRng::seed_from_u64(seed ^ dirty.block_ref().blkno.0);
                bytes.fill_bytes(&mut dirty[HEADER_BYTES..]);
            }
            progress.filled(writer.write().wait()?.bytes);
        }
        Ok(cache.flush().wait()?)
    }
}

/// Filling waits for the medium; more threads only wait in line.
const FILLERS_MAX: usize = 4;

impl Free {
    /// How many blocks can be had.
    pub(crate) fn len(&self) -> usize {
        self.ready.len()
    }

    /// `old` was replaced without having been read.
    pub(crate) fn leave_behind(&mut self, old: BlockNo) {
        self.left_behind.push(old);
    }

    /// The transaction is durable: what it left behind may be used again, after all others.
    pub(crate) fn durable(&mut self) {
        self.ready.extend(self.left_behind.drain(..));
    }

    /// As [`durable`](Self::durable), but before all others: whoever still has an old reference is going to notice.
    pub(crate) fn durable_and_next(&mut self) {
        while let Some(blkno) = self.left_behind.pop() {
            self.ready.push_front(blkno);
        }
    }
}

impl BlockSupply for Free {
    fn replace(&mut self, old: Option<BlockNo>) -> Result<BlockNo, SupplyError> {
        let blkno = self.ready.pop_front().ok_or(SupplyError::Empty)?;
        self.left_behind.extend(old);
        Ok(blkno)
    }
}

/// Blocks one after the other.
struct InOrder {
    next: u64,
    last: u64,
}

impl BlockSupply for InOrder {
    fn replace(&mut self, _old: Option<BlockNo>) -> Result<BlockNo, SupplyError> {
        if self.next > self.last {
            return Err(SupplyError::Empty);
        }
        self.next += 1;
        Ok(BlockNo(self.next - 1))
    }
}

/// Both are below 2^32: blocks by what may be asked for, tags because no run makes so many images.
fn pack(blkno: BlockNo, seq: Seq) -> u64 {
    assert!(blkno.0 >> 32 == 0 && seq.0 >> 32 == 0, "{blkno} and {seq} do not fit in one word");
    blkno.0 << 32 | seq.0
}

fn unpack(word: u64) -> BlockRef {
    BlockRef::new(BlockNo(word >> 32), Seq(word & u64::from(u32::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_transaction_leaves_behind_is_free_once_it_is_durable() {
        let mut free = Free { ready: VecDeque::from([BlockNo(9)]), left_behind: Vec::new() };
        assert_eq!(free.replace(Some(BlockNo(4))).unwrap(), BlockNo(9));
        assert!(matches!(free.replace(Some(BlockNo(5))), Err(SupplyError::Empty)));
        free.durable();
        assert_eq!(free.replace(None).unwrap(), BlockNo(4));
    }

    #[test]
    fn number_and_tag_survive_being_packed() {
        let image = BlockRef::new(BlockNo(u32::MAX.into()), Seq(1));
        assert_eq!(unpack(pack(image.blkno, image.seq)), image);
    }
}
