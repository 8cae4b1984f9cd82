//! One transfer at a time, for callers that have nothing else to do meanwhile: tools, tests, examples.
//!
//! The calling thread does the waiting itself, on the shortest way that the device knows.

use tidelock_format::DeviceRange;

use crate::io::{Slot, buffer_for, nowhere};
use crate::{AlignedBuffer, BlockDevice, DeviceError, Operation};

/// Reads `range`.
///
/// # Errors
/// Whatever the device reports.
pub fn read(device: &dyn BlockDevice, range: DeviceRange) -> Result<AlignedBuffer, DeviceError> {
    let buffer = run(device, Operation::Read, range, Some(buffer_for(device, range)))?;
    Ok(buffer.expect("a read gives its buffer back"))
}

/// Writes `buffer` to `range`, and gives it back. The write is durable only after a [`flush`].
///
/// # Errors
/// Whatever the device reports.
pub fn write(
    device: &dyn BlockDevice,
    range: DeviceRange,
    buffer: AlignedBuffer,
) -> Result<AlignedBuffer, DeviceError> {
    let buffer = run(device, Operation::Write, range, Some(buffer))?;
    Ok(buffer.expect("a write gives its buffer back"))
}

/// Makes every write that has completed durable.
///
/// # Errors
/// Whatever the device reports; after that it takes no more writes.
pub fn flush(device: &dyn BlockDevice) -> Result<(), DeviceError> {
    run(device, Operation::Flush, nowhere(), None).map(|_| ())
}

fn run(
    device: &dyn BlockDevice,
    operation: Operation,
    range: DeviceRange,
    buffer: Option<AlignedBuffer>,
) -> Result<Option<AlignedBuffer>, DeviceError> {
    let slot = Slot::new();
    let request = slot.request(operation, range, buffer);
    device.submit_and_drive(&mut vec![request], &|| slot.is_over(), None);
    slot.take().expect("who drives without a deadline comes back with the result")
}
