//! Comparing a frame's header with what a reader wants: is it readable, and is it that image?
//!
//! State, block number, seq, magic and heat lie side by side in the header. With vectors they are two loads, one comparison and
//! one branch instead of five each. What a processor keeps in flight is bounded by loads, branches and instructions, and a
//! cache that is larger than the processor's own lives from having many lookups in flight.

use tidelock_format::{BlockRef, Magic};

use super::frame::FrameHeader;

/// What a header says of the image that a reader wants, from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Identity {
    /// It is that one, readable, and as hot as can be: a hit has nothing to write.
    Hot,
    /// It is that one, readable, and was not used so often.
    Cooler,
    /// It is another, or not readable.
    Other,
}

/// What `header` says of the image `wanted` of kind `magic`.
///
/// **Ordering.** The state is read before seq and magic (F3), and whoever is told `Hot` or `Cooler` sees the bytes (the state's
/// Acquire).
#[inline(always)]
pub(super) fn compare(header: &FrameHeader, wanted: BlockRef, magic: Magic) -> Identity {
    #[cfg(all(target_arch = "x86_64", not(any(tidelock_loom, tidelock_shuttle, miri))))]
    return vector::compare(header, wanted, magic);
    #[cfg(any(not(target_arch = "x86_64"), tidelock_loom, tidelock_shuttle, miri))]
    return field_by_field(header, wanted, magic);
}

/// What all of `headers` say of the images that are wanted of them: [`Hot`](Identity::Hot) if each one is that, or else
/// [`Cooler`](Identity::Cooler) if none is [`Other`](Identity::Other).
///
/// No branch is in this before all headers were looked at, and the one that follows nearly always goes the same way. So a
/// processor goes on with what comes next while it waits for the headers.
///
/// **Ordering.** As for [`compare`].
#[inline(always)]
pub(super) fn compare_all<'a>(
    headers: impl Iterator<Item = (&'a FrameHeader, BlockRef)>,
    magic: Magic,
) -> Identity {
    #[cfg(all(target_arch = "x86_64", not(any(tidelock_loom, tidelock_shuttle, miri))))]
    return vector::compare_all(headers, magic);
    #[cfg(any(not(target_arch = "x86_64"), tidelock_loom, tidelock_shuttle, miri))]
    return one_by_one(headers, magic);
}

/// The same as it is meant.
#[cfg(any(test, any(not(target_arch = "x86_64"), tidelock_loom, tidelock_shuttle, miri)))]
#[inline(always)]
fn one_by_one<'a>(headers: impl Iterator<Item = (&'a FrameHeader, BlockRef)>, magic: Magic) -> Identity {
    let of_each = headers.map(|(header, wanted)| field_by_field(header, wanted, magic));
    of_each.max().unwrap_or(Identity::Hot)
}

/// The same as it is meant.
#[cfg(any(test, any(not(target_arch = "x86_64"), tidelock_loom, tidelock_shuttle, miri)))]
#[inline(always)]
fn field_by_field(header: &FrameHeader, wanted: BlockRef, magic: Magic) -> Identity {
    use crate::raw::frame::HEAT_MAX;
    use tidelock_sync::unmodelled::Ordering;

    let is_wanted = header.state.load().is_readable()
        && header.blkno() == wanted.blkno
        && header.seq() == wanted.seq
        && header.magic() == magic;
    // Relaxed: a hint.
    match is_wanted.then(|| header.heat.load(Ordering::Relaxed)) {
        None => Identity::Other,
        Some(HEAT_MAX) => Identity::Hot,
        Some(_) => Identity::Cooler,
    }
}

/// With SSE2, which every x86-64 has.
#[cfg(all(target_arch = "x86_64", not(any(tidelock_loom, tidelock_shuttle, miri))))]
mod vector {
    use std::arch::asm;
    use std::arch::x86_64::{
        __m128i, _mm_and_si128, _mm_cmpeq_epi8, _mm_cvtsi64_si128, _mm_movemask_epi8, _mm_or_si128,
        _mm_set_epi64x, _mm_setzero_si128, _mm_unpacklo_epi64,
    };
    use std::mem::offset_of;

    use tidelock_format::{BlockRef, Magic};

    use super::Identity;
    use crate::raw::frame::{FrameHeader, HEAT_MAX};
    use crate::raw::state::Word;

    const _: () = assert!(offset_of!(FrameHeader, heat) == 28, "heat is byte 12 of the second half");
    const _: () = assert!(align_of::<FrameHeader>() >= 16, "both halves are aligned");

    /// The heat in the second half.
    const HEAT_SHIFT: u32 = 32;

