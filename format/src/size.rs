//! The size of every block of a volume: a power of two from 4 KiB to 64 KiB, chosen when the volume is formatted.

use std::fmt;

use crate::FormatError;

/// A valid block size. Holding one is proof that it is a power of two within the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockSize {
    /// Binary logarithm of the size in bytes, so that a number becomes an offset by a shift.
    shift: u8,
}

impl BlockSize {
    /// The smallest: 4 KiB, what devices and page tables deal in.
    pub const MIN: BlockSize = BlockSize { shift: 12 };
    /// The largest: 64 KiB.
    pub const MAX: BlockSize = BlockSize { shift: 16 };
    /// What a volume gets when nobody chose: 16 KiB.
    pub const DEFAULT: BlockSize = BlockSize { shift: 14 };

    /// The size of `bytes` bytes.
    ///
    /// # Errors
    /// [`FormatError::BlockSize`] unless `bytes` is a power of two from 4096 to 65536.
    pub const fn new(bytes: usize) -> Result<Self, FormatError> {
        if bytes.is_power_of_two() && bytes >= Self::MIN.bytes() && bytes <= Self::MAX.bytes() {
            Ok(Self { shift: bytes.trailing_zeros() as u8 })
        } else {
            Err(FormatError::BlockSize { bytes })
        }
    }

    /// The size in bytes.
    #[inline]
    pub const fn bytes(self) -> usize {
        1 << self.shift
    }

    /// Binary logarithm of the size in bytes.
    #[inline]
    pub const fn shift(self) -> u32 {
        self.shift as u32
    }

    /// All valid sizes, smallest first.
    pub fn all() -> impl Iterator<Item = BlockSize> {
        (Self::MIN.shift..=Self::MAX.shift).map(|shift| Self { shift })
    }
}

impl Default for BlockSize {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl fmt::Display for BlockSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} KiB", self.bytes() >> 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_sizes_are_valid_and_no_other() {
        let valid: Vec<usize> = (0..=1 << 17).filter(|&bytes| BlockSize::new(bytes).is_ok()).collect();
        assert_eq!(valid, [4096, 8192, 16384, 32768, 65536]);
        assert_eq!(BlockSize::all().map(BlockSize::bytes).collect::<Vec<_>>(), valid);
    }

    #[test]
    fn the_refusal_says_what_would_be_valid() {
        let refusal = BlockSize::new(5000).unwrap_err().to_string();
        assert!(
            refusal.contains("5000") && refusal.contains("4096") && refusal.contains("65536"),
            "{refusal}"
        );
    }
}
