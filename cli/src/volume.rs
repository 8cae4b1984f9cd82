//! What a benchmark's volume looks like on media: a description in block 0, blocks of data behind it.
//!
//! The description is a block like any other: header, checksum, place. It makes the volume recognisable, so that
//! `--device` may use it again and `inspect` needs not be told the block size, and it says whether every block still is as
//! it was filled. Nobody else reads it, so another version of it is simply another program's data.

use tidelock_dev::{AlignedBuffer, BlockDevice, DeviceError, blocking};
use tidelock_format::{
    BlockHeader, BlockNo, BlockSize, Checksum, DeviceRange, Fsid, HEADER_BYTES, Magic, Seq, block_checksum,
};
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Block 0 of a benchmark's volume.
pub(crate) const DESCRIPTION: Magic = Magic(u32::from_le_bytes(*b"TLbv"));
/// Every other block of it.
pub(crate) const DATA: Magic = Magic(u32::from_le_bytes(*b"TLbd"));

const VERSION: u32 = 1;

/// What a volume says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Description {
    pub(crate) fsid: Fsid,
    pub(crate) block_size: BlockSize,
    /// Of data; they are numbered from 1.
    pub(crate) blocks: u64,
    /// Whether every block is there, and the image tagged with its own number.
    pub(crate) is_filled: bool,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Raw {
    version: U32,
    block_size: U32,
    blocks: U64,
    is_filled: U32,
}

impl Description {
    /// Bytes that the whole volume takes.
    pub(crate) fn bytes(&self) -> u64 {
        (self.blocks + 1) * self.block_size.bytes() as u64
    }

    /// The description on `device`, if there is a good one.
    pub(crate) fn read(device: &dyn BlockDevice) -> Result<Option<Self>, DeviceError> {
        for size in BlockSize::all().filter(|size| size.bytes() as u64 <= device.size()) {
            let block = blocking::read(device, first_block(size))?;
            if let Some(description) = Self::parse(&block, size) {
                return Ok(Some(description));
            }
        }
        Ok(None)
    }

    /// Writes this, and makes it durable.
    pub(crate) fn write(&self, device: &dyn BlockDevice) -> Result<(), DeviceError> {
        let mut block = AlignedBuffer::zeroed(self.block_size.bytes(), self.block_size.bytes());
        let header = BlockHeader {
            crc: Checksum(0),
            magic: DESCRIPTION,
            fsid: self.fsid,
            seq: Seq(self.fsid.0),
            blkno: BlockNo(0),
        };
        header.write(&mut block);
        let raw = Raw {
            version: VERSION.into(),
            block_size: (self.block_size.bytes() as u32).into(),
            blocks: self.blocks.into(),
            is_filled: u32::from(self.is_filled).into(),
        };
        block[HEADER_BYTES..HEADER_BYTES + size_of::<Raw>()].copy_from_slice(raw.as_bytes());
        BlockHeader::seal(&mut block);
        blocking::write(device, first_block(self.block_size), block)?;
        blocking::flush(device)
    }

    fn parse(block: &[u8], block_size: BlockSize) -> Option<Self> {
        let header = BlockHeader::read(block);
        let is_ours = header.magic == DESCRIPTION && header.blkno == BlockNo(0);
        if !is_ours || header.crc != block_checksum(block) {
            return None;
        }
        let (raw, _) = Raw::read_from_prefix(&block[HEADER_BYTES..]).ok()?;
        let is_known = raw.version.get() == VERSION && raw.block_size.get() as usize == block_size.bytes();
        is_known.then_some(Self {
            fsid: header.fsid,
            block_size,
            blocks: raw.blocks.get(),
            is_filled: raw.is_filled.get() == 1,
        })
    }
}

fn first_block(size: BlockSize) -> DeviceRange {
    DeviceRange::of_block(BlockNo(0), size).expect("block 0 ends at the block size")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidelock_dev::MemDevice;

    fn description(block_size: BlockSize) -> Description {
        Description { fsid: Fsid(7), block_size, blocks: 99, is_filled: true }
    }

    #[test]
    fn a_description_is_found_whatever_its_block_size() {
        for size in BlockSize::all() {
            let device = MemDevice::new(1 << 20);
            description(size).write(&device).unwrap();
            assert_eq!(Description::read(&device).unwrap(), Some(description(size)));
        }
    }

    #[test]
    fn a_damaged_description_is_none() {
        let device = MemDevice::new(1 << 20);
        assert_eq!(Description::read(&device).unwrap(), None, "nothing there yet");
        description(BlockSize::MIN).write(&device).unwrap();
        let mut block = blocking::read(&device, first_block(BlockSize::MIN)).unwrap();
        block[100] ^= 1;
        blocking::write(&device, first_block(BlockSize::MIN), block).unwrap();
        assert_eq!(Description::read(&device).unwrap(), None);
    }
}
