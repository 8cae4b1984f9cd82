//! The checksum of a block: CRC-32C (Castagnoli, as in iSCSI and ext4) of every byte after the checksum itself.

use std::fmt;

use crc_fast::{CrcAlgorithm, checksum};

/// A CRC-32C.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Checksum(pub u32);

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// Bytes at the head of a block that the checksum leaves out: the checksum itself.
pub(crate) const CHECKSUM_BYTES: usize = 4;

/// The checksum of a whole block, computed over everything behind its first four bytes.
///
/// # Panics
/// If `image` is shorter than those four bytes.
#[inline]
pub fn block_checksum(image: &[u8]) -> Checksum {
    // The CRC is 32 bits wide; crc-fast answers in 64 for all widths.
    Checksum(checksum(CrcAlgorithm::Crc32Iscsi, &image[CHECKSUM_BYTES..]) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check value of the CRC catalogue for CRC-32/ISCSI, and one of RFC 3720 B.4: 32 zero bytes.
    #[test]
    fn the_published_vectors_hold() {
        let behind = |bytes: &[u8]| block_checksum(&[&[0; CHECKSUM_BYTES], bytes].concat());
        assert_eq!(behind(b"123456789"), Checksum(0xe306_9283));
        assert_eq!(behind(&[0; 32]), Checksum(0x8a91_36aa));
        assert_eq!(behind(&[0xff; 32]), Checksum(0x62a8_ab43));
    }

    #[test]
    fn the_checksum_field_is_not_part_of_the_sum() {
        let mut image = vec![7; 4096];
        let sum = block_checksum(&image);
        image[..CHECKSUM_BYTES].fill(9);
        assert_eq!(block_checksum(&image), sum);
    }
}
