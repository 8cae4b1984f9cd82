//! How a request can fail. The error can be cloned: one failed read is told to everybody who waited for it.

use std::io;

use tidelock_format::{DeviceRange, FormatError};

use crate::Operation;

/// A request that failed, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{operation} of bytes {range} failed: {fault}")]
pub struct DeviceError {
    /// What was asked for.
    pub operation: Operation,
    /// Where; empty for a flush.
    pub range: DeviceRange,
    /// What went wrong.
    pub fault: Fault,
}

/// What can go wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The operating system or the medium refused; the error number is the system's own.
    #[error("{}", io::Error::from_raw_os_error(*.0))]
    Os(i32),
    /// Fewer bytes than asked for: the file was truncated while open, or the device shrank.
    #[error("only {got} bytes could be moved; was the file truncated while open?")]
    Short {
        /// Bytes that were moved.
        got: u64,
    },
    /// The range does not fit the device.
    #[error(transparent)]
    Range(#[from] FormatError),
    /// The buffer's length is not the range's, or its address is not aligned for this device.
    #[error("the buffer does not fit the request: {0}")]
    Buffer(&'static str),
    /// The device was opened for reading only.
    #[error("the device was opened for reading only")]
    ReadOnly,
    /// The request was refused before it reached the medium, and nothing was moved.
    #[error("refused: {0}")]
    Refused(&'static str),
    /// A decorator failed it on purpose.
    #[error("injected: {0}")]
    Injected(&'static str),
    /// An earlier flush failed, so what was written before it may be lost: nothing is written any more until the
    /// device is opened anew.
    #[error("an earlier flush failed; reopen the device")]
    FlushFailed,
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        match error.raw_os_error() {
            Some(number) => Fault::Os(number),
            None => Fault::Refused("an error without a number"),
        }
    }
}
