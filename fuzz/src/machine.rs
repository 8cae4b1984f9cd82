//! A cache and its model, side by side.
//!
//! After every operation: the answer is the model's, what is held has its bytes (B2, S-27), exactly what should be pinned
//! is pinned (B4), frames stay within the capacity, and each lookup was counted once. At the end nothing is pinned (B8),
//! and a fresh cache finds what the model says the medium holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tidelock_block_cache::{
    Block, BlockCache, BlockSupply, BlockWriter, CacheError, DirtyError, Stats, SupplyError,
};
use tidelock_dev::{AlignedBuffer, MemDevice, blocking};
use tidelock_format::{
    BlockHeader, BlockNo, BlockRef, BlockSize, Checksum, DeviceRange, Fsid, HEADER_BYTES, Magic, Seq,
};

use crate::model::{Expected, Image, Model};
use crate::operation::{Operation, Pick, Which, Who};

const FSID: Fsid = Fsid(0xf5);
const MAGIC: Magic = Magic(0x6d61_6368);
const SIZE: BlockSize = BlockSize::MIN;
const BYTES: u64 = SIZE.bytes() as u64;

/// Blocks that operations choose from: more than the least capacity, so that there is eviction.
const BLOCKS: u64 = 40;

/// The least capacity in blocks: what is pinned at a time fits, so a frame is always found.
const CAPACITY_MIN: u64 = 16;
const CAPACITY_MAX: u64 = 36;
/// The reserve of a cache this small.
const RESERVE: u64 = 8;

const HELD_MAX: usize = 4;
const DIRTY_MAX: usize = 6;

/// A cache, its medium, its writers, and the model of all that.
#[derive(Debug)]
pub struct Machine {
    device: Arc<MemDevice>,
    cache: BlockCache,
    writers: [BlockWriter; 2],
    held: Vec<(Block, BlockRef)>,
    model: Model,
    /// The tag that the cache gives its next image, less one.
    last_seq: Arc<AtomicU64>,
    lookups: u64,
}

/// Hands out one block, or none.
struct One {
    block: Option<u64>,
    freed: Vec<BlockNo>,
}

impl BlockSupply for One {
    fn replace(&mut self, old: Option<BlockNo>) -> Result<BlockNo, SupplyError> {
        let block = self.block.take().ok_or(SupplyError::Empty)?;
        self.freed.extend(old);
        Ok(BlockNo(block))
    }
}

impl Machine {
    /// Runs `operations` from an empty cache over an empty medium.
    ///
    /// # Panics
    /// When the cache does not do what the model says.
    pub fn run(operations: impl Iterator<Item = Operation>) {
        let mut machine = Self::new();
        for operation in operations {
            let before = machine.cache.stats();
            machine.apply(operation);
            machine.check(&before);
        }
        machine.end();
    }

    fn new() -> Self {
        let device = Arc::new(MemDevice::new((BLOCKS + 1) * BYTES));
        let last_seq = Arc::new(AtomicU64::new(0));
        let tags = last_seq.clone();
        let cache = BlockCache::builder(device.clone())
            .fsid(FSID)
            .block_size(SIZE)
            .capacity(CAPACITY_MIN * BYTES)
            .capacity_max(CAPACITY_MAX * BYTES)
            .expected_blocks(1)
            .hash_seed(1)
            // Relaxed: one thread.
            .seq_source(move || tags.fetch_add(1, Ordering::Relaxed) + 1)
            .build()
            .expect("these options are valid");
        let writers = [cache.writer(), cache.writer()];
        Self { device, cache, writers, held: Vec::new(), model: Model::default(), last_seq, lookups: 0 }
    }

