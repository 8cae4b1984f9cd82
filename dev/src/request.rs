//! One transfer, and who is told when it has ended.

use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;

use tidelock_format::DeviceRange;

use crate::{DeviceError, Fault};

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Bytes from the device to the buffer.
    Read,
    /// Bytes from the buffer to the device.
    Write,
    /// Everything whose write completed before this was submitted becomes durable.
    Flush,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Operation::Read => "read",
            Operation::Write => "write",
            Operation::Flush => "flush",
        })
    }
}

/// Memory lent to a device by address. Whoever made it keeps it alive and untouched until the completion.
#[derive(Debug)]
pub struct RawBuffer {
    address: NonNull<u8>,
    len: usize,
}

// SAFETY: the pointer is only an address until a device uses it, under the promise of `RawBuffer::new`, which holds on
// every thread.
unsafe impl Send for RawBuffer {}

impl RawBuffer {
    /// Lends `len` bytes from `address` on.
    ///
    /// # Safety
    /// Until the request's completion is delivered the memory stays allocated, and is not written (for a read: not
    /// accessed at all) by anybody but the device. For a read it must be writable. The completer gets this value back
    /// and drops it; putting it into another request is making the promise anew.
    pub unsafe fn new(address: NonNull<u8>, len: usize) -> Self {
        Self { address, len }
    }

    /// First byte.
    pub fn address(&self) -> NonNull<u8> {
        self.address
    }

    /// Bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no byte.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// How a request ended.
#[derive(Debug)]
pub struct Completion {
    /// The request's own tag.
    pub tag: u64,
    /// The buffer, back from the device.
    pub buffer: Option<Buffer>,
    /// Success means that every byte was moved.
    pub result: Result<(), DeviceError>,
}

/// Who is told. Called exactly once a request, on whatever thread noticed: it does the minimum, and never blocks, submits,
/// drives or panics.
pub trait Completer: Send + Sync {
    /// `completion.tag` has ended.
    fn complete(&self, completion: Completion);
}

/// Memory for a transfer.
#[derive(Debug)]
pub enum Buffer {
    /// The request's own, given back in the completion.
    Owned(crate::AlignedBuffer),
    /// Lent by address.
    Lent(RawBuffer),
}

impl Buffer {
    /// First byte.
    pub fn address(&self) -> NonNull<u8> {
        match self {
            Buffer::Owned(buffer) => buffer.address(),
            Buffer::Lent(buffer) => buffer.address(),
        }
    }

    /// Bytes.
    pub fn len(&self) -> usize {
        match self {
            Buffer::Owned(buffer) => buffer.len(),
            Buffer::Lent(buffer) => buffer.len(),
        }
    }

    /// Whether it has no byte.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One transfer.
pub struct Request {
    /// What to do.
    pub operation: Operation,
    /// Where on the device; empty for a flush.
    pub range: DeviceRange,
    /// The memory; none for a flush. As long as the range.
    pub buffer: Option<Buffer>,
    /// Handed back in the completion.
    pub tag: u64,
    /// Told how it ended.
    pub completer: Arc<dyn Completer>,
}

impl Request {
    /// The bytes to write from; for a device that has this request and moves the bytes itself. None for a flush.
    pub fn bytes(&self) -> &[u8] {
        let Some(buffer) = &self.buffer else { return &[] };
        // SAFETY: not completed yet, so by the promise of `RawBuffer::new` (or because the request owns them) these
        // bytes are allocated, and nobody writes them while the borrow lasts.
        unsafe { std::slice::from_raw_parts(buffer.address().as_ptr(), buffer.len()) }
    }

    /// The bytes to read into; for a device that has this request and moves the bytes itself. None for a flush.
    ///
    /// # Panics
    /// If this is a write: its memory may be shared with readers.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        assert!(self.operation != Operation::Write, "a device does not change what it is asked to write");
        let Some(buffer) = &self.buffer else { return &mut [] };
        // SAFETY: a read that has not completed yet, so by the promise of `RawBuffer::new` (or because the request owns
        // them) these bytes are allocated, and nobody else accesses them while the borrow lasts.
        unsafe { std::slice::from_raw_parts_mut(buffer.address().as_ptr(), buffer.len()) }
    }

    /// Ends this request without having started it.
    pub fn refuse(self, fault: Fault) {
        self.end(Err(fault));
    }

    /// Tells the completer how this request ended.
    pub fn end(self, result: Result<(), Fault>) {
        let result =
            result.map_err(|fault| DeviceError { operation: self.operation, range: self.range, fault });
        self.completer.complete(Completion { tag: self.tag, buffer: self.buffer, result });
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of bytes {} (tag {})", self.operation, self.range, self.tag)
    }
}
