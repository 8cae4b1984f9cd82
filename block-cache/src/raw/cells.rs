//! The eight cells of a bucket of the ghost: finding one, and choosing which to overwrite.
//!
//! Both are done for every insertion that evicts, and one cell after the other they were a tenth of its instructions. So all are
//! compared at once, with SSE2 on x86-64, which always has it.

// V2: std's own, also under models.
use tidelock_sync::unmodelled::AtomicU32;

use super::region::Zeroed;

/// Cells of a bucket: half a cache line.
pub(super) const WAYS: usize = 8;

/// A cell: `[fingerprint 23 | evicted from main 1 | tick 8]`, 0 when empty. No fingerprint is 0.
const TICK_BITS: u32 = 8;
pub(super) const MAIN_BIT: u32 = 1 << TICK_BITS;
pub(super) const FINGERPRINT_SHIFT: u32 = TICK_BITS + 1;

/// A bucket.
#[derive(Debug)]
#[repr(C, align(32))]
pub(super) struct Cells(pub(super) [AtomicU32; WAYS]);

// SAFETY: atomic integers, for which zero bytes are the value 0.
unsafe impl Zeroed for Cells {
    #[cfg(any(tidelock_loom, tidelock_shuttle))]
    fn zeroed() -> Self {
        Self(std::array::from_fn(|_| AtomicU32::new(0)))
    }
}

impl Cells {
    /// The first cell that remembers `fingerprint`.
    #[inline(always)]
    pub(super) fn way_of(&self, fingerprint: u32) -> Option<usize> {
        #[cfg(all(target_arch = "x86_64", not(any(tidelock_loom, tidelock_shuttle, miri))))]
        return vector::way_of(self, fingerprint);
        #[cfg(any(not(target_arch = "x86_64"), tidelock_loom, tidelock_shuttle, miri))]
        return scalar::way_of(self, fingerprint);
    }

    /// The cell that is to remember `fingerprint`: its own, else an empty one, else the oldest; of several, the last.
    #[inline(always)]
    pub(super) fn way_for(&self, fingerprint: u32, tick: u8) -> usize {
        #[cfg(all(target_arch = "x86_64", not(any(tidelock_loom, tidelock_shuttle, miri))))]
        return vector::way_for(self, fingerprint, tick);
        #[cfg(any(not(target_arch = "x86_64"), tidelock_loom, tidelock_shuttle, miri))]
        return scalar::way_for(self, fingerprint, tick);
    }
}

/// A cell's rank, of which the greatest is overwritten: this if it is the block's own, this if it is empty, and its age; the last
/// bits say which cell it is. So few bits that the ranks of a bucket fit one register.
const OWN: i16 = 1 << 14;
const EMPTY: i16 = 1 << 13;
const AGE_SHIFT: u32 = WAYS.ilog2();

/// All at once.
#[cfg(all(target_arch = "x86_64", not(any(tidelock_loom, tidelock_shuttle, miri))))]
mod vector {
    use std::arch::asm;
    use std::arch::x86_64::{
        __m128i, _mm_and_si128, _mm_cmpeq_epi32, _mm_cvtsi128_si32, _mm_max_epi16, _mm_movemask_epi8,
        _mm_or_si128, _mm_packs_epi32, _mm_set1_epi16, _mm_set1_epi32, _mm_setr_epi16, _mm_setzero_si128,
        _mm_shuffle_epi32, _mm_shufflelo_epi16, _mm_slli_epi16, _mm_srli_epi32, _mm_sub_epi32,
    };

    use super::{AGE_SHIFT, Cells, EMPTY, FINGERPRINT_SHIFT, OWN, WAYS};

    #[inline(always)]
    pub(super) fn way_of(cells: &Cells, fingerprint: u32) -> Option<usize> {
        // SAFETY: SSE2 is part of x86-64.
        unsafe { first_way(load(cells), fingerprint) }
    }

    #[inline(always)]
    pub(super) fn way_for(cells: &Cells, fingerprint: u32, tick: u8) -> usize {
        // SAFETY: SSE2 is part of x86-64.
        unsafe { best_way(load(cells), fingerprint, tick) }
    }