    fn apply(&mut self, operation: Operation) {
        match operation {
            Operation::Read(pick, hold) => self.read(pick, hold),
            Operation::Get(pick) => {
                let wanted = self.pick(pick);
                let is_cached = self.is_cached(wanted);
                self.lookups += 1;
                assert_eq!(self.cache.get(wanted, MAGIC).is_some(), is_cached, "get {wanted}");
            }
            Operation::Peek(pick) => {
                let wanted = self.pick(pick);
                self.is_cached(wanted);
            }
            Operation::ReadMany(picks) => self.read_many(picks),
            Operation::Prefetch(picks) => self.prefetch(picks),
            Operation::Insert(block) => self.insert(number(block)),
            Operation::Dirty(who, from, target) => {
                let from = self.pick(from);
                self.dirty(who, from, Some(target));
            }
            Operation::Create(who, target) => self.dirty(who, BlockRef::NULL, Some(target)),
            Operation::CreateInVain(who) => self.dirty(who, BlockRef::NULL, None),
            Operation::Write(who) => self.write(who),
            Operation::Forget(who, nth) => self.forget(who, nth),
            Operation::ForgetAll(who) => self.forget_all(who),
            Operation::Shrink(blocks) => {
                let asked = u64::from(blocks) * BYTES;
                let used = self.cache.stats().used_bytes;
                let freed = self.cache.shrink(asked).freed_bytes;
                assert!(freed <= asked, "S-33");
                assert_eq!(used - self.cache.stats().used_bytes, freed, "S-33");
            }
            Operation::SetCapacity(blocks) => {
                let asked = CAPACITY_MIN + u64::from(blocks) % (CAPACITY_MAX - CAPACITY_MIN + 8);
                let capacity = self.cache.set_capacity(asked * BYTES);
                assert_eq!(capacity, asked.min(CAPACITY_MAX) * BYTES);
            }
            Operation::Flush => self.cache.flush().wait().expect("this device does not fail"),
            Operation::Overwrite(block) => self.overwrite(number(block), None),
            Operation::Damage(block, byte) => self.overwrite(number(block), Some(byte)),
            Operation::LetGo(nth) if !self.held.is_empty() => {
                self.held.swap_remove(usize::from(nth) % self.held.len());
            }
            Operation::LetGo(_) => {}
        }
    }

    // --- reading -----------------------------------------------------------------------------------------------------

    fn pick(&self, Pick { block, which }: Pick) -> BlockRef {
        let blkno = number(block);
        let seq = match (which, self.model.on_media(blkno)) {
            (Which::Current, Image::Sound(seq)) => seq,
            (Which::Made(nth), _) => {
                let made = self.model.made(blkno);
                // Lately made ones first.
                made.iter().rev().nth(usize::from(nth) % made.len().max(1)).copied().unwrap_or(u64::MAX)
            }
            (Which::Current | Which::Unknown, _) => u64::MAX,
        };
        BlockRef::new(BlockNo(blkno), Seq(seq))
    }

    /// Whether an image can be peeked at. If so it is what the model knows.
    fn is_cached(&mut self, wanted: BlockRef) -> bool {
        self.lookups += 1;
        let guard = self.cache.guard();
        let Some(image) = guard.peek(wanted, MAGIC) else { return false };
        assert!(self.model.may_be_cached(wanted), "B1: {wanted} is not what can be cached");
        self.check_image(image, wanted);
        true
    }

    #[track_caller]
    fn check_image(&self, image: &[u8], wanted: BlockRef) {
        let payload = self.model.payload_of(wanted).expect("only images that were made are found");
        assert_eq!(BlockHeader::read(image).block_ref(), wanted);
        assert!(image[HEADER_BYTES..].iter().all(|byte| *byte == payload), "B2: the bytes of {wanted}");
    }

    fn read(&mut self, pick: Pick, hold: bool) {
        let wanted = self.pick(pick);
        let is_cached = self.is_cached(wanted);
        let reads = self.cache.stats().events.device_reads;
        self.lookups += 1;
        let result = self.cache.read_ref(wanted, MAGIC).wait();
        let reads = self.cache.stats().events.device_reads - reads;
        assert!(reads <= if is_cached { 0 } else { 2 }, "{reads} reads for {wanted}");
        if let Some(block) = self.check_read(wanted, is_cached, result)
            && hold
            && self.held.len() < HELD_MAX
        {
            self.held.push((block, wanted));
        }
    }

    /// Compares the end of a read with what the model expects of it, and tells the model.
    fn check_read(
        &mut self,
        wanted: BlockRef,
        is_cached: bool,
        result: Result<Block, CacheError>,
    ) -> Option<Block> {
        let expected = self.model.expect(wanted);
        match result {
            Ok(block) => {
                assert!(
                    matches!(expected, Expected::Block | Expected::BlockIfCached),
                    "{wanted}: {expected:?}"
                );
                self.check_image(&block, wanted);
                self.model.found(wanted);
                Some(block)
            }
            Err(CacheError::Stale { wanted: of, .. }) => {
                assert_eq!(of, wanted);
                assert!(!is_cached, "{wanted} is stale although it can be peeked at");
                assert!(
                    matches!(expected, Expected::Stale | Expected::BlockIfCached),
                    "{wanted}: {expected:?}"
                );
                if self.model.dirty(wanted.blkno.0).is_none() {
                    self.model.was_stale(wanted.blkno.0);
                }
                None
            }
            Err(CacheError::Dirty { wanted: of }) => {
                assert_eq!((of, expected), (wanted, Expected::Dirty));
                None
            }
            Err(error) => panic!("{wanted}: {error}"),
        }
    }

    /// References to different blocks: each is then a read by itself.
    fn pick_different(&self, picks: [Pick; 3]) -> Vec<BlockRef> {
        let mut wanted: Vec<BlockRef> = picks.map(|pick| self.pick(pick)).into();
        wanted.sort_by_key(|wanted| wanted.blkno);
        wanted.dedup_by_key(|wanted| wanted.blkno);
        wanted
    }

