//! What only a device in memory does.

use super::collector::range;
use crate::{AlignedBuffer, MemDevice, blocking};

#[test]
fn memory_is_taken_only_for_what_was_written() {
    let device = MemDevice::new(1 << 50);
    assert_eq!(device.resident(), 0);
    blocking::write(&device, range(1 << 49, 512), AlignedBuffer::zeroed(512, 512)).unwrap();
    blocking::read(&device, range(0, 1 << 20)).unwrap();
    assert_eq!(device.resident(), 65536);
}

#[test]
#[should_panic = "not a multiple of the unit"]
fn a_size_off_the_unit_is_a_mistake_of_the_caller() {
    let _ = MemDevice::with_align(4096 + 512, 4096);
}
