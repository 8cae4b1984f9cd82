//! The cache's face: reading, peeking, writing, shrinking, closing.

use std::fmt;
use std::panic::Location;
use std::sync::{Arc, Weak};

use tidelock_dev::{Completer, DeviceError, Operation, Request};
use tidelock_format::{BlockRef, BlockSize, DeviceRange, Fsid, Magic};
use tidelock_sync::Op;
use tracing::debug_span;
use tracing::field::Empty;

use crate::budget::{Shrinker, Shrunk};
use crate::builder::Builder;
use crate::close::{self, CloseReport, Leak};
use crate::fault::{ArmedFault, FaultPoint};
use crate::flush::Flush;
use crate::many::{Blocks, ReadMany};
use crate::raw::core::{Claim, NotSimple};
use crate::raw::epoch::Slot;
use crate::read::Read;
use crate::shared::Shared;
use crate::stats::Stats;
use crate::writer::BlockWriter;
use crate::{Block, CacheError, Guard, Reads};

/// A cache of the blocks of one volume. Cloning it is cheap and shares it.
///
/// Everything may be called from any thread, and from async tasks: what may have to wait returns an [`Op`].
#[derive(Clone)]
pub struct BlockCache {
    shared: Arc<Shared>,
    /// Closes the cache when the last handle goes.
    _last: Arc<LastHandle>,
}

struct LastHandle(Arc<Shared>);

impl Drop for LastHandle {
    fn drop(&mut self) {
        close::abandon(&self.0);
    }
}

impl BlockCache {
    /// Begins to build a cache over `device`.
    pub fn builder(device: Arc<dyn tidelock_dev::BlockDevice>) -> Builder {
        Builder::new(device)
    }

    pub(crate) fn from_shared(shared: Shared) -> Self {
        let shared = Arc::new(shared);
        let weak: Weak<Shared> = Arc::downgrade(&shared);
        shared.core.charge.join(weak);
        Self { _last: Arc::new(LastHandle(shared.clone())), shared }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    // --- reading -----------------------------------------------------------------------------------------------------

    /// The block that `wanted` means, pinned. A hit is ready at once: one probe, no allocation, and as a rule no
    /// write that another core would notice.
    ///
    /// A miss reads the device, once for however many ask at the same time; threads and futures wait side by side. The
    /// image is verified once: checksum, volume, block number. If what is found is not the image that `wanted` means, the
    /// cached copy is dropped and the device read once more; then the answer is [`CacheError::Stale`].
    ///
    /// The read is queued by this call and starts as soon as anybody waits for anything of this device, which for a lone
    /// thread is its own `wait`: starting and waiting are one system call then. To have it start while the thread does
    /// something else, call [`try_now`](Op::try_now) on the operation, or [`prefetch`](Self::prefetch) the block.
    ///
    /// # Errors
    /// [`CacheError`]: stale, dirty, no such block, the device, no frame, closed. Errors are not sticky: the next call asks
    /// the device again.
    ///
    /// # Ordering
    /// Who gets the block sees all its bytes. Its drop is ordered before any reuse of the memory.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use tidelock_block_cache::{BlockCache, CacheError};
    /// # use tidelock_dev::MemDevice;
    /// # use tidelock_format::{BlockNo, BlockRef, Magic, Seq};
    /// # let cache = BlockCache::builder(Arc::new(MemDevice::new(1 << 20))).build()?;
    /// // Nobody wrote this device: what is there is not the image that this reference means.
    /// let wanted = BlockRef::new(BlockNo(3), Seq(1));
    /// let answer = cache.read_ref(wanted, Magic(2)).wait();
    /// assert!(matches!(answer, Err(CacheError::Stale { .. })));
    /// # Ok::<(), tidelock_block_cache::BuildError>(())
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn read_ref(&self, wanted: BlockRef, magic: Magic) -> Op<'static, Result<Block, CacheError>> {
        let site = Location::caller();
        match self.shared.pin_image(wanted, magic, site) {
            Some(block) => Op::ready(Ok(block)),
            None => self.read_missing(wanted, magic, site),
        }
    }

