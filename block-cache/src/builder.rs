//! How a cache is made.

use std::fmt;
use std::io;
use std::sync::Arc;

use ahash::RandomState;
use tidelock_dev::BlockDevice;
use tidelock_format::{BlockSize, Fsid};

use crate::BlockCache;
use crate::budget::{Charge, MemoryBudget};
use crate::fault::Faults;
use crate::raw::core::{Core, Plan};
use crate::raw::pages::Pages;
use crate::references::References;
use crate::shared::{SeqSource, Shared};

/// Frames that a reserve has at least: what a commit needs to make progress one block at a time.
pub(crate) const RESERVE_MIN: usize = if cfg!(any(tidelock_loom, tidelock_shuttle)) { 1 } else { 8 };
/// And at the most.
const RESERVE_MAX: usize = 256;

/// The options of a cache. Only the device is required.
pub struct Builder {
    device: Arc<dyn BlockDevice>,
    fsid: Fsid,
    size: BlockSize,
    capacity: u64,
    capacity_max: Option<u64>,
    expected_blocks: Option<usize>,
    pages: Pages,
    budget: Option<MemoryBudget>,
    name: String,
    track_references: bool,
    seqs: SeqSource,
    hasher: Option<RandomState>,
}

/// Why a cache cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Too small to work at all.
    #[error(
        "a capacity of {capacity} bytes is {frames} blocks of {size}, below one reserve of {reserve} blocks: \
         give it at least {least} bytes"
    )]
    CapacityTooSmall {
        /// What was asked for, in bytes.
        capacity: u64,
        /// What that is in blocks.
        frames: u64,
        /// The block size.
        size: BlockSize,
        /// Blocks of the smallest reserve.
        reserve: usize,
        /// The least capacity, in bytes.
        least: u64,
    },
    /// More frames than can be numbered.
    #[error("a capacity of {capacity} bytes is more than 4 billion blocks of {size}: choose larger blocks")]
    CapacityTooLarge {
        /// What was asked for, in bytes.
        capacity: u64,
        /// The block size.
        size: BlockSize,
    },
    /// The device cannot transfer single blocks.
    #[error("the device transfers units of {align} bytes, so a block of {size} is no whole number of them")]
    BlockTooSmall {
        /// The device's unit.
        align: usize,
        /// The block size.
        size: BlockSize,
    },
    /// The device has no room for a single block after its first.
    #[error("the device has {bytes} bytes, not enough for two blocks of {size}: the first is never a tree's")]
    DeviceTooSmall {
        /// Bytes of the device.
        bytes: u64,
        /// The block size.
        size: BlockSize,
    },
    /// The system gave no address space.
    #[error(
        "cannot reserve address space for {frames} frames: {source}; lower capacity_max or the limit on address space (ulimit -v)"
    )]
    Memory {
        /// Frames asked for.
        frames: usize,
        /// What the system said.
        source: io::Error,
    },
}

impl Builder {
    pub(crate) fn new(device: Arc<dyn BlockDevice>) -> Self {
        Self {
            device,
            fsid: Fsid(0),
            size: BlockSize::DEFAULT,
            capacity: 64 << 20,
            capacity_max: None,
            expected_blocks: None,
            pages: Pages::Huge,
            budget: None,
            name: "cache".into(),
            track_references: false,
            seqs: SeqSource::System,
            hasher: None,
        }
    }

    /// The volume: blocks of any other are stale. Default 0.
    pub fn fsid(mut self, fsid: Fsid) -> Self {
        self.fsid = fsid;
        self
    }

    /// The size of a block, as the volume was formatted. Default 16 KiB.
    pub fn block_size(mut self, size: BlockSize) -> Self {
        self.size = size;
        self
    }

    /// Bytes that blocks may take. Default 64 MiB. A reserve for writers comes on top: a 64th, at least 8 and at most 256
    /// blocks, touched only by commits that find no other frame.
    pub fn capacity(mut self, bytes: u64) -> Self {
        self.capacity = bytes;
        self
    }

    /// Bytes that the capacity may be raised to later. Address space is reserved for them, no memory. Default: the machine's
    /// memory, or the capacity if that is more.
    pub fn capacity_max(mut self, bytes: u64) -> Self {
        self.capacity_max = Some(bytes);
        self
    }

    /// Blocks that the index has room for to start with. It grows by itself, without making anybody wait; this saves the
    /// work. Default: a 16th of the capacity.
    pub fn expected_blocks(mut self, blocks: usize) -> Self {
        self.expected_blocks = Some(blocks);
        self
    }

