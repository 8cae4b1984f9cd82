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
    use crate::raw::mapping::Mapping;
    use crate::raw::pages::Pages;
    use std::marker::PhantomData;
    use std::ptr::NonNull;

    /// `len` values of `T`, all zero at first.
    #[derive(Debug)]
    pub(crate) struct Region<T> {
        /// The first value, inside of `_mapping`.
        start: NonNull<T>,
        len: usize,
        _mapping: Mapping,
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
            let bytes = len.checked_mul(size_of::<T>()).ok_or(io::ErrorKind::OutOfMemory)?;
            let mapping = Mapping::reserve(bytes, Pages::Huge)?;
            let start = mapping.start().cast::<T>();
            debug_assert!(start.is_aligned(), "pages are aligned for every T");
            Ok(Self { start, len, _mapping: mapping, _holds: PhantomData })
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
            // SAFETY: the caller's promise.
            unsafe { self.values().get(index) }
        }

        /// All values, for a loop.
        #[inline(always)]
        pub(crate) fn values(&self) -> Values<'_, T> {
            Values { start: self.start, _holds: PhantomData }
        }
    }

    /// The values of a region. Where they begin is here itself, and so in a register, whatever atomic loads a loop makes
    /// (after which the compiler would look into the region anew).
    #[derive(Debug)]
    pub(crate) struct Values<'a, T> {
        start: NonNull<T>,
        _holds: PhantomData<&'a T>,
    }

    impl<'a, T> Values<'a, T> {
        /// Value number `index`.
        ///
        /// # Safety
        /// `index` is below the region's length.
        #[inline(always)]
        pub(crate) unsafe fn get(self, index: usize) -> &'a T {
            // SAFETY: in bounds, as the caller promises.
            let value = unsafe { self.start.add(index) };
            // SAFETY: mapped, aligned, zeroed at first (which is valid: Zeroed), and only ever shared.
            unsafe { value.as_ref() }
        }

        /// Which of them `value` is.
        #[inline(always)]
        pub(crate) fn index_of(self, value: &T) -> usize {
            (std::ptr::from_ref(value).addr() - self.start.addr().get()) / size_of::<T>()
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

        /// All values, for a loop.
        pub(crate) fn values(&self) -> Values<'_, T> {
            Values(&self.0)
        }
    }

    /// The values of a region.
    #[derive(Debug)]
    pub(crate) struct Values<'a, T>(&'a [T]);

    impl<'a, T> Values<'a, T> {
        /// Value number `index`.
        ///
        /// # Safety
        /// As for [`Region::get`].
        pub(crate) unsafe fn get(self, index: usize) -> &'a T {
            &self.0[index]
        }

        /// Which of them `value` is.
        pub(crate) fn index_of(self, value: &T) -> usize {
            (std::ptr::from_ref(value).addr() - self.0.as_ptr().addr()) / size_of::<T>()
        }
    }
}

pub(crate) use imp::{Region, Values};

// By hand: a derived one would want T to be the same.
impl<T> Clone for Values<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Values<'_, T> {}
