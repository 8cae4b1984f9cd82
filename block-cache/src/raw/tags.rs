//! Comparing the ten tags of a bucket with one.

use super::table::SLOTS;

/// One bit for each slot.
const ALL: u32 = (1 << SLOTS) - 1;

/// Slots whose tag equals `tag`, one bit each. Slot `4 * w + l` is 16-bit lane `l` of word `w`; lanes beyond the tenth are
/// not tags.
#[inline(always)]
pub(super) fn matches(words: [u64; 3], tag: u16) -> u32 {
    #[cfg(target_arch = "x86_64")]
    return vector::matches(words, tag) & ALL;
    #[cfg(not(target_arch = "x86_64"))]
    return scalar::matches(words, tag) & ALL;
}

/// With SSE2, which every x86-64 has.
#[cfg(target_arch = "x86_64")]
mod vector {
    use std::arch::x86_64::{
        _mm_cmpeq_epi16, _mm_movemask_epi8, _mm_packs_epi16, _mm_set_epi64x, _mm_set1_epi16,
    };

    #[inline(always)]
    pub(super) fn matches(words: [u64; 3], tag: u16) -> u32 {
        // SAFETY: SSE2 is part of x86-64.
        unsafe { with_sse2(words.map(u64::cast_signed), tag.cast_signed()) }
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn with_sse2([first, second, third]: [i64; 3], tag: i16) -> u32 {
        let tags = _mm_set1_epi16(tag);
        let low = _mm_cmpeq_epi16(_mm_set_epi64x(second, first), tags);
        let high = _mm_cmpeq_epi16(_mm_set_epi64x(0, third), tags);
        _mm_movemask_epi8(_mm_packs_epi16(low, high)).cast_unsigned()
    }
}

/// With ordinary arithmetic, four lanes at a time.
#[cfg_attr(target_arch = "x86_64", cfg(test))]
mod scalar {
    const LOWS: u64 = 0x7fff_7fff_7fff_7fff;

    pub(super) fn matches(words: [u64; 3], tag: u16) -> u32 {
        let spread = u64::from(tag) * 0x0001_0001_0001_0001;
        let of_word = |word: u64| {
            let difference = word ^ spread;
            // The high bit of each lane that is not zero; no carry leaves its lane.
            let nonzero = ((difference & LOWS) + LOWS) | difference;
            let zero = (!nonzero & !LOWS) >> 15;
            // Bits 0, 16, 32 and 48 next to each other.
            (zero | zero >> 15 | zero >> 30 | zero >> 45) as u32 & 0xf
        };
        of_word(words[0]) | of_word(words[1]) << 4 | of_word(words[2]) << 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one_by_one(words: [u64; 3], tag: u16) -> u32 {
        let lane = |slot: usize| (words[slot / 4] >> (slot % 4 * 16)) as u16;
        (0..SLOTS).filter(|slot| lane(*slot) == tag).map(|slot| 1 << slot).sum()
    }

    proptest! {
        #[test]
        fn all_ways_to_compare_agree(words: [u64; 3], tag: u16, copies in 0u32..1 << 12) {
            // Random words hardly ever hold the tag: put it into some lanes.
            let mut words = words;
            for slot in (0..12).filter(|slot| copies >> slot & 1 == 1) {
                let shift = slot % 4 * 16;
                let word = &mut words[slot as usize / 4];
                *word = *word & !(0xffff << shift) | u64::from(tag) << shift;
            }
            let expected = one_by_one(words, tag);
            prop_assert_eq!(matches(words, tag), expected);
            prop_assert_eq!(scalar::matches(words, tag) & ALL, expected);
        }
    }
}