    #[inline(always)]
    pub(super) fn compare(header: &FrameHeader, wanted: BlockRef, magic: Magic) -> Identity {
        let halves = load(header);
        // SAFETY: SSE2 is part of x86-64.
        unsafe { with_sse2(halves, wanted, magic) }
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn with_sse2(halves: [__m128i; 2], wanted: BlockRef, magic: Magic) -> Identity {
        let pair = |low: u64, high: u64| {
            _mm_unpacklo_epi64(_mm_cvtsi64_si128(low.cast_signed()), _mm_cvtsi64_si128(high.cast_signed()))
        };
        let are_same = |first, second| _mm_movemask_epi8(_mm_and_si128(first, second)) == 0xffff;
        // Pins do not matter.
        let first = _mm_and_si128(halves[0], _mm_set_epi64x(-1, Word::READABLE_MASK.cast_signed()));
        let first = _mm_cmpeq_epi8(first, pair(Word::READABLE, wanted.blkno.0));
        let hot = u64::from(magic.0) | u64::from(HEAT_MAX) << HEAT_SHIFT;
        let second = _mm_cmpeq_epi8(halves[1], pair(wanted.seq.0, hot));
        if are_same(first, second) {
            return Identity::Hot;
        }
        let whatever_heat = _mm_set_epi64x(0xff << HEAT_SHIFT, 0);
        if are_same(first, _mm_or_si128(second, whatever_heat)) { Identity::Cooler } else { Identity::Other }
    }

    #[inline(always)]
    pub(super) fn compare_all<'a>(
        headers: impl Iterator<Item = (&'a FrameHeader, BlockRef)>,
        magic: Magic,
    ) -> Identity {
        // SAFETY: SSE2 is part of x86-64.
        unsafe { all_with_sse2(headers, magic) }
    }

    /// Collects every bit in which any header differs, and looks at the end which of them matter.
    #[inline]
    #[target_feature(enable = "sse2")]
    fn all_with_sse2<'a>(
        headers: impl Iterator<Item = (&'a FrameHeader, BlockRef)>,
        magic: Magic,
    ) -> Identity {
        let low = |value: u64| _mm_cvtsi64_si128(value.cast_signed());
        let hot = u64::from(magic.0) | u64::from(HEAT_MAX) << HEAT_SHIFT;
        let (readable, hot) = (low(Word::READABLE), low(hot));
        let mut differing = [_mm_setzero_si128(); 2];
        for (header, wanted) in headers {
            let first = _mm_unpacklo_epi64(readable, low(wanted.blkno.0));
            let second = _mm_unpacklo_epi64(low(wanted.seq.0), hot);
            let [first, second] = differences(header, first, second);
            differing = [_mm_or_si128(differing[0], first), _mm_or_si128(differing[1], second)];
        }
        let are_same = |first, second| {
            let is_same = _mm_cmpeq_epi8(_mm_or_si128(first, second), _mm_setzero_si128());
            _mm_movemask_epi8(is_same) == 0xffff
        };
        // Pins do not matter.
        let first = _mm_and_si128(differing[0], _mm_set_epi64x(-1, Word::READABLE_MASK.cast_signed()));
        if are_same(first, differing[1]) {
            return Identity::Hot;
        }
        let but_heat = _mm_and_si128(differing[1], _mm_set_epi64x(!(0xff << HEAT_SHIFT), -1));
        if are_same(first, but_heat) { Identity::Cooler } else { Identity::Other }
    }

    /// In which bits [the halves](load) differ from `first` and `second`: comparing while loading takes two instructions fewer.
    #[inline(always)]
    fn differences(header: &FrameHeader, mut first: __m128i, mut second: __m128i) -> [__m128i; 2] {
        // SAFETY: as in `load`; a header is aligned to more than 16 bytes.
        unsafe {
            asm!(
                "pxor {first}, xmmword ptr [{header}]",
                "pxor {second}, xmmword ptr [{header} + 16]",
                first = inout(xmm_reg) first,
                second = inout(xmm_reg) second,
                header = in(reg) header,
                options(nostack, preserves_flags),
            );
        }
        [first, second]
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
    use crate::raw::frame::HEAT_MAX;
    use crate::raw::region::Region;
    use crate::raw::state::Phase;

    /// A value near `wanted`: the same, one with a bit changed, or any.
    fn near(wanted: u64) -> impl Strategy<Value = u64> {
        prop_oneof![3 => Just(wanted), 2 => (0..64u32).prop_map(move |bit| wanted ^ 1 << bit), 1 => any::<u64>()]
    }

    /// One header, of the image that is wanted, as hot as can be.
    fn hot_header() -> Region<FrameHeader> {
        let headers = Region::<FrameHeader>::reserve(1).unwrap();
        // SAFETY: there is one.
        let header = unsafe { headers.get(0) };
        header.set_blkno(WANTED.blkno);
        header.set_image(WANTED.seq, MAGIC);
        header.state.claim(crate::raw::state::Word::present(Phase::Clean, 0));
        header.heat.store(HEAT_MAX, tidelock_sync::unmodelled::Ordering::Relaxed);
        headers
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
            heat in prop_oneof![Just(HEAT_MAX), 0..HEAT_MAX],
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
            let expected = match is_same && phase == Phase::Clean && !is_hidden {
                true if heat == HEAT_MAX => Identity::Hot,
                true => Identity::Cooler,
                false => Identity::Other,
            };
            prop_assert_eq!(field_by_field(header, WANTED, MAGIC), expected);
            prop_assert_eq!(compare(header, WANTED, MAGIC), expected);
            prop_assert_eq!(compare_all([(header, WANTED)].into_iter(), MAGIC), expected);
            // Beside one that is hot, on either side.
            let hot = hot_header();
            // SAFETY: there is one.
            let hot = unsafe { hot.get(0) };
            for (before, after) in [(header, hot), (hot, header)] {
                let both = [(before, WANTED), (after, WANTED)];
                prop_assert_eq!(compare_all(both.into_iter(), MAGIC), expected);
                prop_assert_eq!(one_by_one(both.into_iter(), MAGIC), expected);
            }
        }
    }
}