    #[cold]
    fn read_missing(
        &self,
        wanted: BlockRef,
        magic: Magic,
        site: &'static Location<'static>,
    ) -> Op<'static, Result<Block, CacheError>> {
        self.count_miss();
        let mut read = Read::new(&self.shared, wanted, magic, site);
        match read.advance() {
            Ok(result) => Op::ready(result),
            Err(_waiting) => Op::pending(read),
        }
    }

    /// The block that `wanted` means, pinned, if it is cached, clean and verified. Never waits and never reads.
    #[inline(always)]
    #[track_caller]
    pub fn get(&self, wanted: BlockRef, magic: Magic) -> Option<Block> {
        let block = self.shared.pin_image(wanted, magic, Location::caller());
        if block.is_none() {
            self.count_miss();
        }
        block
    }

    #[cold]
    fn count_miss(&self) {
        Slot::count(&self.shared.core.domain.slot().misses);
    }

    /// Reads many blocks with few submissions, the first of them while the rest are looked up: a result for each reference, in
    /// order.
    ///
    /// Every block is pinned until the whole is there, so ask for fewer than the cache has frames; the rest get
    /// [`CacheError::NoFrame`].
    #[track_caller]
    pub fn read_many(&self, wanted: &[BlockRef], magic: Magic) -> Op<'static, Blocks> {
        Op::pending(ReadMany::start(&self.shared, wanted, magic, Location::caller()))
    }

    /// Nothing in flight yet: reads are added, and given out as they come in. See [`Reads`].
    pub fn reads(&self) -> Reads {
        Reads::new(&self.shared)
    }

    /// Starts to read what is not cached, and does not wait. Returns how many reads were submitted. Frames that could not be
    /// had, and references that lead nowhere, are passed over: this is a hint.
    pub fn prefetch(&self, wanted: &[BlockRef]) -> usize {
        let shared = &self.shared;
        let valid = wanted.iter().filter(|wanted| !wanted.is_null() && shared.range_of(wanted.blkno).is_ok());
        let claims = valid.map_while(|wanted| shared.claim(wanted.blkno).ok());
        let claimed: Vec<_> = claims
            .filter_map(|claim| match claim {
                Claim::Fill(frame) => Some(frame),
                Claim::Join(frame) => {
                    shared.core.let_go(frame);
                    None
                }
            })
            .collect();
        if !claimed.is_empty() {
            shared.submit_fills(&claimed);
            // The reader's pins: nobody waits here.
            claimed.iter().for_each(|frame| shared.core.let_go(*frame));
            shared.core.counters.prefetched.add(claimed.len() as u64);
        }
        claimed.len()
    }

    /// Begins a guard for borrowing blocks without pinning them: see [`Guard`].
    #[inline(always)]
    pub fn guard(&self) -> Guard<'_> {
        Guard::new(&self.shared)
    }

    /// Puts an image into the cache that the caller has from elsewhere: another node, a log, a test. `fill` gets the frame's
    /// bytes, whatever they held before, and makes them the whole image, header included.
    ///
    /// The caller vouches that these are the bytes that the device holds, or will hold before anybody could miss them;
    /// they are not verified. When the block is cached already, the copy that is there wins.
    ///
    /// # Errors
    /// As [`read_ref`](Self::read_ref), without the device's.
    #[track_caller]
    pub fn insert(
        &self,
        image: BlockRef,
        magic: Magic,
        fill: impl FnOnce(&mut [u8]),
    ) -> Result<Block, CacheError> {
        self.shared.insert(image, magic, fill, Location::caller())
    }

    // --- writing -----------------------------------------------------------------------------------------------------

    /// A writer for one transaction.
    pub fn writer(&self) -> BlockWriter {
        BlockWriter::new(self)
    }

    /// Makes everything durable whose write has ended before this call: the device's barrier.
    ///
    /// # Errors
    /// The device's. After a failed flush nothing is known about what was written before it, and the device refuses further
    /// writes until it is opened anew.
    pub fn flush(&self) -> Op<'static, Result<(), DeviceError>> {
        let flush = Flush::new(&self.shared);
        let empty = DeviceRange::new(0, 0).expect("an empty range ends where it begins");
        let completer: Arc<dyn Completer> = flush.completer();
        let request = Request { operation: Operation::Flush, range: empty, buffer: None, tag: 0, completer };
        self.shared.submit(vec![request]);
        Op::pending(flush)
    }

    // --- memory ------------------------------------------------------------------------------------------------------

    /// Bytes that blocks may take. Frames that are pinned, dirty, or waiting for guards are counted; the writers' reserve
    /// comes on top.
    pub fn capacity(&self) -> u64 {
        let core = &self.shared.core;
        let frames = core.pool.limit() - core.pool.reserve_target();
        frames as u64 * core.frames.size().bytes() as u64
    }

    /// Changes the capacity while the cache is in use. Raising takes effect as blocks come; lowering evicts at once what it
    /// can, and the rest as blocks come. Values beyond the builder's `capacity_max` mean that; values below one reserve mean
    /// one reserve. Returns the capacity that holds now, in bytes.
    pub fn set_capacity(&self, bytes: u64) -> u64 {
        let core = &self.shared.core;
        let size = core.frames.size().bytes() as u64;
        let reserve = core.pool.reserve_target();
        let most = core.frames.count() - reserve;
        let frames = usize::try_from(bytes / size).unwrap_or(usize::MAX).clamp(reserve.min(most), most);
        core.set_capacity(frames);
        // Bound: each round gives something back, or is the last.
        while core.pool.excess() > 0 {
            let (_, withdrawn) = core.shrink(core.pool.excess().min(SHRINK_STEP));
            if withdrawn == 0 {
                break;
            }
        }
        self.capacity()
    }

    /// Gives up to `bytes` of memory back to the system: idle frames first, then the blocks that the policy would evict
    /// next. Bounded work, whatever the size of the cache; see [`Shrunk`].
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use tidelock_block_cache::BlockCache;
    /// # use tidelock_dev::MemDevice;
    /// # use tidelock_format::{BlockNo, BlockRef, Magic, Seq};
    /// # let cache = BlockCache::builder(Arc::new(MemDevice::new(1 << 30))).capacity(4 << 20).build()?;
    /// for blkno in 1..=100 {
    ///     cache.insert(BlockRef::new(BlockNo(blkno), Seq(1)), Magic(2), |image| image.fill(0))?;
    /// }
    /// let before = cache.stats().used_bytes;
    /// let shrunk = cache.shrink(1 << 20);
    /// assert_eq!(cache.stats().used_bytes, before - shrunk.freed_bytes);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn shrink(&self, bytes: u64) -> Shrunk {
        self.shared.shrink(bytes)
    }

    /// Bytes of one block.
    pub fn block_size(&self) -> BlockSize {
        self.shared.core.frames.size()
    }

    /// The volume.
    pub fn fsid(&self) -> Fsid {
        self.shared.fsid
    }

    // --- looking inside ----------------------------------------------------------------------------------------------

    /// Numbers: what is cached, what happened. Cheap enough to be polled once a second, not for every operation.
    pub fn stats(&self) -> Stats {
        Stats::of(&self.shared)
    }

    /// What reports call it.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// The blocks that are held now, and by whom if book is kept. Looks at every frame.
    pub fn outstanding(&self) -> Vec<Leak> {
        close::outstanding(&self.shared)
    }

    /// Makes something go wrong once, after `passes` times of passing by. For tests.
    pub fn arm_fault(&self, point: FaultPoint, passes: usize) -> ArmedFault {
        self.shared.arm_fault(point, passes)
    }

    /// Closes the cache for every handle: refuses new reads, waits a bounded time for reads under way, and reports what is
    /// still held. Never hangs on a leak: blocks that are held stay valid until they are dropped, and with the last of them
    /// goes the memory. A second close reports nothing.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use tidelock_block_cache::BlockCache;
    /// # use tidelock_dev::MemDevice;
    /// # use tidelock_format::{BlockNo, BlockRef, Magic, Seq};
    /// # let device = Arc::new(MemDevice::new(1 << 20));
    /// let cache = BlockCache::builder(device).track_references(true).build()?;
    /// let held = cache.insert(BlockRef::new(BlockNo(3), Seq(1)), Magic(2), |image| image.fill(7))?;
    /// let report = cache.close();
    /// println!("{}", report.leaks[0]); // block 3:0000000000000001 is still held 1 times, and where it was taken
    /// assert_eq!(report.leaks[0].sites.len(), 1);
    /// assert_eq!(held[0], 7, "what is held stays");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close(self) -> CloseReport {
        close::close(&self.shared)
    }
}

