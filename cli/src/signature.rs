//! Whose data a device holds, before anything on it is overwritten.
//!
//! Empty means: zeroes in the first mebibyte and in the last 64 KiB, which is where file systems, partition tables, volume
//! managers and arrays leave their marks. Whatever else is there belongs to somebody. Naming the owner only makes the
//! refusal easier to understand; nothing rests on it.

use tidelock_dev::{AlignedBuffer, BlockDevice, DeviceError, blocking};
use tidelock_format::DeviceRange;

const HEAD: u64 = 1 << 20;
const TAIL: u64 = 64 << 10;

/// Offset in the device, bytes there, and who writes them.
const MARKS: [(usize, &[u8], &str); 10] = [
    (0, b"XFSB", "an XFS file system"),
    (0x438, &[0x53, 0xef], "an ext2, ext3 or ext4 file system"),
    (0x10040, b"_BHRfS_M", "a Btrfs file system"),
    (0, b"LUKS", "an encrypted (LUKS) volume"),
    (0x218, b"LVM2 001", "an LVM physical volume"),
    (512, b"EFI PART", "a GPT partition table"),
    (4096, &[0xfc, 0x4e, 0x2b, 0xa9], "a member of an array (md)"),
    (4086, b"SWAPSPACE2", "swap space"),
    (0, b"SQLite format 3\0", "an SQLite database"),
    (510, &[0x55, 0xaa], "a partition table or boot sector"),
];

/// What is on `device`, in words; `None` when it is empty.
pub(crate) fn found_on(device: &dyn BlockDevice) -> Result<Option<String>, DeviceError> {
    let head = read(device, 0, HEAD.min(device.size()))?;
    if let Some((_, _, owner)) = MARKS.iter().find(|(offset, mark, _)| has(&head, *offset, mark)) {
        return Ok(Some((*owner).into()));
    }
    if let Some(at) = first_used(&head) {
        return Ok(Some(format!("data of another program (byte {at} is {:#04x})", head[at])));
    }
    let from = device.size().saturating_sub(TAIL);
    let tail = read(device, from, device.size() - from)?;
    Ok(first_used(&tail).map(|at| format!("data of another program at its end (byte {})", from + at as u64)))
}

fn read(device: &dyn BlockDevice, offset: u64, len: u64) -> Result<AlignedBuffer, DeviceError> {
    let range = DeviceRange::new(offset, len).expect("part of a device, which ends somewhere");
    blocking::read(device, range)
}

fn has(head: &[u8], offset: usize, mark: &[u8]) -> bool {
    head.get(offset..offset + mark.len()) == Some(mark)
}

fn first_used(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| *byte != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidelock_dev::MemDevice;

    fn device_with(offset: u64, bytes: &[u8]) -> MemDevice {
        let device = MemDevice::new(4 << 20);
        let (start, within) = (offset / 512 * 512, (offset % 512) as usize);
        let mut sector = AlignedBuffer::zeroed(1024, 512);
        sector[within..within + bytes.len()].copy_from_slice(bytes);
        blocking::write(&device, DeviceRange::new(start, 1024).unwrap(), sector).unwrap();
        device
    }

    #[test]
    fn zeroes_at_both_ends_are_empty() {
        assert_eq!(found_on(&MemDevice::new(4 << 20)).unwrap(), None);
        assert_eq!(found_on(&MemDevice::new(4096)).unwrap(), None);
    }

    #[test]
    fn one_byte_at_either_end_belongs_to_somebody() {
        for at in [0, 777, (1 << 20) - 1, (4 << 20) - (64 << 10), (4 << 20) - 1024] {
            let found = found_on(&device_with(at, &[7])).unwrap().expect("somebody's");
            assert!(found.contains("another program"), "{at}: {found}");
        }
    }

    #[test]
    fn every_mark_is_recognised_by_name() {
        for (offset, mark, owner) in MARKS {
            assert_eq!(found_on(&device_with(offset as u64, mark)).unwrap().as_deref(), Some(owner));
        }
    }
}
