//! What names a block: its number, and the tag of the one image that is meant.
//!
//! The tag (`seq`) is a random 64-bit value drawn for every new image of a block. It is compared for equality only:
//! never ordered, never incremented. Two images collide with probability 2^-64.

use std::fmt;

use zerocopy::little_endian::U64;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The number of a block: its offset on the device divided by the block size.
///
/// Number 0 is the first block of the device. It holds the volume's own description, never a tree's block, so a
/// reference to it means "no block" (see [`BlockRef::NULL`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockNo(pub u64);

/// The tag of one image of a block. Random; equality is the only meaning it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Seq(pub u64);

/// What kind of block this is. Each kind has a number of its own, chosen by whoever defines the kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Magic(pub u32);

/// Identifies a volume for its whole life; chosen at random when it is formatted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Fsid(pub u64);

/// Points at one image of one block: a read that finds another `seq` at `blkno` is stale, not wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct BlockRef {
    /// Where the block is.
    pub blkno: BlockNo,
    /// Which image of it is meant.
    pub seq: Seq,
}

/// A reference as it stands on media: 16 bytes, little-endian.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct RawRef {
    blkno: U64,
    seq: U64,
}

const _: () = assert!(size_of::<RawRef>() == BlockRef::BYTES);

impl BlockRef {
    /// Bytes of a reference on media.
    pub const BYTES: usize = 16;

    /// The reference that points at nothing.
    pub const NULL: BlockRef = BlockRef { blkno: BlockNo(0), seq: Seq(0) };

    /// A reference to the image tagged `seq` of block `blkno`.
    pub const fn new(blkno: BlockNo, seq: Seq) -> Self {
        Self { blkno, seq }
    }

    /// Whether this points at nothing. Only the number decides.
    pub const fn is_null(&self) -> bool {
        self.blkno.0 == 0
    }

    /// The 16 bytes of this reference on media.
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let raw = RawRef { blkno: self.blkno.0.into(), seq: self.seq.0.into() };
        zerocopy::transmute!(raw)
    }

    /// The reference that these 16 bytes of media spell. Every bit pattern is a reference.
    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        let raw: RawRef = zerocopy::transmute!(bytes);
        Self { blkno: BlockNo(raw.blkno.get()), seq: Seq(raw.seq.get()) }
    }
}

impl fmt::Display for BlockNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Display for Magic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}

impl fmt::Display for Fsid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Display for BlockRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.blkno, self.seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_reference_is_two_little_endian_words() {
        let bytes = BlockRef::new(BlockNo(0x0102), Seq(0x0a0b_0c0d)).to_bytes();
        assert_eq!(bytes, [2, 1, 0, 0, 0, 0, 0, 0, 0x0d, 0x0c, 0x0b, 0x0a, 0, 0, 0, 0]);
    }

    #[test]
    fn only_the_number_makes_a_reference_null() {
        assert!(BlockRef::NULL.is_null());
        assert!(BlockRef::new(BlockNo(0), Seq(7)).is_null());
        assert!(!BlockRef::new(BlockNo(7), Seq(0)).is_null());
    }

    proptest! {
        /// S-34: a number of any width survives.
        #[test]
        fn references_survive_the_media(blkno: u64, seq: u64) {
            let r = BlockRef::new(BlockNo(blkno), Seq(seq));
            prop_assert_eq!(BlockRef::from_bytes(r.to_bytes()), r);
        }
    }
}