    fn read_many(&mut self, picks: [Pick; 3]) {
        let wanted = self.pick_different(picks);
        let cached: Vec<bool> = wanted.iter().map(|wanted| self.is_cached(*wanted)).collect();
        self.lookups += wanted.len() as u64;
        let results = self.cache.read_many(&wanted, MAGIC).wait();
        assert_eq!(results.len(), wanted.len());
        for ((wanted, is_cached), result) in wanted.into_iter().zip(cached).zip(results) {
            drop(self.check_read(wanted, is_cached, result));
        }
    }

    fn prefetch(&mut self, picks: [Pick; 3]) {
        let wanted = self.pick_different(picks);
        let reads = self.cache.stats().events.device_reads;
        let submitted = self.cache.prefetch(&wanted) as u64;
        assert_eq!(self.cache.stats().events.device_reads - reads, submitted);
        let clean: Vec<u64> =
            wanted.iter().map(|wanted| wanted.blkno.0).filter(|blkno| self.is_clean(*blkno)).collect();
        assert!(submitted <= clean.len() as u64, "B7: dirty blocks are not read");
        clean.into_iter().for_each(|blkno| self.model.prefetched(blkno));
    }

    fn is_clean(&self, blkno: u64) -> bool {
        self.model.dirty(blkno).is_none()
    }

    fn insert(&mut self, blkno: u64) {
        let image = self.make(blkno);
        let bytes = self.sealed(image);
        match self.cache.insert(image, MAGIC, |frame| frame.copy_from_slice(&bytes)) {
            Ok(block) => {
                assert!(self.is_clean(blkno), "B7: a dirty block was replaced");
                self.check_image(&block, image);
                self.model.found(image);
            }
            Err(CacheError::Stale { .. }) => {
                assert!(!self.is_clean(blkno) || self.model.may_cache_any(blkno), "S-12: nothing was there");
            }
            Err(error) => panic!("{image}: {error}"),
        }
    }

    // --- writing -----------------------------------------------------------------------------------------------------

    /// The `nth` block that no writer has dirty.
    fn free_block(&self, nth: u8) -> u64 {
        let free: Vec<u64> = (1..=BLOCKS).filter(|blkno| self.is_clean(*blkno)).collect();
        free[usize::from(nth) % free.len()]
    }

    fn dirty(&mut self, who: Who, from: BlockRef, target: Option<u8>) {
        let who = who as usize;
        let owner = self.model.dirty(from.blkno.0).filter(|dirty| dirty.seq == from.seq.0);
        let is_mine = owner.is_some_and(|dirty| dirty.writer == who);
        if !is_mine && self.model.dirty_of(None).len() >= DIRTY_MAX {
            return;
        }
        let block = target.map(|nth| self.free_block(nth));
        let (mut block_ref, mut supply) = (from, One { block, freed: Vec::new() });
        let is_cached = !from.is_null() && self.is_cached(from);
        let old = if from.is_null() { Some(0) } else { self.model.payload_of(from) };
        let payload = old.unwrap_or(0).wrapping_add(1);
        let dirty = self.writers[who].dirty(&mut block_ref, MAGIC, &mut supply).wait().map(|mut dirty| {
            assert!(
                dirty[HEADER_BYTES..].iter().all(|byte| Some(*byte) == old),
                "it starts from the old image"
            );
            dirty[HEADER_BYTES..].fill(payload);
        });
        match dirty {
            Ok(()) if is_mine => {
                assert_eq!((block_ref, supply.block), (from, block), "U-01: it was dirty already");
                self.model.note(from, payload);
            }
            Ok(()) => {
                assert_eq!((supply.block, Some(block_ref.blkno.0)), (None, block));
                assert_eq!(supply.freed, Vec::from_iter((!from.is_null()).then_some(from.blkno)));
                let image = self.model.note(block_ref, payload);
                self.dirtied(who, from, image);
            }
            Err(failure) => {
                assert!(!is_mine, "{failure}");
                assert_eq!(
                    (block_ref, supply.block, supply.freed.len()),
                    (from, block, 0),
                    "O-02: {failure}"
                );
                self.not_dirtied(from, is_cached, failure, target.is_none());
            }
        }
    }

    fn dirtied(&mut self, who: usize, from: BlockRef, image: BlockRef) {
        if !from.is_null() {
            assert!(matches!(self.model.expect(from), Expected::Block | Expected::BlockIfCached), "{from}");
            self.model.found(from);
        }
        self.model.dirtied(who, image);
    }

