//! Arrays in reserved address space: as long as they may ever have to be, backed by memory only where they were touched.
//!
//! Under a model they are ordinary vectors of a few elements, because a model's atomics have to be constructed.

use std::io;

/// A type whose all-zero bytes are a valid value, the one that [`Zeroed::zeroed`] gives.
///
/// # Safety
/// Zero bytes must be a valid value, and it must not need dropping.
pub(crate) unsafe trait Zeroed: Sync {
    /// That value. Only models call it.
    #[cfg(any(tidelock_loom, tidelock_shuttle))]
    fn zeroed() -> Self;
}

#[cfg(not(any(tidelock_loom, tidelock_shuttle)))]
mod imp {
    use super::{Zeroed, io};
    use memmap2::{Advice, MmapOptions, MmapRaw};
    use std::marker::PhantomData;
    use std::ptr::NonNull;

    /// A huge page. Regions of at least this size ask for them and begin on such a boundary.
    const HUGE: usize = 2 << 20;

    /// `len` values of `T`, all zero at first.
    #[derive(Debug)]
    pub(crate) struct Region<T> {
        /// The first value, inside of `_memory`.
        start: NonNull<T>,
        len: usize,
        _memory: MmapRaw,
        _holds: PhantomData<T>,
    }

    // SAFETY: it owns its values as a Box<[T]> does, and gives out only shared references, for which T is Sync.
    unsafe impl<T: Zeroed> Sync for Region<T> {}
    // SAFETY: it owns its values, which need no dropping; a T that is Sync and never moved out may be reached from
    // whatever thread owns the region.
    unsafe impl<T: Zeroed> Send for Region<T> {}

    impl<T: Zeroed> Region<T> {
        /// Reserves room for `len` values. Takes no memory yet.
        pub(crate) fn reserve(len: usize) -> io::Result<Self> {
            let bytes = len.checked_mul(size_of::<T>()).ok_or(io::ErrorKind::OutOfMemory)?.max(1);
            let align = if bytes >= HUGE { HUGE } else { 1 };
            let mapped = bytes.checked_add(align - 1).ok_or(io::ErrorKind::OutOfMemory)?;
            let memory: MmapRaw = MmapOptions::new().len(mapped).no_reserve_swap().map_anon()?.into();
            if align == HUGE {
                // Huge pages are a wish: a kernel without them serves ordinary ones.
                let _ = memory.advise(Advice::HugePage);
            }
            let offset = memory.as_ptr().align_offset(align);
            // SAFETY: the offset is below `align`, so that `bytes` bytes from there on are mapped.
            let start = unsafe { memory.as_mut_ptr().add(offset) };
            let start = NonNull::new(start.cast::<T>()).expect("a mapping is never at address zero");
            debug_assert!(start.is_aligned(), "pages are aligned for every T");
            Ok(Self { start, len, _memory: memory, _holds: PhantomData })
        }

        pub(crate) fn len(&self) -> usize {
            self.len
        }

        /// Value number `index`.
        ///
        /// # Safety
        /// `index` is below [`len`](Self::len).
        #[inline(always)]
        pub(crate) unsafe fn get(&self, index: usize) -> &T {
            debug_assert!(index < self.len);
            // SAFETY: in bounds, as the caller promises.
            let value = unsafe { self.start.add(index) };
            // SAFETY: mapped, aligned, zeroed at first (which is valid: Zeroed), and only ever shared.
            unsafe { value.as_ref() }
        }
    }
}

#[cfg(any(tidelock_loom, tidelock_shuttle))]
mod imp {
    use super::{Zeroed, io};

    /// `len` values of `T`, all zero at first.
    #[derive(Debug)]
    pub(crate) struct Region<T>(Vec<T>);

    impl<T: Zeroed> Region<T> {
        pub(crate) fn reserve(len: usize) -> io::Result<Self> {
            Ok(Self((0..len).map(|_| T::zeroed()).collect()))
        }

        pub(crate) fn len(&self) -> usize {
            self.0.len()
        }

        /// Value number `index`.
        ///
        /// # Safety
        /// None under a model, which checks; the real one needs `index` below [`len`](Self::len).
        pub(crate) unsafe fn get(&self, index: usize) -> &T {
            &self.0[index]
        }
    }
}

pub(crate) use imp::Region;
