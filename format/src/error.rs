//! What can be wrong with a number or an extent before any byte is read.

use crate::DeviceRange;

/// A value that cannot stand on media.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// Not a valid size of a block.
    #[error("block size {bytes} is not valid: choose a power of two from 4096 to 65536 bytes")]
    BlockSize {
        /// The size asked for.
        bytes: usize,
    },
    /// Reaches beyond the end of the device.
    #[error("bytes {range} lie outside the device, which has {size} bytes")]
    OutOfRange {
        /// What was asked for.
        range: DeviceRange,
        /// Bytes the device has.
        size: u64,
    },
    /// Not a whole number of the device's units.
    #[error("bytes {range} are not aligned to the device's unit of {align} bytes")]
    Misaligned {
        /// What was asked for.
        range: DeviceRange,
        /// The unit.
        align: u64,
    },
}
