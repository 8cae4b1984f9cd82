//! The one place that decides whether a block is the image that a reference means.
//!
//! Order matters for the answer, not for the verdict: bytes that fail their checksum say nothing that can be trusted,
//! so that is looked at first; then what rules out the volume, then the kind, then the place, and last the tag, so that
//! "another image of the right block" (the ordinary stale reference) is told from damage.

use crate::{BlockHeader, BlockNo, BlockRef, Checksum, Fsid, Magic, Seq, block_checksum};

/// How a block differs from what the reference means. Any difference makes the read stale; which one it was is for the
/// reader of logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Mismatch {
    /// The bytes are not what was written, or were never written.
    #[error("checksum {found} where the bytes give {expected}")]
    Checksum {
        /// What the bytes add up to.
        expected: Checksum,
        /// What the header says.
        found: Checksum,
    },
    /// Written by another volume.
    #[error("volume {found} instead of {expected}")]
    Fsid {
        /// The mounted volume.
        expected: Fsid,
        /// What the header says.
        found: Fsid,
    },
    /// Another kind of block.
    #[error("magic {found} instead of {expected}")]
    Magic {
        /// The kind that the reader wanted.
        expected: Magic,
        /// What the header says.
        found: Magic,
    },
    /// A block that belongs elsewhere: a misdirected write or read.
    #[error("block {found} in the place of {expected}")]
    Blkno {
        /// Where it was read from.
        expected: BlockNo,
        /// Where it says it belongs.
        found: BlockNo,
    },
    /// Another image of the right block: the reference is older than the media, or the media older than the reference.
    #[error("image {found} instead of {expected}")]
    Seq {
        /// The image that the reference means.
        expected: Seq,
        /// The image that is there.
        found: Seq,
    },
}

/// Checks a whole block, checksum included.
///
/// # Errors
/// The first [`Mismatch`].
///
/// # Panics
/// If `image` is shorter than a header.
pub fn verify(image: &[u8], fsid: Fsid, wanted: BlockRef, magic: Magic) -> Result<(), Mismatch> {
    let header = BlockHeader::read(image);
    let expected = block_checksum(image);
    if header.crc != expected {
        return Err(Mismatch::Checksum { expected, found: header.crc });
    }
    verify_header(&header, fsid, wanted, magic)
}

/// Checks a header whose block's checksum is already known to be good: a cached image is summed once.
///
/// # Errors
/// The first [`Mismatch`].
#[inline]
pub fn verify_header(
    header: &BlockHeader,
    fsid: Fsid,
    wanted: BlockRef,
    magic: Magic,
) -> Result<(), Mismatch> {
    if header.fsid != fsid {
        return Err(Mismatch::Fsid { expected: fsid, found: header.fsid });
    }
    if header.magic != magic {
        return Err(Mismatch::Magic { expected: magic, found: header.magic });
    }
    if header.blkno != wanted.blkno {
        return Err(Mismatch::Blkno { expected: wanted.blkno, found: header.blkno });
    }
    if header.seq != wanted.seq {
        return Err(Mismatch::Seq { expected: wanted.seq, found: header.seq });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FSID: Fsid = Fsid(1);
    const WANTED: BlockRef = BlockRef::new(BlockNo(2), Seq(3));
    const MAGIC: Magic = Magic(4);

    fn image() -> Vec<u8> {
        let mut image = vec![0x5a; 4096];
        BlockHeader { crc: Checksum(0), magic: MAGIC, fsid: FSID, seq: WANTED.seq, blkno: WANTED.blkno }
            .write(&mut image);
        BlockHeader::seal(&mut image);
        image
    }

    #[test]
    fn the_image_meant_passes() {
        assert_eq!(verify(&image(), FSID, WANTED, MAGIC), Ok(()));
    }

    /// S-30: every bit of the header and of a sample of the payload counts.
    #[test]
    fn no_single_flipped_bit_passes() {
        let good = image();
        for bit in (0..32 * 8).chain((32 * 8..4096 * 8).step_by(61)) {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(verify(&bad, FSID, WANTED, MAGIC), Err(Mismatch::Checksum { .. })), "bit {bit}");
        }
    }

    #[test]
    fn each_expectation_is_told_apart() {
        let image = image();
        assert!(matches!(verify(&image, Fsid(9), WANTED, MAGIC), Err(Mismatch::Fsid { .. })));
        assert!(matches!(verify(&image, FSID, WANTED, Magic(9)), Err(Mismatch::Magic { .. })));
        let elsewhere = BlockRef::new(BlockNo(9), WANTED.seq);
        assert!(matches!(verify(&image, FSID, elsewhere, MAGIC), Err(Mismatch::Blkno { .. })));
        let older = BlockRef::new(WANTED.blkno, Seq(9));
        assert!(matches!(verify(&image, FSID, older, MAGIC), Err(Mismatch::Seq { .. })));
    }

    #[test]
    fn a_block_never_written_does_not_pass() {
        assert!(verify(&[0; 4096], Fsid(0), BlockRef::NULL, Magic(0)).is_err());
    }
}
