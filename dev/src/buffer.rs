//! Memory aligned for direct I/O, owned by one value.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// Zeroed bytes at an address that is a multiple of a power of two.
pub struct AlignedBuffer {
    address: NonNull<u8>,
    layout: Layout,
}

// SAFETY: it owns its memory as a `Vec<u8>` does.
unsafe impl Send for AlignedBuffer {}
// SAFETY: through a shared reference the bytes are only read.
unsafe impl Sync for AlignedBuffer {}

impl AlignedBuffer {
    /// `len` zeroed bytes at a multiple of `align`.
    ///
    /// # Panics
    /// If `len` is 0 or `align` is not a power of two.
    pub fn zeroed(len: usize, align: usize) -> Self {
        assert!(len > 0, "an aligned buffer has at least one byte");
        let layout = Layout::from_size_align(len, align).expect("the alignment is a power of two");
        // SAFETY: the layout has a size above zero.
        let address = unsafe { alloc_zeroed(layout) };
        let Some(address) = NonNull::new(address) else { handle_alloc_error(layout) };
        Self { address, layout }
    }

    /// First byte.
    pub fn address(&self) -> NonNull<u8> {
        self.address
    }
}

impl Drop for AlignedBuffer {
    fn drop(&mut self) {
        // SAFETY: allocated by `zeroed` with this very layout, and freed once.
        unsafe { dealloc(self.address.as_ptr(), self.layout) }
    }
}

impl Deref for AlignedBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `layout.size()` initialised bytes that this value owns.
        unsafe { std::slice::from_raw_parts(self.address.as_ptr(), self.layout.size()) }
    }
}

impl DerefMut for AlignedBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and the exclusive borrow of self is the exclusive borrow of the bytes.
        unsafe { std::slice::from_raw_parts_mut(self.address.as_ptr(), self.layout.size()) }
    }
}

impl fmt::Debug for AlignedBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AlignedBuffer({} bytes, aligned to {})", self.layout.size(), self.layout.align())
    }
}