    /// Which cells have that fingerprint: a mask of 16 bits each.
    #[inline]
    #[target_feature(enable = "sse2")]
    fn matches(cells: [__m128i; 2], fingerprint: u32) -> __m128i {
        let wanted = _mm_set1_epi32(fingerprint.cast_signed());
        each(cells, |cells| {
            _mm_cmpeq_epi32(_mm_srli_epi32::<{ FINGERPRINT_SHIFT.cast_signed() }>(cells), wanted)
        })
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn first_way(cells: [__m128i; 2], fingerprint: u32) -> Option<usize> {
        let matches = _mm_movemask_epi8(matches(cells, fingerprint));
        (matches != 0).then(|| matches.trailing_zeros() as usize / 2)
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn best_way(cells: [__m128i; 2], fingerprint: u32, tick: u8) -> usize {
        let is_own = matches(cells, fingerprint);
        let is_empty = each(cells, |cells| _mm_cmpeq_epi32(cells, _mm_setzero_si128()));
        let (now, byte) = (_mm_set1_epi32(tick.into()), _mm_set1_epi32(0xff));
        let age = each(cells, |cells| _mm_and_si128(_mm_sub_epi32(now, cells), byte));
        let flags = _mm_or_si128(
            _mm_and_si128(is_own, _mm_set1_epi16(OWN)),
            _mm_and_si128(is_empty, _mm_set1_epi16(EMPTY)),
        );
        let age = _mm_or_si128(
            _mm_slli_epi16::<{ AGE_SHIFT.cast_signed() }>(age),
            _mm_setr_epi16(0, 1, 2, 3, 4, 5, 6, 7),
        );
        let ranks = _mm_or_si128(flags, age);
        let ranks = _mm_max_epi16(ranks, _mm_shuffle_epi32::<0b11_10>(ranks));
        let ranks = _mm_max_epi16(ranks, _mm_shuffle_epi32::<0b01>(ranks));
        let ranks = _mm_max_epi16(ranks, _mm_shufflelo_epi16::<0b01>(ranks));
        _mm_cvtsi128_si32(ranks).cast_unsigned() as usize % WAYS
    }

    /// What `make` makes of the cells, 16 bits each.
    #[inline]
    #[target_feature(enable = "sse2")]
    fn each(cells: [__m128i; 2], make: impl Fn(__m128i) -> __m128i) -> __m128i {
        _mm_packs_epi32(make(cells[0]), make(cells[1]))
    }

    #[inline(always)]
    fn load(cells: &Cells) -> [__m128i; 2] {
        let (first, second);
        // SAFETY: reads the 32 bytes of `cells`, as relaxed atomic loads of each would.
        unsafe {
            asm!(
                "movdqu {first}, xmmword ptr [{cells}]",
                "movdqu {second}, xmmword ptr [{cells} + 16]",
                first = out(xmm_reg) first,
                second = lateout(xmm_reg) second,
                cells = in(reg) cells,
                options(readonly, nostack, preserves_flags),
            );
        }
        [first, second]
    }
}

/// One after the other.
#[cfg(any(test, any(not(target_arch = "x86_64"), tidelock_loom, tidelock_shuttle, miri)))]
mod scalar {
    use tidelock_sync::unmodelled::Ordering;

    use super::{AGE_SHIFT, Cells, EMPTY, FINGERPRINT_SHIFT, OWN, WAYS};

    pub(super) fn way_of(cells: &Cells, fingerprint: u32) -> Option<usize> {
        // Relaxed, here and below: a guess.
        cells.0.iter().position(|cell| cell.load(Ordering::Relaxed) >> FINGERPRINT_SHIFT == fingerprint)
    }

    pub(super) fn way_for(cells: &Cells, fingerprint: u32, tick: u8) -> usize {
        let rank = |(way, cell): (i16, u32)| {
            let own = if cell >> FINGERPRINT_SHIFT == fingerprint { OWN } else { 0 };
            let empty = if cell == 0 { EMPTY } else { 0 };
            own | empty | i16::from(tick.wrapping_sub(cell as u8)) << AGE_SHIFT | way
        };
        let loaded = cells.0.iter().map(|cell| cell.load(Ordering::Relaxed));
        (0..).zip(loaded).map(rank).max().map_or(0, |rank| rank as usize % WAYS)
    }
}

#[cfg(all(test, not(any(tidelock_loom, tidelock_shuttle))))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cell() -> impl Strategy<Value = u32> {
        prop_oneof![1 => Just(0), 2 => any::<u32>(), 2 => (0..4u32, any::<u8>()).prop_map(|(print, tick)| {
            (print << FINGERPRINT_SHIFT) | u32::from(tick)
        })]
    }

    proptest! {
        #[test]
        fn both_ways_to_search_a_bucket_agree(
            cells in prop::array::uniform8(cell()),
            fingerprint in prop_oneof![1..4u32, 1..1u32 << (32 - FINGERPRINT_SHIFT)],
            tick: u8,
        ) {
            let bucket = Cells(cells.map(AtomicU32::new));
            prop_assert_eq!(bucket.way_of(fingerprint), scalar::way_of(&bucket, fingerprint));
            prop_assert_eq!(bucket.way_for(fingerprint, tick), scalar::way_for(&bucket, fingerprint, tick));
        }
    }

    #[test]
    fn a_block_is_remembered_in_its_own_cell_then_in_an_empty_one_then_in_place_of_the_oldest() {
        let bucket = |cells: [u32; WAYS]| Cells(cells.map(AtomicU32::new));
        let of = |print: u32, tick: u32| (print << FINGERPRINT_SHIFT) | tick;
        let full = [of(1, 9), of(2, 3), of(3, 8), of(4, 250), of(5, 7), of(6, 9), of(7, 9), of(8, 9)];
        let (mut with_own, mut with_empty) = (full, full);
        with_own[6] = of(99, 9);
        with_own[2] = 0;
        with_empty[5] = 0;
        assert_eq!(bucket(with_own).way_for(99, 10), 6);
        assert_eq!(bucket(with_empty).way_for(99, 10), 5);
        assert_eq!(bucket(full).way_for(99, 10), 3, "ticks go round");
    }
}
