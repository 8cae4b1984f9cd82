//! Looking up many blocks side by side.
//!
//! A lookup in a large cache is two waits for memory, one for its bucket and one for the header that its entry leads to. Here all buckets
//! are on their way before the first is looked at, and then all headers: two waits, however many lookups there are.
//!
//! A processor overlaps lookups by itself as well, as far as it sees ahead: some hundred instructions, which are four or five
//! lookups. So a batch must be larger than that to be worth it. The fewer instructions stand between two of its prefetches the
//! better, and best is when the last headers of one batch and the first buckets of the next are on their way together. That is
//! why the loops are short and without branches, why the headers' place is not read anew in each turn, and why headers are
//! compared all at once.
//!
//! Who knows what will be looked up later need not wait at all: while one batch is looked at, the headers of the next and the
//! buckets of the one after it are on their way. Then small batches are as good as large ones. Buckets alone would not do, as each
//! batch would still wait for its headers.

use std::mem::MaybeUninit;

use tidelock_format::{BlockRef, Magic};

use super::core::Core;
use super::epoch::Guard;
use super::frame::{FrameHeader, FrameNo};
use super::identity::{self, Identity};
use super::prefetch;
use super::table::Hash;

/// Lookups side by side, at the most. Of a cache of 4 Mi blocks each took 31 ns with 16 of them, 20 ns with 32 and 15 ns with 64.
pub(crate) const LOOKUPS_MAX: usize = 64;

impl Core {
    /// Puts the buckets on their way in which `soon` will be looked for.
    #[inline(always)]
    pub(crate) fn fetch_homes(&self, soon: &[BlockRef]) {
        let table = self.index.current();
        for block in soon {
            table.fetch_home(self.hash(block.blkno));
        }
    }

    /// Puts the headers on their way to which the buckets of `soon` lead. Waits for buckets that are not here yet.
    #[inline(always)]
    pub(crate) fn fetch_headers(&self, soon: &[BlockRef]) {
        let (table, headers) = (self.index.current(), self.frames.headers());
        for block in soon {
            prefetch::read(headers.at(table.home_of(self.hash(block.blkno)).candidate()));
        }
    }

    /// What [`find_image`](Self::find_image) finds, for up to [`LOOKUPS_MAX`] at a time, in order. Tells how many it found.
    #[inline(always)]
    pub(crate) fn find_images(
        &self,
        guard: &Guard<'_>,
        wanted: &[BlockRef],
        magic: Magic,
        mut each: impl FnMut(Option<FrameNo>),
    ) -> usize {
        debug_assert!(wanted.len() <= LOOKUPS_MAX);
        let (table, headers) = (self.index.current(), self.frames.headers());
        // Where a bucket lies is worked out twice: keeping the place would take more than that.
        let mut hashes = [const { MaybeUninit::<Hash>::uninit() }; LOOKUPS_MAX];
        for (hash, wanted) in hashes.iter_mut().zip(wanted) {
            table.fetch_home(*hash.write(self.hash(wanted.blkno)));
        }
        let mut candidates = [const { MaybeUninit::<&FrameHeader>::uninit() }; LOOKUPS_MAX];
        for ((candidate, hash), _) in candidates.iter_mut().zip(&hashes).zip(wanted) {
            // SAFETY: written above, for each that is wanted.
            let home = table.home_of(unsafe { hash.assume_init() });
            prefetch::read(*candidate.write(headers.at(home.candidate())));
        }
        let candidates: *const [MaybeUninit<&FrameHeader>] = &raw const candidates[..wanted.len()];
        // SAFETY: written above, for each that is wanted, and no longer changed.
        let candidates = unsafe { &*(candidates as *const [&FrameHeader]) };
        let identity = identity::compare_all(candidates.iter().copied().zip(wanted.iter().copied()), magic);
        if identity == Identity::Other {
            return self.find_one_by_one(guard, candidates.iter().copied().zip(wanted), magic, each);
        }
        if identity == Identity::Cooler {
            candidates.iter().for_each(|header| header.warm_unseen(&guard.slot().nowhere));
        }
        for header in candidates {
            // SAFETY: F1: nobody's header is not readable.
            each(Some(unsafe { headers.frame_of(header) }));
        }
        wanted.len()
    }

