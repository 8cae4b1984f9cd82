//! Tidelock's block cache, in each way that it can be read.
//!
//! The block is a frame with its 64-byte header; the payload of 4 KiB is reserved and never touched, as the peers have
//! none. The cache itself compares number and sequence there, so nobody has to do it again. Insertion is [`BlockCache::insert`], which does all that a miss does except for the reading.

use std::sync::Arc;

use tidelock_block_cache::BlockCache;
use tidelock_dev::MemDevice;
use tidelock_format::{BlockNo, BlockRef, BlockSize, Magic, Seq};

use super::{Contender, Reclaimed, Shape, Start, lookup_one_by_one};
use crate::block::Reference;

const MAGIC: Magic = Magic(0x5449_4445);
const SIZE: BlockSize = BlockSize::MIN;

/// Blocks of the device: more than any workload asks for. It is sparse, and nothing is read from it.
const DEVICE_BLOCKS: u64 = 1 << 34;

/// The cache hashes with ahash too; fixed, as the peers' keys are.
const HASH_SEED: u64 = 0x243f_6a88_85a3_08d3;

fn block_ref(reference: Reference) -> BlockRef {
    // Block 0 is never a tree's.
    BlockRef::new(BlockNo(reference.blkno + 1), Seq(reference.seq))
}

fn build(capacity: usize, expected: usize) -> BlockCache {
    let device = Arc::new(MemDevice::new(DEVICE_BLOCKS * SIZE.bytes() as u64));
    let bytes = (capacity * SIZE.bytes()) as u64;
    BlockCache::builder(device)
        .block_size(SIZE)
        .capacity(bytes)
        .capacity_max(bytes)
        .expected_blocks(expected.max(1))
        .hash_seed(HASH_SEED)
        .build()
        .expect("a cache for the benchmark can be made")
}

fn insert(cache: &BlockCache, reference: Reference) {
    cache.insert(block_ref(reference), MAGIC, |_payload| {}).expect("a benchmark's cache has a frame");
}

fn reclaimed(cache: &BlockCache) -> Reclaimed {
    let events = cache.stats().events;
    Reclaimed { visited: events.shrink_visited, freed: events.shrink_freed }
}

/// The reader leaves with a pinned block, which it may keep for as long as it likes.
pub(super) struct Pinned(BlockCache);

impl Contender for Pinned {
    const NAME: &'static str = "ours-pinned";
    const ABOUT: &'static str = "Tidelock: read_ref, a pinned block";

    fn build(shape: &Shape) -> Self {
        Self(build(shape.capacity, shape.room()))
    }

    #[inline(always)]
    fn lookup(&self, reference: Reference) -> bool {
        self.0.get(block_ref(reference), MAGIC).is_some()
    }

    #[inline]
    fn insert(&self, reference: Reference) {
        insert(&self.0, reference);
    }

    fn reclaimed(&self) -> Option<Reclaimed> {
        Some(reclaimed(&self.0))
    }
}

/// Guarded reads, `KEYS` at a time: 1 takes a guard for each lookup, more are one batch under one guard.
pub(super) struct Peeking<const KEYS: usize>(BlockCache);

impl<const KEYS: usize> Peeking<KEYS> {
    const NAMES: (&'static str, &'static str) = match KEYS {
        1 => ("ours-guarded", "Tidelock: peek, under a guard taken for each lookup"),
        8 => ("ours-batch8", "Tidelock: peek_many of 8 keys, under a guard for the batch"),
        16 => ("ours-batch16", "Tidelock: peek_many of 16 keys, under a guard for the batch"),
        32 => ("ours-batch32", "Tidelock: peek_many of 32 keys, under a guard for the batch"),
        64 => ("ours-batch64", "Tidelock: peek_many of 64 keys, under a guard for the batch"),
        _ => panic!("no contender reads so many keys at a time"),
    };
}

impl<const KEYS: usize> Contender for Peeking<KEYS> {
    const NAME: &'static str = Self::NAMES.0;
    const ABOUT: &'static str = Self::NAMES.1;

