//! The bytes of all frames: one anonymous mapping, page-aligned for direct I/O, touched only as far as frames are used.
//!
//! Under a model each image is a cell that the model watches: a reader that could see its bytes change is a failed model.
//! An access counts at the moment when it asks for the bytes, so a model asks again before it lets go of them.

#[cfg(not(any(tidelock_loom, tidelock_shuttle)))]
mod imp {
    use std::io;
    use std::ptr::NonNull;

    use memmap2::{Advice, MmapOptions, MmapRaw, UncheckedAdvice};
    use tidelock_format::BlockSize;
    // A hint: every access is Relaxed.
    use tidelock_sync::unmodelled::{AtomicBool, Ordering};

    /// A huge page.
    const HUGE: usize = 2 << 20;
    /// Images of at least this size lie in huge pages. The device then gets each as one piece of memory instead of many
    /// pages, which the kernel need not look up and pin one by one: of the processor time of a 64 KiB read that was a fifth.
    const LARGE: usize = 16 << 10;

    /// `count` images of one size.
    #[derive(Debug)]
    pub(crate) struct Arena {
        memory: MmapRaw,
        /// Where the first image begins.
        start: usize,
        size: BlockSize,
        count: usize,
        /// Whether huge pages were asked for, and whether they still are.
        was_huge: bool,
        is_huge: AtomicBool,
    }

    impl Arena {
        pub(crate) fn reserve(count: usize, size: BlockSize) -> io::Result<Self> {
            let bytes = count.checked_mul(size.bytes()).ok_or(io::ErrorKind::OutOfMemory)?.max(1);
            let is_huge = size.bytes() >= LARGE && bytes >= HUGE;
            let align = if is_huge { HUGE } else { 1 };
            let mapped = bytes.checked_add(align - 1).ok_or(io::ErrorKind::OutOfMemory)?;
            let memory: MmapRaw = MmapOptions::new().len(mapped).no_reserve_swap().map_anon()?.into();
            if is_huge {
                // A wish: a kernel without huge pages serves ordinary ones.
                let _ = memory.advise(Advice::HugePage);
            }
            let start = memory.as_ptr().align_offset(align);
            Ok(Self { memory, start, size, count, was_huge: is_huge, is_huge: AtomicBool::new(is_huge) })
        }

        pub(crate) fn size(&self) -> BlockSize {
            self.size
        }

        /// The first byte of image `index`.
        #[inline(always)]
        pub(crate) fn address(&self, index: usize) -> NonNull<u8> {
            debug_assert!(index < self.count, "F1");
            let offset = self.start + (index << self.size.shift());
            // SAFETY: F1: the offset is below the mapping's length.
            let address = unsafe { self.memory.as_mut_ptr().add(offset) };
            // SAFETY: a mapping is never at address zero.
            unsafe { NonNull::new_unchecked(address) }
        }

        #[inline(always)]
        pub(crate) fn image(&self, index: usize) -> &[u8] {
            // SAFETY: F1 and F4: mapped, zeroed at first, and not written while the caller may read it.
            unsafe { std::slice::from_raw_parts(self.address(index).as_ptr(), self.size.bytes()) }
        }

        /// # Safety
        /// Nobody else reads or writes these bytes while the borrow lasts.
        #[expect(clippy::mut_from_ref, reason = "the image's owner is exclusive, the arena is shared")]
        pub(crate) unsafe fn image_mut(&self, index: usize) -> &mut [u8] {
            // SAFETY: F1, and the caller's promise.
            unsafe { std::slice::from_raw_parts_mut(self.address(index).as_ptr(), self.size.bytes()) }
        }

        pub(crate) fn release(&self, index: usize) {
            let offset = self.start + (index << self.size.shift());
            self.give_up_huge_pages(offset);
            // SAFETY: the image has an owner and no reader; it is zero from now on, which is a valid image.
            let advised = unsafe {
                self.memory.unchecked_advise_range(UncheckedAdvice::DontNeed, offset, self.size.bytes())
            };
            // The system may refuse (locked pages): then the memory stays, and the frame is as good as before.
            drop(advised);
        }

        /// Has the memory of an image come back at once. Of a huge page nothing does until the kernel has split it, which it
        /// puts off until memory is short, and until then whoever looks at a cgroup sees nothing freed. Calling a part of it
        /// free splits it now. New memory comes in ordinary pages from then on: else the kernel would in time put huge pages
        /// where images were given up.
        fn give_up_huge_pages(&self, offset: usize) {
            if !self.was_huge {
                return;
            }
            // Relaxed: see the import.
            if self.is_huge.swap(false, Ordering::Relaxed) {
                let _ = self.memory.advise(Advice::NoHugePage);
            }
            // SAFETY: as in release(). A wish, like the huge pages.
            let _ = unsafe {
                self.memory.unchecked_advise_range(UncheckedAdvice::Free, offset, self.size.bytes())
            };
        }
    }
}

#[cfg(any(tidelock_loom, tidelock_shuttle))]
mod imp {
    use std::io;
    use std::ptr::NonNull;

    use tidelock_dev::AlignedBuffer;
    use tidelock_format::BlockSize;
    use tidelock_sync::UnsafeCell;

    /// `count` images, each in a cell of its own.
    #[derive(Debug)]
    pub(crate) struct Arena {
        images: Vec<UnsafeCell<AlignedBuffer>>,
        size: BlockSize,
    }

    // SAFETY: F4 says who may access which image when, and the model checks it.
    unsafe impl Sync for Arena {}
    // SAFETY: bytes belong to no thread.
    unsafe impl Send for Arena {}

    impl Arena {
        pub(crate) fn reserve(count: usize, size: BlockSize) -> io::Result<Self> {
            let image = || UnsafeCell::new(AlignedBuffer::zeroed(size.bytes(), size.bytes()));
            Ok(Self { images: (0..count).map(|_| image()).collect(), size })
        }

        pub(crate) fn size(&self) -> BlockSize {
            self.size
        }

        pub(crate) fn address(&self, index: usize) -> NonNull<u8> {
            // SAFETY: F4; the model checks that nobody accesses the image at the time of this access.
            self.images[index].with_mut(|image| unsafe { (*image).address() })
        }

        pub(crate) fn image(&self, index: usize) -> &[u8] {
            // SAFETY: F4; the model checks that no write happens at the time of this access.
            self.images[index].with(|image| unsafe { &**image })
        }

        /// # Safety
        /// Nobody else reads or writes these bytes while the borrow lasts.
        #[expect(clippy::mut_from_ref, reason = "the image's owner is exclusive, the arena is shared")]
        pub(crate) unsafe fn image_mut(&self, index: usize) -> &mut [u8] {
            // SAFETY: the caller's promise, checked by the model.
            self.images[index].with_mut(|image| unsafe { &mut **image })
        }

        pub(crate) fn release(&self, _index: usize) {}
    }
}

pub(crate) use imp::Arena;
