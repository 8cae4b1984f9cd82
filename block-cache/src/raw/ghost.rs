//! What was evicted lately: fingerprints of blocks, with the part they left and when.
//!
//! An array of 32-bit cells, eight to a bucket. Everything is a plain relaxed load or store: a lost record costs one guess
//! of the policy, never correctness.

use std::io;

// V2: std's own, also under models.
use tidelock_sync::unmodelled::{AtomicUsize, Ordering};

use super::cells::{Cells, FINGERPRINT_SHIFT, MAIN_BIT, WAYS};
use super::policy::Part;
use super::prefetch;
use super::region::Region;
use super::table::Hash;

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
    buckets: Region<Cells>,
    /// Cellss in use: follows the capacity.
    used: AtomicUsize,
}

/// Seven cells for four frames: a ghost set of 1.75 times the cache, 7 bytes a frame. One cell a frame costs 0.9 % of
/// Belady's hit ratio on disk traces; two gain nothing more.
fn buckets_for(capacity: usize) -> usize {
    (capacity * 7).div_ceil(4 * WAYS).max(1)
}

impl Ghost {
    pub(crate) fn reserve(capacity_max: usize, capacity: usize) -> io::Result<Self> {
        let buckets = Region::reserve(buckets_for(capacity_max))?;
        Ok(Self { buckets, used: AtomicUsize::new(buckets_for(capacity)) })
    }

    /// Follows a change of the capacity. What was remembered is looked for in other places then, and forgotten.
    pub(crate) fn set_capacity(&self, capacity: usize) {
        // Relaxed: a wrong bucket is a forgotten block.
        self.used.store(buckets_for(capacity).min(self.buckets.len()), Ordering::Relaxed);
    }

    fn bucket(&self, hash: Hash) -> &Cells {
        // Relaxed: as above. The table's tag comes from the low bits and its home from the high ones; so does the bucket
        // here, and the fingerprint from those between.
        let used = self.used.load(Ordering::Relaxed);
        let index = (((hash.0 >> 32) * used as u64) >> 32) as usize;
        // SAFETY: `used` never exceeds the number reserved, and the product is below it.
        unsafe { self.buckets.get(index) }
    }

    /// Never 0 together with the other fields, so that an empty cell matches nothing.
    fn fingerprint(hash: Hash) -> u32 {
        ((hash.0 as u32) >> FINGERPRINT_SHIFT).max(1)
    }

    /// Asks the processor to fetch what [`find`](Self::find) and [`record`](Self::record) will look at.
    pub(crate) fn prefetch(&self, hash: Hash) {
        prefetch::read(self.bucket(hash));
    }

    /// What is remembered of the block that hashes so.
    pub(crate) fn find(&self, hash: Hash, tick: u8) -> Option<Trace> {
        let bucket = self.bucket(hash);
        let way = bucket.way_of(Self::fingerprint(hash))?;
        // Relaxed: a guess; another's by now, it is a wrong one.
        let cell = bucket.0[way].load(Ordering::Relaxed);
        Some(Trace {
            part: if cell & MAIN_BIT != 0 { Part::Main } else { Part::Probation },
            age: tick.wrapping_sub(cell as u8),
        })
    }

    /// Remembers an eviction: in the block's own cell, else in an empty one, else in place of the oldest.
    pub(crate) fn record(&self, hash: Hash, part: Part, tick: u8) {
        let (bucket, fingerprint) = (self.bucket(hash), Self::fingerprint(hash));
        let from_main = if part == Part::Main { MAIN_BIT } else { 0 };
        let victim = &bucket.0[bucket.way_for(fingerprint, tick)];
        // Relaxed: a guess.
        victim.store((fingerprint << FINGERPRINT_SHIFT) | from_main | u32::from(tick), Ordering::Relaxed);
    }
}
