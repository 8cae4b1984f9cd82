//! Looking up many blocks side by side.
//!
//! A lookup in a large cache is two waits for memory, one for its bucket and one for the header that its entry leads to. Here all buckets
//! are on their way before the first is looked at, and then all headers: two waits, however many lookups there are.
//!
//! A processor overlaps lookups by itself as well, as far as it sees ahead: four or five of them. So a batch must be larger than
//! that to be worth it, and the fewer instructions stand between two of its prefetches the better. That is why the loops are
//! short, and why the headers' place is not read anew in each turn.

use std::mem::MaybeUninit;

use tidelock_format::{BlockRef, Magic};

use super::core::Core;
use super::epoch::Guarded;
use super::frame::{Entry, FrameNo};
use super::prefetch;
use super::table::Home;

/// Lookups side by side, at the most. With 16 each takes a quarter more time; more than 32 gain little, as the processor has no
/// more cache misses under way at a time.
pub(crate) const LOOKUPS_MAX: usize = 32;

impl Core {
    /// What [`find_image`](Self::find_image) finds, for up to [`LOOKUPS_MAX`] at a time, in order. Tells how many it found.
    #[inline(always)]
    pub(crate) fn find_images(
        &self,
        proof: Guarded<'_>,
        wanted: &[BlockRef],
        magic: Magic,
        mut each: impl FnMut(Option<FrameNo>),
    ) -> usize {
        debug_assert!(wanted.len() <= LOOKUPS_MAX);
        let (table, headers) = (self.index.current(), self.frames.headers());
        let mut homes = [const { MaybeUninit::<Home<'_>>::uninit() }; LOOKUPS_MAX];
        for (home, wanted) in homes.iter_mut().zip(wanted) {
            home.write(table.fetch_home(self.hash(wanted.blkno)));
        }
        let mut candidates = [const { MaybeUninit::<Entry>::uninit() }; LOOKUPS_MAX];
        for ((candidate, home), _) in candidates.iter_mut().zip(&homes).zip(wanted) {
            // SAFETY: written above, for each that is wanted.
            let entry = unsafe { home.assume_init() }.candidate();
            prefetch::read(headers.at(entry));
            candidate.write(entry);
        }
        let mut missing = 0;
        for (candidate, wanted) in candidates.iter().zip(wanted) {
            // SAFETY: as above.
            let entry = unsafe { candidate.assume_init() };
            if headers.at(entry).accept(*wanted, magic) {
                // SAFETY: F1: nobody's header is not readable.
                each(Some(unsafe { entry.known_frame() }));
                continue;
            }
            let found = self.find_image_further(proof, *wanted, magic);
            missing += usize::from(found.is_none());
            each(found);
        }
        wanted.len() - missing
    }
}
