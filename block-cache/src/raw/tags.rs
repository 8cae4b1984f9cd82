//! The eight tags of a bucket: comparing all of them with one, and writing one.

use tidelock_sync::atomic::{AtomicU64, Ordering};

use super::table::SLOTS;

/// The tags of a bucket: slot `4 * w + l` is 16-bit lane `l` of word `w`.
#[derive(Debug)]
#[repr(transparent)]
pub(super) struct Tags(pub(super) [AtomicU64; 2]);

/// Slots, each given out once: two bits each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Matches(u32);

impl Tags {
    /// The slots whose tag equals `tag`.
    #[inline(always)]
    pub(super) fn matches(&self, tag: u16) -> Matches {
        #[cfg(all(target_arch = "x86_64", not(any(tidelock_loom, tidelock_shuttle, miri))))]
        return Matches(vector::matches(self, tag));
        #[cfg(any(not(target_arch = "x86_64"), tidelock_loom, tidelock_shuttle, miri))]
        return Matches(scalar::matches(self, tag));
    }

    /// Writes the tag of `slot`, which had none. Only who owns the slot calls this.
    #[inline(always)]
    pub(super) fn set(&self, slot: usize, tag: u16, ordering: Ordering) {
        #[cfg(all(target_arch = "x86_64", not(any(tidelock_loom, tidelock_shuttle, miri))))]
        vector::store(self, slot, tag, ordering);
        #[cfg(any(not(target_arch = "x86_64"), tidelock_loom, tidelock_shuttle, miri))]
        scalar::set(self, slot, tag, ordering);
    }

    /// Takes the tag of `slot` away. Only who owns the slot calls this.
    #[inline(always)]
    pub(super) fn clear(&self, slot: usize, ordering: Ordering) {
        #[cfg(all(target_arch = "x86_64", not(any(tidelock_loom, tidelock_shuttle, miri))))]
        vector::store(self, slot, 0, ordering);
        #[cfg(any(not(target_arch = "x86_64"), tidelock_loom, tidelock_shuttle, miri))]
        scalar::clear(self, slot, ordering);
    }
}

impl Matches {
    /// The first of them, or [`SLOTS`] if there is none.
    #[inline(always)]
    pub(super) fn first_or_end(self) -> usize {
        let bit = (self.0 | 1 << (2 * SLOTS)).trailing_zeros();
        // SAFETY: both bits of a slot are set, or neither.
        unsafe { std::hint::assert_unchecked(bit.is_multiple_of(2)) };
        bit as usize / 2
    }

    /// The next of them: below [`SLOTS`].
    #[inline(always)]
    pub(super) fn next(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let bit = self.0.trailing_zeros();
        // SAFETY: both bits of a slot are set, or neither.
        unsafe { std::hint::assert_unchecked(bit.is_multiple_of(2)) };
        self.0 &= self.0 - 1;
        self.0 &= self.0 - 1;
        Some(bit as usize / 2)
    }
}

/// With SSE2, which every x86-64 has.
#[cfg(all(target_arch = "x86_64", not(any(tidelock_loom, tidelock_shuttle, miri))))]
mod vector {
    use std::arch::asm;
    use std::arch::x86_64::{__m128i, _mm_cmpeq_epi16, _mm_movemask_epi8, _mm_set1_epi16};

    use tidelock_sync::atomic::{AtomicU16, Ordering};

    use super::{SLOTS, Tags};

    #[inline(always)]
    pub(super) fn matches(tags: &Tags, tag: u16) -> u32 {
        // SAFETY: SSE2 is part of x86-64.
        unsafe { with_sse2(load(tags), tag.cast_signed()) }
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn with_sse2(tags: __m128i, tag: i16) -> u32 {
        _mm_movemask_epi8(_mm_cmpeq_epi16(tags, _mm_set1_epi16(tag))).cast_unsigned()
    }

    /// All tags in one register. One instruction; of two atomic loads the compiler makes five, one in twenty of a hit. Were the
    /// load torn, a tag that changes meanwhile might be taken for another, and a tag only says where to look.
    #[inline(always)]
    fn load(tags: &Tags) -> __m128i {
        let loaded;
        // SAFETY: reads the 16 bytes of `tags`, as relaxed atomic loads would.
        unsafe {
            asm!(
                "movdqu {loaded}, xmmword ptr [{tags}]",
                loaded = lateout(xmm_reg) loaded,
                tags = in(reg) tags,
                options(readonly, nostack, preserves_flags),
            );
        }
        loaded
    }

    /// A plain store to the slot's lane, which nobody else writes. To the word, which others write too, it would be a locked
    /// exchange. (Two of those for each insertion that evicts; they, those of the latch, and the fence that closing needed
    /// took 3 % of the time under pressure.)
    #[inline(always)]
    pub(super) fn store(tags: &Tags, slot: usize, tag: u16, ordering: Ordering) {
        assert!(slot < SLOTS, "T2: a bucket has {SLOTS} slots");
        let lane = tags.0.as_ptr().cast::<u16>().cast_mut().wrapping_add(slot);
        // SAFETY: inside of `tags`, as checked above, aligned, and written atomically by everyone. Read it is as in `load`.
        unsafe { AtomicU16::from_ptr(lane) }.store(tag, ordering);
    }
}

/// With ordinary arithmetic, four lanes at a time.
#[cfg(any(test, any(not(target_arch = "x86_64"), tidelock_loom, tidelock_shuttle, miri)))]
mod scalar {
    use tidelock_sync::atomic::Ordering;

