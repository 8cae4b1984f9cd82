//! Guarded reads: borrowed bytes, no shared write.

use std::fmt;

use tidelock_format::{BlockRef, Magic};

use crate::raw::epoch::{Guard as Epoch, Slot};
use crate::shared::Shared;

/// While it lives, no block that its thread can find is reused, so a hit is a borrow: a probe and two loads, and no store
/// that another core would notice. A tree descent is one guard and a peek for each level.
///
/// Hold it for a descent, not for longer: evicted frames wait for the guards that may still see them. Never hold one across
/// I/O, a lock, or a callback. In particular, a miss that needs a frame cannot wait for the guard of its own thread: where
/// frames are short it ends in [`NoFrame`](crate::CacheError::NoFrame).
///
/// ```
/// # use std::sync::Arc;
/// # use tidelock_block_cache::BlockCache;
/// # use tidelock_dev::MemDevice;
/// # use tidelock_format::{BlockNo, BlockRef, Magic, Seq};
/// # let cache = BlockCache::builder(Arc::new(MemDevice::new(1 << 20))).build()?;
/// # let root = BlockRef::new(BlockNo(3), Seq(1));
/// # cache.insert(root, Magic(2), |image| image.fill(7))?;
/// let first_byte = cache.guard().peek(root, Magic(2)).map(|image| image[0]);
/// let first_byte = match first_byte {
///     Some(byte) => byte,
///     // The guard is gone by here: reading may wait.
///     None => cache.read_ref(root, Magic(2)).wait()?[0],
/// };
/// assert_eq!(first_byte, 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Guard<'c> {
    shared: &'c Shared,
    epoch: Epoch<'c>,
}

/// References that a batch is worked through at a time: as many cache misses as the processor keeps in flight.
const WINDOW: usize = 16;

impl<'c> Guard<'c> {
    #[inline(always)]
    pub(crate) fn new(shared: &'c Shared) -> Self {
        Self { shared, epoch: shared.core.domain.guard() }
    }

    /// The bytes of the image that `wanted` means, if it is cached and clean. `None` says nothing about the media: read it
    /// with [`BlockCache::read_ref`](crate::BlockCache::read_ref).
    #[inline(always)]
    pub fn peek(&self, wanted: BlockRef, magic: Magic) -> Option<&[u8]> {
        let core = &self.shared.core;
        let image = core.find_image(&self.epoch, wanted, magic);
        let counters = self.epoch.slot();
        Slot::count(if image.is_some() { &counters.hits } else { &counters.misses });
        image.map(|frame| core.frames.image(frame))
    }

    /// Peeks at many images at once. The cache misses of one lookup overlap with those of the others, which makes large
    /// tables several times faster than one peek after the other.
    ///
    /// Calls `each` with the position of every reference and its bytes, in order.
    #[inline]
    pub fn peek_many<'g>(
        &'g self,
        wanted: &[BlockRef],
        magic: Magic,
        mut each: impl FnMut(usize, Option<&'g [u8]>),
    ) {
        let mut at = 0;
        let mut each = |image| {
            each(at, image);
            at += 1;
        };
        let (windows, rest) = wanted.as_chunks::<WINDOW>();
        let (halves, rest) = rest.as_chunks::<{ WINDOW / 2 }>();
        windows.iter().for_each(|window| self.peek_window(window, magic, &mut each));
        halves.iter().for_each(|window| self.peek_window(window, magic, &mut each));
        rest.iter().for_each(|wanted| each(self.peek(*wanted, magic)));
    }

    /// Peeks at a few images side by side: all their buckets are on the way before the first is looked at, and then all
    /// their headers.
    #[inline(always)]
    fn peek_window<'g, const KEYS: usize>(
        &'g self,
        wanted: &[BlockRef; KEYS],
        magic: Magic,
        each: &mut impl FnMut(Option<&'g [u8]>),
    ) {
        let core = &self.shared.core;
        let homes = core.fetch_homes(self.epoch.proof(), wanted);
        let candidates = homes.map(|home| core.fetch_candidate(home));
        let mut found = 0;
        for (wanted, candidate) in wanted.iter().zip(&candidates) {
            let image = core.check_image(&self.epoch, *candidate, *wanted, magic);
            found += u64::from(image.is_some());
            each(image.map(|frame| core.frames.image(frame)));
        }
        let counters = self.epoch.slot();
        Slot::add(&counters.hits, found);
        Slot::add(&counters.misses, KEYS as u64 - found);
    }
}

impl fmt::Debug for Guard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guard")
    }
}
