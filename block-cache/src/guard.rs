//! Guarded reads: borrowed bytes, no shared write.

use std::fmt;

use tidelock_format::{BlockRef, Magic};

use crate::raw::batch::LOOKUPS_MAX;
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
    /// tables several times faster than one peek after the other; best with 64 at a time or more. A list that is looked at a few
    /// blocks at a time is for [`peek_step`](Self::peek_step).
    ///
    /// Calls `each` with the position of every reference and its bytes, in order.
    #[inline]
    pub fn peek_many<'g>(
        &'g self,
        wanted: &[BlockRef],
        magic: Magic,
        mut each: impl FnMut(usize, Option<&'g [u8]>),
    ) {
        let (core, counters) = (&self.shared.core, self.epoch.slot());
        let mut at = 0;
        for some in wanted.chunks(LOOKUPS_MAX) {
            let found = core.find_images(&self.epoch, some, magic, |frame| {
                each(at, frame.map(|frame| core.frames.image(frame)));
                at += 1;
            });
            Slot::add(&counters.hits, found as u64);
            Slot::add(&counters.misses, (some.len() - found) as u64);
        }
    }

    /// Peeks at the first `step` images of `list`, while the next are on their way from memory. Returns the rest of the list.
    ///
    /// This walks a list that is known beforehand, in steps of a few blocks each, and with a guard for each step if that is
    /// wanted: between two steps no frame is kept from being used again. A batch of eight blocks that nothing is known to
    /// follow waits for memory as often as one of 64; a step has had its waits before its turn came.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use tidelock_block_cache::BlockCache;
    /// # use tidelock_dev::MemDevice;
    /// # use tidelock_format::{BlockNo, BlockRef, Magic, Seq};
    /// # let cache = BlockCache::builder(Arc::new(MemDevice::new(1 << 20))).build()?;
    /// # let leaves: Vec<_> = (1..=30).map(|number| BlockRef::new(BlockNo(number), Seq(1))).collect();
    /// # for leaf in &leaves {
    /// #     cache.insert(*leaf, Magic(2), |image| image.fill(7))?;
    /// # }
    /// let mut sum = 0;
    /// let mut list = &leaves[..];
    /// while !list.is_empty() {
    ///     list = cache.guard().peek_step(list, 8, Magic(2), |_, image| {
    ///         sum += image.map_or(0, |image| u64::from(image[0]));
    ///     });
    /// }
    /// assert_eq!(sum, 30 * 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Calls `each` as [`peek_many`](Self::peek_many) does, with positions in `list`. The last step is as long as what is left.
    ///
    /// # Panics
    /// If `step` is 0: such a walk would never end.
    #[inline]
    pub fn peek_step<'l, 'g>(
        &'g self,
        list: &'l [BlockRef],
        step: usize,
        magic: Magic,
        each: impl FnMut(usize, Option<&'g [u8]>),
    ) -> &'l [BlockRef] {
        assert!(step > 0, "a walk in steps of no blocks would never end");
        let (now, rest) = list.split_at(step.min(list.len()));
        // More than a batch looks up at a time might be gone again before its turn comes.
        let ahead = step.min(LOOKUPS_MAX);
        let (next, after) = rest.split_at(ahead.min(rest.len()));
        self.shared.core.fetch_headers(next);
        self.shared.core.fetch_homes(&after[..ahead.min(after.len())]);
        self.peek_many(now, magic, each);
        rest
    }
}

impl fmt::Debug for Guard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guard")
    }
}
