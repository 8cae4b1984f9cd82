//! The block that every cache holds, and the reference that a reader asks with.
//!
//! All caches map a block number to the same 64-byte header: 48 bytes of number, sequence and the rest, and 16 for what
//! the holder itself adds, be it the two counts of an `Arc`, the key of an entry or a state word. It thus costs
//! everyone one cache line. (A block aligned to 64 bytes inside an `Arc` has its counts on a second line, which cost
//! quick_cache a quarter of its speed on one thread.) A lookup compares number and sequence there, as a block cache
//! must: the table alone does not prove that a block is the wanted one. No peer carries a payload; what a payload
//! would cost them is not counted.

use std::mem::size_of;

/// What a reader has in hand: where the block lies, and which version of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reference {
    /// The block number: the key.
    pub blkno: u64,
    /// The version tag; equality is all that counts.
    pub seq: u64,
}

impl Reference {
    /// The reference to the one version of block `blkno` that the benchmarks know.
    #[inline]
    pub fn to(blkno: u64) -> Self {
        Self { blkno, seq: blkno.rotate_left(23) ^ 0x7469_6465_6c6f_636b }
    }
}

/// A cached block as the peers hold it.
#[derive(Clone, Debug)]
#[repr(C)]
pub struct Block {
    blkno: u64,
    seq: u64,
    rest: [u64; 4],
}

/// What an `Arc` keeps beside its content.
const COUNTS: usize = 2 * size_of::<usize>();

const _: () = assert!(size_of::<Block>() + COUNTS == 64);

impl Block {
    /// The block that `reference` names.
    #[inline]
    pub fn new(reference: Reference) -> Self {
        Self { blkno: reference.blkno, seq: reference.seq, rest: [0; 4] }
    }

    /// Whether this is the block, in the version, that `reference` names.
    #[inline]
    pub fn answers(&self, reference: Reference) -> bool {
        self.blkno == reference.blkno && self.seq == reference.seq
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_answers_only_its_own_number_and_version() {
        let wanted = Reference::to(7);
        let block = Block::new(wanted);
        assert!(block.answers(wanted));
        assert!(!block.answers(Reference { seq: wanted.seq ^ 1, ..wanted }));
        assert!(!block.answers(Reference { blkno: 8, ..wanted }));
    }
}
