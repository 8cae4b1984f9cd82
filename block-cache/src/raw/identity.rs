//! Comparing a frame's header with what a reader wants: is it readable, and is it that image?
//!
//! State, block number, seq and magic lie side by side in the header. With vectors they are two loads, one comparison and one
//! branch instead of four each. What a processor keeps in flight is bounded by loads and branches, and a cache that is
//! larger than the processor's own lives from having many lookups in flight.

use tidelock_format::{BlockRef, Magic};

use super::frame::FrameHeader;

/// Whether `header` is that of a readable frame that holds the image `wanted` of kind `magic`.
///
/// **Ordering.** The state is read before seq and magic (F3), and whoever is told yes sees the bytes (the state's Acquire).
#[inline(always)]
pub(super) fn is_readable_image(header: &FrameHeader, wanted: BlockRef, magic: Magic) -> bool {
    #[cfg(all(target_arch = "x86_64", not(any(tidelock_loom, tidelock_shuttle, miri))))]
    return vector::is_readable_image(header, wanted, magic);
    #[cfg(any(not(target_arch = "x86_64"), tidelock_loom, tidelock_shuttle, miri))]
    return field_by_field(header, wanted, magic);
}

/// The same as it is meant.
#[cfg(any(test, any(not(target_arch = "x86_64"), tidelock_loom, tidelock_shuttle, miri)))]
#[inline(always)]
fn field_by_field(header: &FrameHeader, wanted: BlockRef, magic: Magic) -> bool {
    header.state.load().is_readable()
        && header.blkno() == wanted.blkno
        && header.seq() == wanted.seq
        && header.magic() == magic
}

/// With SSE2, which every x86-64 has.
#[cfg(all(target_arch = "x86_64", not(any(tidelock_loom, tidelock_shuttle, miri))))]
mod vector {
    use std::arch::asm;
    use std::arch::x86_64::{
        __m128i, _mm_and_si128, _mm_cmpeq_epi8, _mm_cvtsi64_si128, _mm_movemask_epi8, _mm_set_epi64x,
        _mm_unpacklo_epi64,
    };

    use tidelock_format::{BlockRef, Magic};

    use crate::raw::frame::FrameHeader;
    use crate::raw::state::Word;

    #[inline(always)]
    pub(super) fn is_readable_image(header: &FrameHeader, wanted: BlockRef, magic: Magic) -> bool {
        let halves = load(header);
        // SAFETY: SSE2 is part of x86-64.
        unsafe { with_sse2(halves, wanted, magic) }
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn with_sse2(halves: [__m128i; 2], wanted: BlockRef, magic: Magic) -> bool {
        let pair = |low: u64, high: u64| {
            _mm_unpacklo_epi64(_mm_cvtsi64_si128(low.cast_signed()), _mm_cvtsi64_si128(high.cast_signed()))
        };
        // Pins, and what follows the magic, do not matter.
        let first = _mm_and_si128(halves[0], _mm_set_epi64x(-1, Word::READABLE_MASK.cast_signed()));
        let second = _mm_and_si128(halves[1], _mm_set_epi64x(u32::MAX.into(), -1));
        let first = _mm_cmpeq_epi8(first, pair(Word::READABLE, wanted.blkno.0));
        let second = _mm_cmpeq_epi8(second, pair(wanted.seq.0, magic.0.into()));
        _mm_movemask_epi8(_mm_and_si128(first, second)) == 0xffff
    }

    /// State and block number, and then seq and magic with the heat.
    #[inline(always)]
    fn load(header: &FrameHeader) -> [__m128i; 2] {
        let (first, second);
        // SAFETY: reads the first 32 bytes of `header`, in four parts of eight bytes at the least, as atomic loads would. Loads
        // stay in order on this architecture: the state's part comes before seq and magic (F3); the block number does not
        // change under the caller's guard (F2). That the compiler may not move what comes after to before is the Acquire.
        unsafe {
            asm!(
                "movdqu {first}, xmmword ptr [{header}]",
                "movdqu {second}, xmmword ptr [{header} + 16]",
                first = out(xmm_reg) first,
                second = lateout(xmm_reg) second,
                header = in(reg) header,
                options(nostack, preserves_flags),
            );
        }
        [first, second]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tidelock_format::{BlockNo, Seq};

    use super::*;
    use crate::raw::region::Region;
    use crate::raw::state::Phase;

    /// A value near `wanted`: the same, one with a bit changed, or any.
    fn near(wanted: u64) -> impl Strategy<Value = u64> {
        prop_oneof![3 => Just(wanted), 2 => (0..64u32).prop_map(move |bit| wanted ^ 1 << bit), 1 => any::<u64>()]
    }

    const WANTED: BlockRef = BlockRef::new(BlockNo(0x0123_4567_89ab_cdef), Seq(0xfedc_ba98_7654_3210));
    const MAGIC: Magic = Magic(0x5449_4445);

    proptest! {
        #[test]
        fn all_ways_to_compare_agree(
            blkno in near(WANTED.blkno.0),
            seq in near(WANTED.seq.0),
            magic in near(MAGIC.0.into()),
            phase in prop_oneof![2 => Just(Phase::Clean), 1 => Just(Phase::Loaded), 1 => Just(Phase::Dirty)],
            pins in prop_oneof![Just(0), Just(1), 0..1u64 << 31],
            is_hidden: bool,
            heat: u8,
        ) {
            let headers = Region::<FrameHeader>::reserve(1).unwrap();
            // SAFETY: there is one.
            let header = unsafe { headers.get(0) };
            header.set_blkno(BlockNo(blkno));
            header.set_image(Seq(seq), Magic(magic as u32));
            header.state.claim(crate::raw::state::Word::present(phase, pins));
            header.heat.store(heat, tidelock_sync::unmodelled::Ordering::Relaxed);
            if is_hidden {
                prop_assert!(header.state.hide());
            }
            let is_same = blkno == WANTED.blkno.0 && seq == WANTED.seq.0 && magic as u32 == MAGIC.0;
            let expected = is_same && phase == Phase::Clean && !is_hidden;
            prop_assert_eq!(field_by_field(header, WANTED, MAGIC), expected);
            prop_assert_eq!(is_readable_image(header, WANTED, MAGIC), expected);
        }
    }
}
