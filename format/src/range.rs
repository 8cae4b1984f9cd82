//! An extent of a device in bytes, checked once against the device it is for.

use std::fmt;

use crate::{BlockNo, BlockSize, FormatError};

/// `len` bytes from byte `offset` on. Its end never overflows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeviceRange {
    offset: u64,
    len: u64,
}

impl DeviceRange {
    /// `len` bytes from `offset` on; `None` when the end would not fit in 64 bits.
    pub const fn new(offset: u64, len: u64) -> Option<Self> {
        match offset.checked_add(len) {
            Some(_) => Some(Self { offset, len }),
            None => None,
        }
    }

    /// The bytes of block `blkno`; `None` when no device could be that large.
    pub const fn of_block(blkno: BlockNo, size: BlockSize) -> Option<Self> {
        let len = size.bytes() as u64;
        match blkno.0.checked_mul(len) {
            Some(offset) => Self::new(offset, len),
            None => None,
        }
    }

    /// First byte.
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// Bytes.
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether it holds no byte at all.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The byte after the last.
    pub const fn end(&self) -> u64 {
        // `new` made sure that this does not overflow.
        self.offset + self.len
    }

    /// Whether the two share a byte.
    pub const fn overlaps(&self, other: &DeviceRange) -> bool {
        self.offset < other.end() && other.offset < self.end()
    }

    /// Checks that a device of `size` bytes whose unit is `align` bytes can serve this.
    ///
    /// # Errors
    /// [`FormatError::OutOfRange`] beyond the end, [`FormatError::Misaligned`] off the unit.
    pub const fn check(&self, size: u64, align: u64) -> Result<(), FormatError> {
        if self.end() > size {
            return Err(FormatError::OutOfRange { range: *self, size });
        }
        if !self.offset.is_multiple_of(align) || !self.len.is_multiple_of(align) {
            return Err(FormatError::Misaligned { range: *self, align });
        }
        Ok(())
    }
}

impl fmt::Display for DeviceRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.offset, self.end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_whose_end_overflows_cannot_be_made() {
        assert_eq!(DeviceRange::new(u64::MAX, 1), None);
        assert_eq!(DeviceRange::of_block(BlockNo(u64::MAX), BlockSize::MIN), None);
        assert_eq!(DeviceRange::of_block(BlockNo(u64::MAX >> 12), BlockSize::MIN), None);
        assert!(DeviceRange::of_block(BlockNo((u64::MAX >> 12) - 1), BlockSize::MIN).is_some());
    }

    /// S-34: a block a petabyte into the device has a range like any other.
    #[test]
    fn a_block_number_of_forty_bits_has_a_range() {
        let range = DeviceRange::of_block(BlockNo(1 << 40), BlockSize::MAX).unwrap();
        assert_eq!((range.offset(), range.len()), (1 << 56, 65536));
    }

    #[test]
    fn a_device_refuses_what_it_cannot_serve() {
        let range = DeviceRange::new(4096, 4096).unwrap();
        assert_eq!(range.check(8192, 512), Ok(()));
        assert!(matches!(range.check(8191, 512), Err(FormatError::OutOfRange { .. })));
        assert!(matches!(
            DeviceRange::new(100, 512).unwrap().check(8192, 512),
            Err(FormatError::Misaligned { .. })
        ));
    }
}