    use super::Tags;

    /// Lanes of a word.
    const LANES: usize = 4;

    const LOWS: u64 = 0x7fff_7fff_7fff_7fff;

    #[inline(always)]
    pub(super) fn matches(tags: &Tags, tag: u16) -> u32 {
        let spread = u64::from(tag) * 0x0001_0001_0001_0001;
        let of_word = |word: usize| {
            // Relaxed: a tag only says where to look; the slot's Acquire is what makes the header visible.
            let difference = tags.0[word].load(Ordering::Relaxed) ^ spread;
            // The high bit of each lane that is not zero; no carry leaves its lane.
            let nonzero = ((difference & LOWS) + LOWS) | difference;
            let zero = (!nonzero & !LOWS) >> 15;
            // Bits 0, 16, 32 and 48 to 0, 2, 4 and 6.
            (zero | zero >> 14 | zero >> 28 | zero >> 42) as u32 & 0b0101_0101
        };
        let lower = of_word(0) | of_word(1) << 8;
        lower | lower << 1
    }

    #[inline(always)]
    pub(super) fn set(tags: &Tags, slot: usize, tag: u16, ordering: Ordering) {
        let (word, shift) = lane(slot);
        tags.0[word].fetch_or(u64::from(tag) << shift, ordering);
    }

    #[inline(always)]
    pub(super) fn clear(tags: &Tags, slot: usize, ordering: Ordering) {
        let (word, shift) = lane(slot);
        tags.0[word].fetch_and(!(0xffff << shift), ordering);
    }

    const fn lane(slot: usize) -> (usize, u32) {
        (slot / LANES, (slot % LANES) as u32 * 16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one_by_one(words: [u64; 2], tag: u16) -> Vec<usize> {
        let lane = |slot: usize| (words[slot / 4] >> (slot % 4 * 16)) as u16;
        (0..SLOTS).filter(|slot| lane(*slot) == tag).collect()
    }

    fn slots(mut matches: Matches) -> Vec<usize> {
        std::iter::from_fn(|| matches.next()).collect()
    }

    proptest! {
        #[test]
        fn all_ways_to_write_agree(changes in prop::collection::vec((0..SLOTS, any::<u16>()), 0..40)) {
            let (tags, others) = (Tags([0, 0].map(AtomicU64::new)), Tags([0, 0].map(AtomicU64::new)));
            let mut expected = [0; SLOTS];
            for (slot, tag) in changes {
                tags.clear(slot, Ordering::Release);
                scalar::clear(&others, slot, Ordering::Release);
                tags.set(slot, tag, Ordering::Relaxed);
                scalar::set(&others, slot, tag, Ordering::Relaxed);
                expected[slot] = tag;
                for tags in [&tags, &others] {
                    let words = [0, 1].map(|word: usize| tags.0[word].load(Ordering::Relaxed));
                    let lane = |slot: usize| (words[slot / 4] >> (slot % 4 * 16)) as u16;
                    prop_assert_eq!(std::array::from_fn(lane), expected);
                }
            }
        }

        #[test]
        fn all_ways_to_compare_agree(words: [u64; 2], tag: u16, copies: u8) {
            // Random words hardly ever hold the tag: put it into some lanes.
            let mut words = words;
            for slot in (0..SLOTS).filter(|slot| copies >> slot & 1 == 1) {
                let shift = slot % 4 * 16;
                let word = &mut words[slot / 4];
                *word = *word & !(0xffff << shift) | u64::from(tag) << shift;
            }
            let expected = one_by_one(words, tag);
            let tags = Tags(words.map(AtomicU64::new));
            prop_assert_eq!(tags.matches(tag).first_or_end(), *expected.first().unwrap_or(&SLOTS));
            prop_assert_eq!(slots(tags.matches(tag)), &expected[..]);
            prop_assert_eq!(slots(Matches(scalar::matches(&tags, tag))), expected);
        }
    }
}
