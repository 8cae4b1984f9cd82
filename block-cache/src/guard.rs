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
    /// tables several times faster than one peek after the other; best with 64 at a time or more.
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
}

impl fmt::Debug for Guard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guard")
    }
}
