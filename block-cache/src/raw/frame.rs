//! Frames: the memory that blocks are cached in, and a 64-byte header for each.
//!
//! Headers and images are two arrays indexed by the same [`FrameNo`]. Frames are numbered from 1 on: header 0 is *nobody's*,
//! never claimed, so that a lookup can take what it finds in the table for a frame's number and need not first ask whether
//! there is one. A header has a cache line to itself: its state word is written by every counted pin, and two headers in one
//! line would make two unrelated blocks slow each other down.
//!
//! - **F1** A [`FrameNo`] is one of the frames, and an [`Entry`] one of them or nobody. Only this file and the pool make
//!   them, from the number of frames. Nobody's header stays `Free`, and so not readable.
//! - **F2** `blkno` changes only while its frame is owned (between leaving the pool and being claimed). A lookup under a
//!   guard therefore reads a stable one.
//! - **F3** `seq` and `magic` are written before the phase becomes `Clean` or `Dirty`, and read after seeing that it is.
//! - **F4** The bytes are written by the device while the frame is `Filling`, by the owner before it is claimed, by the
//!   writer while it is `Dirty`; never while it is `Loaded` or `Clean`.

use std::io;
use std::num::NonZeroU32;
use std::ptr::NonNull;
use tidelock_sync::unmodelled::AtomicU8;

use tidelock_format::{BlockNo, BlockRef, BlockSize, Magic, Seq};
use tidelock_sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::arena::Arena;
use super::identity::{self, Identity};
use super::pages::Pages;
use super::region::{Region, Values, Zeroed};
use super::state::State;

/// The number of a frame, from 1 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct FrameNo(NonZeroU32);

impl FrameNo {
    /// How many frames come before it.
    #[inline(always)]
    pub(crate) const fn index(self) -> usize {
        self.0.get() as usize - 1
    }

    /// As the table keeps it.
    #[inline(always)]
    pub(crate) const fn entry(self) -> Entry {
        Entry(self.0.get())
    }
}

/// What tables and slots hold: the number of a frame, or 0 for nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry(u32);

impl Entry {
    pub(crate) const NOBODY: Self = Self(0);

    /// What was stored as [`raw`](Self::raw).
    #[inline(always)]
    pub(crate) const fn from_raw(raw: u32) -> Self {
        Self(raw)
    }

    #[inline(always)]
    pub(crate) const fn raw(self) -> u32 {
        self.0
    }

    /// The frame, if there is one.
    #[inline(always)]
    pub(crate) fn frame(self) -> Option<FrameNo> {
        NonZeroU32::new(self.0).map(FrameNo)
    }

    /// The frame, for a caller who has seen that its header is not nobody's.
    ///
    /// # Safety
    /// There is one.
    #[inline(always)]
    pub(crate) unsafe fn known_frame(self) -> FrameNo {
        debug_assert!(self != Self::NOBODY, "F1: nobody's header is not readable");
        // SAFETY: the caller's promise.
        FrameNo(unsafe { NonZeroU32::new_unchecked(self.0) })
    }
}

/// What the cache knows of the block in a frame.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct FrameHeader {
    pub(crate) state: State,
    blkno: AtomicU64,
    seq: AtomicU64,
    magic: AtomicU32,
    /// How often it was used lately; saturates, so that a hot block's hits stop writing.
    pub(crate) heat: AtomicU8,
    /// Zero for ever: compared along with the rest.
    _zero: [u8; 3],
}

const _: () = assert!(cfg!(any(tidelock_loom, tidelock_shuttle)) || size_of::<FrameHeader>() == 64);

// SAFETY: all fields are atomic integers, for which zero bytes are the value 0.
unsafe impl Zeroed for FrameHeader {
    #[cfg(any(tidelock_loom, tidelock_shuttle))]
    fn zeroed() -> Self {
        Self {
            state: State::new(),
            blkno: AtomicU64::new(0),
            seq: AtomicU64::new(0),
            magic: AtomicU32::new(0),
            heat: AtomicU8::new(0),
            _zero: [0; 3],
        }
    }
}

/// The greatest heat: hits beyond it write nothing.
pub(crate) const HEAT_MAX: u8 = 3;

impl FrameHeader {
    #[inline(always)]
    pub(crate) fn blkno(&self) -> BlockNo {
        // Relaxed: F2, ordered by the table's Acquire or by the caller's pin.
        BlockNo(self.blkno.load(Ordering::Relaxed))
    }

    #[inline(always)]
    pub(crate) fn seq(&self) -> Seq {
        // Relaxed: F3, ordered by the Acquire of the state word.
        Seq(self.seq.load(Ordering::Relaxed))
    }

    #[inline(always)]
    pub(crate) fn magic(&self) -> Magic {
        // Relaxed: F3, as above.
        Magic(self.magic.load(Ordering::Relaxed))
    }

    #[inline(always)]
    pub(crate) fn block_ref(&self) -> BlockRef {
        BlockRef::new(self.blkno(), self.seq())
    }

    /// Whether lookups can find it, and it holds the image `wanted` of kind `magic`, verified. Marks it used if so, which writes
    /// only if that changes something.
    #[inline(always)]
    pub(crate) fn accept(&self, wanted: BlockRef, magic: Magic) -> bool {
        match identity::compare(self, wanted, magic) {
            Identity::Hot => true,
            Identity::Cooler => {
                self.warm();
                true
            }
            Identity::Other => false,
        }
    }

