//! Reserved address space: anonymous, all zero, backed by memory only where it was touched.

use std::io;
use std::ptr::NonNull;

use memmap2::{Advice, MmapOptions, MmapRaw, UncheckedAdvice};

use super::pages::Pages;

/// A huge page.
const HUGE: usize = 2 << 20;

/// Some bytes of address space, aligned to a page, and to a huge page where those were asked for.
#[derive(Debug)]
pub(crate) struct Mapping {
    memory: MmapRaw,
    /// Where the aligned part begins, which is the part that counts.
    start: usize,
    pages: Pages,
}

impl Mapping {
    /// Reserves `bytes` bytes. Takes no memory yet.
    pub(crate) fn reserve(bytes: usize, pages: Pages) -> io::Result<Self> {
        let bytes = bytes.max(1);
        let pages = if bytes >= HUGE { pages } else { Pages::Small };
        let align = if pages == Pages::Huge { HUGE } else { 1 };
        let mapped = bytes.checked_add(align - 1).ok_or(io::ErrorKind::OutOfMemory)?;
        let memory: MmapRaw = MmapOptions::new().len(mapped).no_reserve_swap().map_anon()?.into();
        if pages == Pages::Huge {
            let _ = memory.advise(Advice::HugePage);
        }
        let start = memory.as_ptr().align_offset(align);
        Ok(Self { memory, start, pages })
    }

    /// What the memory came in at first.
    pub(crate) fn pages(&self) -> Pages {
        self.pages
    }

    /// The first byte.
    #[inline(always)]
    pub(crate) fn start(&self) -> NonNull<u8> {
        // SAFETY: below the alignment, by which the mapping is longer than what was asked for.
        let start = unsafe { self.memory.as_mut_ptr().add(self.start) };
        // SAFETY: a mapping is never at address zero.
        unsafe { NonNull::new_unchecked(start) }
    }

    /// Gives back the memory of `bytes` bytes from `offset` on, which are zero from then on.
    ///
    /// The system may refuse (locked pages): then the memory stays, with the bytes as they were or zero.
    ///
    /// # Safety
    /// Nobody reads or writes these bytes meanwhile, and zero is a value that they may have.
    pub(crate) unsafe fn release(&self, offset: usize, bytes: usize) {
        // SAFETY: the caller's promise.
        let _ = unsafe { self.advise(UncheckedAdvice::DontNeed, offset, bytes) };
    }

    /// Tells the system that the memory of `bytes` bytes from `offset` on may be taken at any time.
    ///
    /// # Safety
    /// As for [`release`](Self::release).
    pub(crate) unsafe fn offer(&self, offset: usize, bytes: usize) {
        // SAFETY: the caller's promise.
        let _ = unsafe { self.advise(UncheckedAdvice::Free, offset, bytes) };
    }

    /// From now on memory comes in ordinary pages.
    pub(crate) fn give_up_huge_pages(&self) {
        let _ = self.memory.advise(Advice::NoHugePage);
    }

    /// # Safety
    /// As for [`release`](Self::release).
    unsafe fn advise(&self, advice: UncheckedAdvice, offset: usize, bytes: usize) -> io::Result<()> {
        // SAFETY: the caller's promise.
        unsafe { self.memory.unchecked_advise_range(advice, self.start + offset, bytes) }
    }
}