    /// The same, where some of the `candidates` are not what is wanted of them.
    #[inline(always)]
    fn find_one_by_one<'a>(
        &self,
        guard: &Guard<'_>,
        candidates: impl ExactSizeIterator<Item = (&'a FrameHeader, &'a BlockRef)>,
        magic: Magic,
        mut each: impl FnMut(Option<FrameNo>),
    ) -> usize {
        let (mut found, headers) = (candidates.len(), self.frames.headers());
        for (header, wanted) in candidates {
            if header.accept(*wanted, magic) {
                // SAFETY: F1: nobody's header is not readable.
                each(Some(unsafe { headers.frame_of(header) }));
                continue;
            }
            let frame = self.find_image_further(guard.proof(), *wanted, magic);
            found -= usize::from(frame.is_none());
            each(frame);
        }
        found
    }
}

#[cfg(all(test, not(any(tidelock_loom, tidelock_shuttle))))]
mod tests {
    use ahash::RandomState;
    use tidelock_format::{BlockNo, BlockSize, Seq};
    use tidelock_sync::unmodelled::Ordering;

    use super::*;
    use crate::budget::Charge;
    use crate::raw::core::{Plan, Purpose};
    use crate::raw::frame::HEAT_MAX;
    use crate::raw::pages::Pages;

    const MAGIC: Magic = Magic(7);

    /// With room for 128 blocks, of which `heats.len()` are there, as hot as said.
    fn core_with(heats: &[u8]) -> (Core, Vec<(BlockRef, FrameNo)>) {
        let plan = Plan {
            size: BlockSize::MIN,
            pages: Pages::Small,
            capacity: 128,
            capacity_max: 128,
            reserve: 0,
            expected: 128,
            is_noted: false,
        };
        let core = Core::new(plan, RandomState::with_seeds(1, 2, 3, 4), Charge::default()).unwrap();
        let put = |(blkno, heat): (u64, &u8)| {
            let (frame, block) =
                (core.take_frame(Purpose::Read).unwrap(), BlockRef::new(BlockNo(blkno), Seq(blkno)));
            core.enter_image(frame, block, MAGIC).expect("nobody else has this block");
            core.header(frame).heat.store(*heat, Ordering::Relaxed);
            (block, frame)
        };
        let blocks = (1..).zip(heats).map(put).collect();
        (core, blocks)
    }

    fn heats_after_a_batch(heats: &[u8], more: &[BlockRef]) -> Vec<u8> {
        let (core, blocks) = core_with(heats);
        let wanted: Vec<_> = blocks.iter().map(|(block, _)| *block).chain(more.iter().copied()).collect();
        let mut found = Vec::new();
        let count = core.find_images(&core.domain.guard(), &wanted, MAGIC, |frame| found.push(frame));
        let expected = blocks.iter().map(|(_, frame)| Some(*frame)).chain(more.iter().map(|_| None));
        assert_eq!((count, found), (blocks.len(), expected.collect()));
        blocks.iter().map(|(_, frame)| core.header(*frame).heat.load(Ordering::Relaxed)).collect()
    }

    #[test]
    fn a_batch_warms_what_it_finds_whether_or_not_it_finds_all() {
        const ABSENT: BlockRef = BlockRef::new(BlockNo(1000), Seq(1));
        let all: Vec<u8> = (0..=HEAT_MAX).cycle().take(LOOKUPS_MAX - 1).collect();
        for heats in [&all[..], &[HEAT_MAX; 8], &[0; 8], &[1], &[]] {
            let warmer: Vec<u8> = heats.iter().map(|heat| HEAT_MAX.min(heat + 1)).collect();
            assert_eq!(heats_after_a_batch(heats, &[]), warmer);
            assert_eq!(heats_after_a_batch(heats, &[ABSENT]), warmer);
        }
    }
}
