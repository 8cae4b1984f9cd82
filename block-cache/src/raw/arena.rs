//! The bytes of all frames: one anonymous mapping, page-aligned for direct I/O, touched only as far as frames are used.
//!
//! Under a model each image is a cell that the model watches: a reader that could see its bytes change is a failed model.
//! An access counts at the moment when it asks for the bytes, so a model asks again before it lets go of them.

#[cfg(not(any(tidelock_loom, tidelock_shuttle)))]
mod imp {
    use std::io;
    use std::ptr::NonNull;

    use tidelock_format::BlockSize;
    // A hint: every access is Relaxed.
    use tidelock_sync::unmodelled::{AtomicBool, Ordering};

    use crate::raw::mapping::Mapping;
    use crate::raw::pages::Pages;

    /// `count` images of one size.
    ///
    /// In huge pages the device gets each as one piece of memory: the kernel need not look up and pin page after page, which was a
    /// fifth of the processor time of a 64 KiB read, and whoever comes to an image that was not used lately finds its
    /// place in memory sooner, which was about one of the 25 µs of a lone 4 KiB read.
    #[derive(Debug)]
    pub(crate) struct Arena {
        mapping: Mapping,
        size: BlockSize,
        count: usize,
        /// Whether new memory still comes in huge pages.
        is_huge: AtomicBool,
    }

    impl Arena {
        /// In huge pages from the beginning, if `pages` says so.
        pub(crate) fn reserve(count: usize, size: BlockSize, pages: Pages) -> io::Result<Self> {
            let bytes = count.checked_mul(size.bytes()).ok_or(io::ErrorKind::OutOfMemory)?;
            let mapping = Mapping::reserve(bytes, pages)?;
            let is_huge = AtomicBool::new(mapping.pages() == Pages::Huge);
            Ok(Self { mapping, size, count, is_huge })
        }

        pub(crate) fn size(&self) -> BlockSize {
            self.size
        }

        /// The first byte of image `index`.
        #[inline(always)]
        pub(crate) fn address(&self, index: usize) -> NonNull<u8> {
            debug_assert!(index < self.count, "F1");
            // SAFETY: F1: the offset is below the mapping's length.
            unsafe { self.mapping.start().add(self.offset(index)) }
        }

        #[inline(always)]
        fn offset(&self, index: usize) -> usize {
            index << self.size.shift()
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

        /// Gives back the memory of `count` images from `index` on.
        pub(crate) fn release(&self, index: usize, count: usize) {
            let (offset, bytes) = (self.offset(index), count << self.size.shift());
            if self.mapping.pages() == Pages::Huge {
                self.split_huge_pages(offset, bytes);
            }
            // SAFETY: the images have an owner and no reader; zero is a valid image.
            unsafe { self.mapping.release(offset, bytes) };
        }

        /// Has the memory of these bytes come back at once. Of a part of a huge page nothing does until the kernel has split it,
        /// which it puts off until memory is short, and until then whoever looks at a cgroup sees nothing freed. Calling
        /// that part free splits it now. New memory comes in ordinary pages from then on: else the kernel would in time put
        /// huge pages where images were given up.
        fn split_huge_pages(&self, offset: usize, bytes: usize) {
            // Relaxed: see the import.
            if self.is_huge.swap(false, Ordering::Relaxed) {
                self.mapping.give_up_huge_pages();
            }
            // SAFETY: as in release().
            unsafe { self.mapping.offer(offset, bytes) };
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

    use crate::raw::pages::Pages;

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
        pub(crate) fn reserve(count: usize, size: BlockSize, _pages: Pages) -> io::Result<Self> {
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

        pub(crate) fn release(&self, _index: usize, _count: usize) {}
    }
}

pub(crate) use imp::Arena;