    fn not_dirtied(&mut self, from: BlockRef, is_cached: bool, failure: DirtyError, is_dry: bool) {
        match failure {
            DirtyError::Cache(error) => drop(self.check_read(from, is_cached, Err(error))),
            DirtyError::Supply(SupplyError::Empty) => assert!(is_dry),
            other => panic!("{other}"),
        }
    }

    fn write(&mut self, who: Who) {
        let who = who as usize;
        let dirty = self.model.dirty_of(Some(who));
        let report = self.writers[who].write().wait().expect("this device does not fail");
        assert_eq!((report.blocks, report.bytes), (dirty.len() as u64, dirty.len() as u64 * BYTES));
        dirty.into_iter().for_each(|image| self.model.wrote(image));
    }

    fn forget(&mut self, who: Who, nth: u8) {
        let who = who as usize;
        let dirty = self.model.dirty_of(None);
        let Some(image) = dirty.get(usize::from(nth) % dirty.len().max(1)) else { return };
        let is_mine = self.model.dirty(image.blkno.0).is_some_and(|dirty| dirty.writer == who);
        assert_eq!(self.writers[who].forget(*image), is_mine);
        if is_mine {
            self.model.forgot(image.blkno.0);
        }
    }

    fn forget_all(&mut self, who: Who) {
        self.writers[who as usize].forget_all();
        for image in self.model.dirty_of(Some(who as usize)) {
            self.model.forgot(image.blkno.0);
        }
    }

    // --- the medium --------------------------------------------------------------------------------------------------

    /// A new image of `blkno`, tagged as the cache would.
    fn make(&mut self, blkno: u64) -> BlockRef {
        // Relaxed, both: one thread.
        let seq = self.last_seq.fetch_add(1, Ordering::Relaxed) + 1;
        self.model.note(BlockRef::new(BlockNo(blkno), Seq(seq)), seq as u8)
    }

    fn sealed(&self, image: BlockRef) -> AlignedBuffer {
        let mut bytes = AlignedBuffer::zeroed(SIZE.bytes(), SIZE.bytes());
        bytes.fill(self.model.payload_of(image).expect("just made"));
        let header =
            BlockHeader { crc: Checksum(0), magic: MAGIC, fsid: FSID, seq: image.seq, blkno: image.blkno };
        header.write(&mut bytes);
        BlockHeader::seal(&mut bytes);
        bytes
    }

    /// Writes a new image past the cache, with one wrong byte if `damage` says which.
    fn overwrite(&mut self, blkno: u64, damage: Option<u16>) {
        let image = self.make(blkno);
        let mut bytes = self.sealed(image);
        if let Some(byte) = damage {
            bytes[usize::from(byte) % SIZE.bytes()] ^= 1;
        }
        let range = DeviceRange::of_block(image.blkno, SIZE).expect("on the device");
        blocking::write(&*self.device, range, bytes).expect("this device does not fail");
        self.model.put(blkno, if damage.is_some() { Image::Damaged } else { Image::Sound(image.seq.0) });
    }

    // --- checking ----------------------------------------------------------------------------------------------------

    fn check(&self, before: &Stats) {
        let stats = self.cache.stats();
        assert_eq!(stats.hits + stats.misses, self.lookups, "each lookup is counted once");
        let limit = stats.capacity_bytes + RESERVE * BYTES;
        assert!(stats.used_bytes <= limit.max(before.used_bytes), "{stats:?}");
        for (block, wanted) in &self.held {
            self.check_image(block, *wanted);
        }
        for (who, writer) in self.writers.iter().enumerate() {
            let dirty = self.model.dirty_of(Some(who));
            assert_eq!(writer.len(), dirty.len());
            for image in dirty {
                self.check_image(&writer.get(image).expect("it is dirty"), image);
            }
        }
        let pins: u64 = self.cache.outstanding().iter().map(|held| held.references).sum();
        assert_eq!(pins, (self.held.len() + self.model.dirty_of(None).len()) as u64, "B4");
    }

    fn end(self) {
        let Self { device, cache, writers, held, model, .. } = self;
        drop((writers, held));
        assert!(cache.outstanding().is_empty(), "B8");
        assert!(cache.close().is_clean(), "B8");
        let fresh = BlockCache::builder(device).fsid(FSID).block_size(SIZE).build().expect("valid");
        for blkno in 1..=BLOCKS {
            let Image::Sound(seq) = model.on_media(blkno) else { continue };
            let wanted = BlockRef::new(BlockNo(blkno), Seq(seq));
            let found = fresh.read_ref(wanted, MAGIC).wait().expect("the medium has it");
            assert_eq!(Some(found[HEADER_BYTES]), model.payload_of(wanted));
        }
    }
}

/// The block that an operation means.
fn number(block: u8) -> u64 {
    u64::from(block) % BLOCKS + 1
}
