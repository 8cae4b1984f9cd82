//! What was evicted lately: fingerprints of blocks, with the part they left and when.
//!
//! An array of 32-bit cells, eight to a bucket. Everything is a plain relaxed load or store: a lost record costs one guess
//! of the policy, never correctness.

use std::io;

// V2: std's own, also under models.
use tidelock_sync::unmodelled::{AtomicU32, AtomicUsize, Ordering};

use super::policy::Part;
use super::prefetch;
use super::region::{Region, Zeroed};
use super::table::Hash;

/// Cells of a bucket: half a cache line.
const WAYS: usize = 8;

/// A cell: `[fingerprint 23 | evicted from main 1 | tick 8]`, 0 when empty.
const TICK_BITS: u32 = 8;
const MAIN_BIT: u32 = 1 << TICK_BITS;
const FINGERPRINT_SHIFT: u32 = TICK_BITS + 1;

#[derive(Debug)]
#[repr(transparent)]
struct Cell(AtomicU32);

// SAFETY: an atomic integer, for which zero bytes are the value 0.
unsafe impl Zeroed for Cell {
    #[cfg(any(tidelock_loom, tidelock_shuttle))]
    fn zeroed() -> Self {
        Self(AtomicU32::new(0))
    }
}

/// A block that was evicted, as far as it is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trace {
    /// The part that it was evicted from.
    pub(crate) part: Part,
    /// Ticks since then.
    pub(crate) age: u8,
}

/// The memory of evictions.
#[derive(Debug)]
pub(crate) struct Ghost {
    cells: Region<Cell>,
    /// Buckets in use: follows the capacity.
    buckets: AtomicUsize,
}

/// Seven cells for four frames: a ghost set of 1.75 times the cache, 7 bytes a frame. One cell a frame costs 0.9 % of
/// Belady's hit ratio on disk traces; two gain nothing more.
fn buckets_for(capacity: usize) -> usize {
    (capacity * 7).div_ceil(4 * WAYS).max(1)
}

impl Ghost {
    pub(crate) fn reserve(capacity_max: usize, capacity: usize) -> io::Result<Self> {
        let cells = Region::reserve(buckets_for(capacity_max) * WAYS)?;
        Ok(Self { cells, buckets: AtomicUsize::new(buckets_for(capacity)) })
    }

    /// Follows a change of the capacity. What was remembered is looked for in other places then, and forgotten.
    pub(crate) fn set_capacity(&self, capacity: usize) {
        let most = self.cells.len() / WAYS;
        // Relaxed: a wrong bucket is a forgotten block.
        self.buckets.store(buckets_for(capacity).min(most), Ordering::Relaxed);
    }

    fn bucket(&self, hash: Hash) -> impl Iterator<Item = &AtomicU32> {
        // Relaxed: as above. The table's tag comes from the low bits and its home from the high ones; so does the bucket
        // here, and the fingerprint from those between.
        let buckets = self.buckets.load(Ordering::Relaxed);
        let first = (((hash.0 >> 32) * buckets as u64) >> 32) as usize * WAYS;
        (first..first + WAYS).map(|index| {
            // SAFETY: `buckets` never exceeds the number reserved, and the product is below it.
            &unsafe { self.cells.get(index) }.0
        })
    }

    /// Never 0 together with the other fields, so that an empty cell matches nothing.
    fn fingerprint(hash: Hash) -> u32 {
        ((hash.0 as u32) >> FINGERPRINT_SHIFT).max(1)
    }

    /// Asks the processor to fetch what [`find`](Self::find) and [`record`](Self::record) will look at.
    pub(crate) fn prefetch(&self, hash: Hash) {
        if let Some(cell) = self.bucket(hash).next() {
            prefetch::read(cell);
        }
    }

    /// What is remembered of the block that hashes so.
    pub(crate) fn find(&self, hash: Hash, tick: u8) -> Option<Trace> {
        let fingerprint = Self::fingerprint(hash);
        self.bucket(hash).find_map(|cell| {
            // Relaxed: a guess.
            let cell = cell.load(Ordering::Relaxed);
            (cell >> FINGERPRINT_SHIFT == fingerprint).then(|| Trace {
                part: if cell & MAIN_BIT != 0 { Part::Main } else { Part::Probation },
                age: tick.wrapping_sub(cell as u8),
            })
        })
    }

    /// Remembers an eviction: in the block's own cell, else in an empty one, else in place of the oldest.
    pub(crate) fn record(&self, hash: Hash, part: Part, tick: u8) {
        let fingerprint = Self::fingerprint(hash);
        // The greatest rank is overwritten: own cell, empty cell, age. Without branches, which would be as random as the cells.
        let rank = |cell: u32| {
            let is_own = u32::from(cell >> FINGERPRINT_SHIFT == fingerprint);
            let is_empty = u32::from(cell == 0);
            is_own << 31 | is_empty << 30 | u32::from(tick.wrapping_sub(cell as u8))
        };
        // Relaxed, both: a guess.
        let victim = self.bucket(hash).max_by_key(|cell| rank(cell.load(Ordering::Relaxed)));
        let from_main = if part == Part::Main { MAIN_BIT } else { 0 };
        if let Some(victim) = victim {
            victim.store((fingerprint << FINGERPRINT_SHIFT) | from_main | u32::from(tick), Ordering::Relaxed);
        }
    }
}