    /// Whether blocks lie in huge pages until memory is given back for the first time. Default yes: the device and whoever looks
    /// at a block that was not used lately get to it sooner. The price: the first block in each 2 MiB brings in the memory of
    /// all of them, and a huge page that is given back in part is split first, once, which takes two tenths of a
    /// millisecond. Choose ordinary pages for a cache that gives memory back all the time.
    pub fn huge_pages(mut self, on: bool) -> Self {
        self.pages = if on { Pages::Huge } else { Pages::Small };
        self
    }

    /// A limit shared with other caches.
    pub fn budget(mut self, budget: &MemoryBudget) -> Self {
        self.budget = Some(budget.clone());
        self
    }

    /// What reports call it. Default "cache".
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Keeps book of the line of code that took each reference, for the report on closing. Costs a mutex for each
    /// reference; for tests and for hunting a leak. Default off.
    pub fn track_references(mut self, on: bool) -> Self {
        self.track_references = on;
        self
    }

    /// Where the random tags of new images come from. Default: the system's generator. Tests and simulators give their own.
    pub fn seq_source(mut self, source: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        self.seqs = SeqSource::Given(Box::new(source));
        self
    }

    /// Makes the index's hash the same in every run, for tests and comparisons. Default: random for each cache, so that
    /// nobody can choose block numbers that collide.
    pub fn hash_seed(mut self, seed: u64) -> Self {
        self.hasher = Some(RandomState::with_seeds(seed, !seed, seed.rotate_left(32), 1));
        self
    }

    /// Makes the cache.
    ///
    /// # Errors
    /// [`BuildError`]; each says what would be valid.
    pub fn build(self) -> Result<BlockCache, BuildError> {
        self.check_device()?;
        let plan = self.plan()?;
        let hasher = self.hasher.unwrap_or_default();
        let charge = Charge::new(self.budget, self.size.bytes());
        let total = plan.capacity_max + plan.reserve;
        let core =
            Core::new(plan, hasher, charge).map_err(|source| BuildError::Memory { frames: total, source })?;
        let references = References::new(self.track_references);
        let faults = Arc::new(Faults::default());
        Ok(BlockCache::from_shared(Shared::new(
            core,
            self.device,
            self.fsid,
            self.name,
            self.seqs,
            references,
            faults,
        )))
    }

    fn check_device(&self) -> Result<(), BuildError> {
        let (size, align, bytes) = (self.size, self.device.align(), self.device.size());
        if !size.bytes().is_multiple_of(align) {
            return Err(BuildError::BlockTooSmall { align, size });
        }
        if bytes < 2 * size.bytes() as u64 {
            return Err(BuildError::DeviceTooSmall { bytes, size });
        }
        Ok(())
    }

    fn plan(&self) -> Result<Plan, BuildError> {
        let (size, capacity) = (self.size, self.capacity);
        let bytes = size.bytes() as u64;
        let frames = capacity / bytes;
        if frames < RESERVE_MIN as u64 {
            let least = RESERVE_MIN as u64 * bytes;
            return Err(BuildError::CapacityTooSmall { capacity, frames, size, reserve: RESERVE_MIN, least });
        }
        let frames_max = (self.capacity_max.unwrap_or_else(machine_memory) / bytes).max(frames);
        let too_large = BuildError::CapacityTooLarge { capacity: frames_max * bytes, size };
        let frames_max =
            usize::try_from(frames_max).ok().filter(|max| *max < MOST_FRAMES).ok_or(too_large)?;
        let frames = frames as usize;
        Ok(Plan {
            size,
            pages: self.pages,
            capacity: frames,
            capacity_max: frames_max,
            reserve: (frames / 64).clamp(RESERVE_MIN, RESERVE_MAX),
            expected: self.expected_blocks.unwrap_or(frames / 16).clamp(1, frames_max),
            is_noted: self.track_references,
        })
    }
}

/// F1, with room for the reserve.
const MOST_FRAMES: usize = u32::MAX as usize - RESERVE_MAX - 1;

/// Bytes of memory that this machine has: a cache can hardly use more.
fn machine_memory() -> u64 {
    if cfg!(any(tidelock_loom, tidelock_shuttle)) {
        return 0;
    }
    let info = rustix::system::sysinfo();
    #[expect(clippy::useless_conversion, reason = "the fields' widths differ between architectures")]
    u64::from(info.totalram).saturating_mul(u64::from(info.mem_unit))
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Builder({}, {} bytes of {})", self.name, self.capacity, self.size)
    }
}