    fn build(shape: &Shape) -> Self {
        Self(build(shape.capacity, shape.room()))
    }

    #[inline(always)]
    fn lookup(&self, reference: Reference) -> bool {
        self.0.guard().peek(block_ref(reference), MAGIC).is_some()
    }

    #[inline(always)]
    fn lookup_all(&self, keys: &[u32]) -> usize {
        if KEYS == 1 {
            return lookup_one_by_one(self, keys);
        }
        let (mut found, mut wanted) = (0, [BlockRef::NULL; KEYS]);
        let (batches, rest) = keys.as_chunks::<KEYS>();
        for batch in batches {
            // In place: moved, it would be read in halves other than it was written in, which holds a processor up.
            for (wanted, key) in wanted.iter_mut().zip(batch) {
                *wanted = block_ref(Reference::to((*key).into()));
            }
            self.0.guard().peek_many(&wanted, MAGIC, |_, image| found += usize::from(image.is_some()));
        }
        found + lookup_one_by_one(self, rest)
    }

    #[inline]
    fn insert(&self, reference: Reference) {
        insert(&self.0, reference);
    }

    fn reclaimed(&self) -> Option<Reclaimed> {
        Some(reclaimed(&self.0))
    }
}

/// Guarded reads of lists that are walked in steps of `KEYS`, under a guard for each step.
pub(super) struct Stepping<const KEYS: usize>(BlockCache);

/// Keys to a list.
const LIST: usize = 1024;

impl<const KEYS: usize> Stepping<KEYS> {
    const NAMES: (&'static str, &'static str) = match KEYS {
        8 => (
            "ours-step8",
            "Tidelock: peek_step through lists of 1024 keys, 8 at a time, under a guard for each step",
        ),
        16 => (
            "ours-step16",
            "Tidelock: peek_step through lists of 1024 keys, 16 at a time, under a guard for each step",
        ),
        _ => panic!("no contender takes steps of so many keys"),
    };
}

impl<const KEYS: usize> Contender for Stepping<KEYS> {
    const NAME: &'static str = Self::NAMES.0;
    const ABOUT: &'static str = Self::NAMES.1;

    fn build(shape: &Shape) -> Self {
        Self(build(shape.capacity, shape.room()))
    }

    #[inline(always)]
    fn lookup(&self, reference: Reference) -> bool {
        self.0.guard().peek(block_ref(reference), MAGIC).is_some()
    }

    #[inline(always)]
    fn lookup_all(&self, keys: &[u32]) -> usize {
        let mut found = 0;
        let mut list = Vec::with_capacity(LIST);
        for some in keys.chunks(LIST) {
            list.clear();
            list.extend(some.iter().map(|&key| block_ref(Reference::to(key.into()))));
            let mut rest = &list[..];
            while !rest.is_empty() {
                let each = |_, image: Option<&[u8]>| found += usize::from(image.is_some());
                rest = self.0.guard().peek_step(rest, KEYS, MAGIC, each);
            }
        }
        found
    }

    #[inline]
    fn insert(&self, reference: Reference) {
        insert(&self.0, reference);
    }
}

/// For growth: from an index of one bucket, or (`PRESIZED`) from one that has room for everything.
pub(super) struct Growing<const PRESIZED: bool>(BlockCache);

impl<const PRESIZED: bool> Contender for Growing<PRESIZED> {
    const NAME: &'static str = if PRESIZED { "ours-presized" } else { "ours-grown" };
    const ABOUT: &'static str =
        if PRESIZED { "Tidelock, built at its full size" } else { "Tidelock, built for one block and grown" };

    fn build(shape: &Shape) -> Self {
        let grows = matches!(shape.start, Start::Empty) && !PRESIZED;
        Self(build(shape.capacity, if grows { 1 } else { shape.capacity }))
    }

    #[inline(always)]
    fn lookup(&self, reference: Reference) -> bool {
        self.0.guard().peek(block_ref(reference), MAGIC).is_some()
    }

    #[inline]
    fn insert(&self, reference: Reference) {
        insert(&self.0, reference);
    }
}