/// Frames that are withdrawn at a time when the capacity is cut.
const SHRINK_STEP: usize = 1024;

impl Shared {
    /// A hit, pinned.
    #[inline(always)]
    pub(crate) fn pin_image(
        &self,
        wanted: BlockRef,
        magic: Magic,
        site: &'static Location<'static>,
    ) -> Option<Block> {
        // A block is made in each arm, so that in the first its pin is known to be slotted (three instructions).
        match self.core.pin_image_simply(wanted, magic) {
            Ok(found) => found.map(|(frame, pin)| Block::from_pin(self, frame, pin, site)),
            Err(NotSimple) => {
                let found = self.core.pin_image(wanted, magic, self.references.are_noted());
                found.map(|(frame, pin)| Block::from_pin(self, frame, pin, site))
            }
        }
    }
}

impl Shrinker for Shared {
    fn name(&self) -> &str {
        &self.name
    }

    fn used_bytes(&self) -> u64 {
        self.core.pool.issued() as u64 * self.core.frames.size().bytes() as u64
    }

    fn shrink(&self, bytes: u64) -> Shrunk {
        let size = self.core.frames.size().bytes() as u64;
        let frames = usize::try_from(bytes.div_ceil(size)).unwrap_or(usize::MAX).min(self.core.pool.issued());
        let span = debug_span!("shrink", cache = %self.name, bytes, freed_bytes = Empty, scanned = Empty, pinned = Empty);
        let (walked, withdrawn) = span.in_scope(|| self.core.shrink(frames));
        self.core.counters.shrinks.count();
        let shrunk = Shrunk {
            freed_bytes: withdrawn as u64 * size,
            scanned: walked.visited as u64,
            rotated: walked.rotated as u64,
            pinned: walked.pinned as u64,
        };
        span.record("freed_bytes", shrunk.freed_bytes);
        span.record("scanned", shrunk.scanned);
        span.record("pinned", shrunk.pinned);
        shrunk
    }
}

impl fmt::Debug for BlockCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlockCache({}, {} bytes of {})", self.shared.name, self.capacity(), self.block_size())
    }
}