    /// Names the block. The caller owns the frame (F2).
    pub(crate) fn set_blkno(&self, blkno: BlockNo) {
        // Relaxed: published by the claim.
        self.blkno.store(blkno.0, Ordering::Relaxed);
    }

    /// Names the image (F3). Two who verify one image at a time store the same.
    pub(crate) fn set_image(&self, seq: Seq, magic: Magic) {
        // Relaxed, both: published by the change of phase that follows.
        self.seq.store(seq.0, Ordering::Relaxed);
        self.magic.store(magic.0, Ordering::Relaxed);
    }

    /// Marks it used. Writes only if that changes something.
    #[inline(always)]
    pub(crate) fn warm(&self) {
        // Relaxed, both: a hint; two hits at a time may count as one. Looked at once more: others may have warmed it since.
        let heat = self.heat.load(Ordering::Relaxed);
        if heat < HEAT_MAX {
            self.heat.store(heat + 1, Ordering::Relaxed);
        }
    }

    /// The same without a branch, for a header that may still be on its way from memory: whether the heat changes is hard to
    /// foresee, and what a processor has begun after a wrong guess is lost. What has nothing to change is written to `nowhere`.
    #[inline(always)]
    pub(crate) fn warm_unseen(&self, nowhere: &AtomicU8) {
        // Relaxed, both: as in warm().
        let heat = self.heat.load(Ordering::Relaxed);
        let place = std::hint::select_unpredictable(heat < HEAT_MAX, &self.heat, nowhere);
        place.store(heat.wrapping_add(1), Ordering::Relaxed);
    }
}

/// The headers of a cache's frames.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Headers<'a>(Values<'a, FrameHeader>);

impl<'a> Headers<'a> {
    /// The header of a frame, or nobody's.
    #[inline(always)]
    pub(crate) fn at(self, entry: Entry) -> &'a FrameHeader {
        // SAFETY: F1.
        unsafe { self.0.get(entry.raw() as usize) }
    }

    /// Whose header this is.
    ///
    /// # Safety
    /// It is one of these, and not nobody's.
    #[inline(always)]
    pub(crate) unsafe fn frame_of(self, header: &FrameHeader) -> FrameNo {
        let entry = Entry::from_raw(self.0.index_of(header) as u32);
        // SAFETY: the caller's promise.
        unsafe { entry.known_frame() }
    }
}

/// All frames of a cache.
#[derive(Debug)]
pub(crate) struct Frames {
    headers: Region<FrameHeader>,
    arena: Arena,
}

impl Frames {
    /// Reserves `count` frames of `size`, whose images come in `pages`. Takes no memory yet.
    pub(crate) fn reserve(count: usize, size: BlockSize, pages: Pages) -> io::Result<Self> {
        assert!(
            count < u32::MAX as usize - 1,
            "F1: a frame number has 32 bits, and two of its values mean no frame"
        );
        // One header more: nobody's.
        Ok(Self { headers: Region::reserve(count + 1)?, arena: Arena::reserve(count, size, pages)? })
    }

    pub(crate) fn count(&self) -> usize {
        self.headers.len() - 1
    }

    pub(crate) fn size(&self) -> BlockSize {
        self.arena.size()
    }

    /// The frame that `index` others come before.
    ///
    /// # Panics
    /// F1, if there is no such frame.
    pub(crate) fn number(&self, index: usize) -> FrameNo {
        assert!(index < self.count(), "F1: frame {index} of {}", self.count());
        FrameNo(NonZeroU32::MIN.saturating_add(index as u32))
    }

    #[inline(always)]
    pub(crate) fn header(&self, frame: FrameNo) -> &FrameHeader {
        self.header_at(frame.entry())
    }

    /// The header of a frame, or nobody's.
    #[inline(always)]
    pub(crate) fn header_at(&self, entry: Entry) -> &FrameHeader {
        self.headers().at(entry)
    }

    /// All headers, for a loop.
    #[inline(always)]
    pub(crate) fn headers(&self) -> Headers<'_> {
        Headers(self.headers.values())
    }

    /// The bytes of a frame that the caller holds (by a pin, a guard or ownership), for reading.
    #[inline(always)]
    pub(crate) fn image(&self, frame: FrameNo) -> &[u8] {
        self.arena.image(frame.index())
    }

    /// The bytes of a frame, for writing by its owner or its writer (F4).
    ///
    /// # Safety
    /// F4: nobody else reads or writes them while the borrow lasts.
    #[expect(clippy::mut_from_ref, reason = "the frame's owner is exclusive, the array of frames is shared")]
    pub(crate) unsafe fn image_mut(&self, frame: FrameNo) -> &mut [u8] {
        // SAFETY: the caller's promise.
        unsafe { self.arena.image_mut(frame.index()) }
    }

    /// Where the bytes are, for a device.
    pub(crate) fn address(&self, frame: FrameNo) -> NonNull<u8> {
        self.arena.address(frame.index())
    }

    /// Gives the memory behind the bytes of owned frames, which are in order, back to the system. They are zero when next
    /// touched.
    pub(crate) fn release(&self, frames: &[FrameNo]) {
        debug_assert!(frames.is_sorted());
        for neighbours in frames.chunk_by(|frame, next| frame.index() + 1 == next.index()) {
            self.arena.release(neighbours[0].index(), neighbours.len());
        }
    }
}
