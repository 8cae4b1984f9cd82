//! The first 32 bytes of every block.
//!
//! | offset | bytes | field | |
//! |---|---|---|---|
//! | 0 | 4 | `crc` | CRC-32C of everything behind these four bytes |
//! | 4 | 4 | `magic` | kind of block |
//! | 8 | 8 | `fsid` | volume |
//! | 16 | 8 | `seq` | random tag of this image |
//! | 24 | 8 | `blkno` | where this block belongs, so that a misdirected write is noticed |

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::{BlockNo, BlockRef, Checksum, Fsid, Magic, Seq, block_checksum};

/// Bytes of the header.
pub const HEADER_BYTES: usize = 32;

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct RawHeader {
    crc: U32,
    magic: U32,
    fsid: U64,
    seq: U64,
    blkno: U64,
}

const _: () = {
    assert!(size_of::<RawHeader>() == HEADER_BYTES);
    assert!(std::mem::offset_of!(RawHeader, crc) == 0);
    assert!(std::mem::offset_of!(RawHeader, magic) == 4);
    assert!(std::mem::offset_of!(RawHeader, fsid) == 8);
    assert!(std::mem::offset_of!(RawHeader, seq) == 16);
    assert!(std::mem::offset_of!(RawHeader, blkno) == 24);
};

/// What a block says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockHeader {
    /// Checksum of the rest of the block.
    pub crc: Checksum,
    /// Kind of block.
    pub magic: Magic,
    /// Volume it belongs to.
    pub fsid: Fsid,
    /// Tag of this image.
    pub seq: Seq,
    /// Where it belongs.
    pub blkno: BlockNo,
}

impl BlockHeader {
    /// The header at the head of `image`. Says nothing of whether it is right: that is [`crate::verify`].
    ///
    /// # Panics
    /// If `image` is shorter than [`HEADER_BYTES`].
    #[inline]
    pub fn read(image: &[u8]) -> Self {
        let (raw, _) = RawHeader::ref_from_prefix(image).expect("a block is longer than its header");
        Self {
            crc: Checksum(raw.crc.get()),
            magic: Magic(raw.magic.get()),
            fsid: Fsid(raw.fsid.get()),
            seq: Seq(raw.seq.get()),
            blkno: BlockNo(raw.blkno.get()),
        }
    }

    /// Puts this header at the head of `image`.
    ///
    /// # Panics
    /// If `image` is shorter than [`HEADER_BYTES`].
    #[inline]
    pub fn write(&self, image: &mut [u8]) {
        let raw = RawHeader {
            crc: self.crc.0.into(),
            magic: self.magic.0.into(),
            fsid: self.fsid.0.into(),
            seq: self.seq.0.into(),
            blkno: self.blkno.0.into(),
        };
        image[..HEADER_BYTES].copy_from_slice(raw.as_bytes());
    }

    /// The reference that means this image.
    pub fn block_ref(&self) -> BlockRef {
        BlockRef::new(self.blkno, self.seq)
    }

    /// Computes the checksum of `image` and puts it in its header. The last thing done to an image before it is
    /// written.
    ///
    /// # Panics
    /// If `image` is shorter than [`HEADER_BYTES`].
    pub fn seal(image: &mut [u8]) -> Checksum {
        let mut header = Self::read(image);
        header.crc = block_checksum(image);
        header.write(image);
        header.crc
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn headers() -> impl Strategy<Value = BlockHeader> {
        (any::<u32>(), any::<u32>(), any::<u64>(), any::<u64>(), any::<u64>()).prop_map(
            |(crc, magic, fsid, seq, blkno)| BlockHeader {
                crc: Checksum(crc),
                magic: Magic(magic),
                fsid: Fsid(fsid),
                seq: Seq(seq),
                blkno: BlockNo(blkno),
            },
        )
    }

    #[test]
    fn the_header_is_laid_out_as_drawn() {
        let mut image = [0xee; 40];
        let header = BlockHeader {
            crc: Checksum(0x0302_0100),
            magic: Magic(0x0706_0504),
            fsid: Fsid(0x0f0e_0d0c_0b0a_0908),
            seq: Seq(0x1716_1514_1312_1110),
            blkno: BlockNo(0x1f1e_1d1c_1b1a_1918),
        };
        header.write(&mut image);
        let drawn: Vec<u8> = (0..32).collect();
        assert_eq!(image[..32], drawn[..]);
        assert_eq!(image[32..], [0xee; 8], "nothing behind the header is touched");
    }

    proptest! {
        #[test]
        fn headers_survive_the_media(header in headers()) {
            let mut image = [0; 64];
            header.write(&mut image);
            prop_assert_eq!(BlockHeader::read(&image), header);
        }

        #[test]
        fn a_sealed_image_carries_its_own_checksum(bytes in proptest::collection::vec(any::<u8>(), 32..512)) {
            let mut image = bytes;
            let crc = BlockHeader::seal(&mut image);
            prop_assert_eq!(BlockHeader::read(&image).crc, crc);
            prop_assert_eq!(block_checksum(&image), crc);
        }
    }
}
