//! Any bytes at all, taken for a block.

use tidelock_format::{
    BlockHeader, BlockNo, BlockRef, Fsid, HEADER_BYTES, Magic, Mismatch, Seq, block_checksum, verify,
};

/// Takes `data` for a block: decoding never panics and loses nothing, and the one function that verifies (S-30) accepts
/// exactly what is sealed and meant.
pub fn header_decode(data: &[u8]) {
    if data.len() < HEADER_BYTES {
        return;
    }
    let header = BlockHeader::read(data);
    let mut image = data.to_vec();
    header.write(&mut image);
    assert_eq!(image, data, "what was read is written back");

    let is_sealed = header.crc == block_checksum(data);
    assert_eq!(verify_as(data, &header), if is_sealed { Ok(()) } else { Err(checksum_mismatch(data)) });

    header_with_ref(data);
    BlockHeader::seal(&mut image);
    let sealed = BlockHeader::read(&image);
    assert_eq!(BlockHeader { crc: header.crc, ..sealed }, header, "sealing changes the checksum alone");
    assert_eq!(verify_as(&image, &sealed), Ok(()));
    nothing_else_passes(&image, &sealed);
    no_flipped_bit_passes(image, &sealed);
}

/// Verifies an image as what its own header says it is.
fn verify_as(image: &[u8], header: &BlockHeader) -> Result<(), Mismatch> {
    verify(image, header.fsid, header.block_ref(), header.magic)
}

fn checksum_mismatch(image: &[u8]) -> Mismatch {
    Mismatch::Checksum { expected: block_checksum(image), found: BlockHeader::read(image).crc }
}

/// The bytes at the same place, taken for a reference.
fn header_with_ref(data: &[u8]) {
    let bytes: [u8; BlockRef::BYTES] = data[..BlockRef::BYTES].try_into().expect("a header is longer");
    assert_eq!(BlockRef::from_bytes(bytes).to_bytes(), bytes);
}

/// Each expectation that differs in one bit is told apart by its own mismatch.
fn nothing_else_passes(image: &[u8], sealed: &BlockHeader) {
    let BlockHeader { magic, fsid, seq, blkno, .. } = *sealed;
    let meant = sealed.block_ref();
    for bit in 0..64 {
        let other = |value: u64| value ^ (1 << bit);
        let volume = Fsid(other(fsid.0));
        assert_eq!(
            verify(image, volume, meant, magic),
            Err(Mismatch::Fsid { expected: volume, found: fsid })
        );
        let kind = Magic(magic.0 ^ (1 << (bit % 32)));
        assert_eq!(verify(image, fsid, meant, kind), Err(Mismatch::Magic { expected: kind, found: magic }));
        let place = BlockNo(other(blkno.0));
        let misplaced = verify(image, fsid, BlockRef::new(place, seq), magic);
        assert_eq!(misplaced, Err(Mismatch::Blkno { expected: place, found: blkno }));
        let tag = Seq(other(seq.0));
        let older = verify(image, fsid, BlockRef::new(blkno, tag), magic);
        assert_eq!(older, Err(Mismatch::Seq { expected: tag, found: seq }));
    }
}

/// A bit in each of a few dozen bytes, all over the image.
fn no_flipped_bit_passes(mut image: Vec<u8>, sealed: &BlockHeader) {
    let step = (image.len() / 64).max(1);
    for byte in (0..image.len()).step_by(step) {
        let bit = 1 << (byte / step % 8);
        image[byte] ^= bit;
        assert!(verify_as(&image, sealed).is_err(), "bit {bit:#x} of byte {byte}");
        image[byte] ^= bit;
    }
}
