//! Who may pass to the medium: the checks that every device makes before it starts a request, in one place.
//!
//! What is behind the gate can rely on a range inside the device and on its unit, on a buffer of the same length at an
//! aligned address, on no write to a device opened for reading, and on no write after a failed flush.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::{Fault, Operation, Request};

/// The geometry of a device, and whether it still takes writes.
#[derive(Debug)]
pub(crate) struct Gate {
    size: u64,
    align: usize,
    read_only: bool,
    flush_failed: AtomicBool,
}

impl Gate {
    /// A gate to `size` bytes in units of `align`.
    pub(crate) fn new(size: u64, align: usize, read_only: bool) -> Self {
        assert!(align.is_power_of_two(), "a device's unit is a power of two, not {align}");
        Self { size, align, read_only, flush_failed: AtomicBool::new(false) }
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn align(&self) -> usize {
        self.align
    }

    #[cfg(not(any(tidelock_loom, tidelock_shuttle)))]
    pub(crate) fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// Whether `request` may be started.
    pub(crate) fn check(&self, request: &Request) -> Result<(), Fault> {
        match request.operation {
            Operation::Read => self.check_transfer(request),
            Operation::Write if self.read_only => Err(Fault::ReadOnly),
            Operation::Write => self.check_sound().and_then(|()| self.check_transfer(request)),
            Operation::Flush if request.buffer.is_some() => Err(Fault::Buffer("a flush takes none")),
            Operation::Flush => self.check_sound(),
        }
    }

    /// An error once a flush has failed: what was written before may be lost, and nothing may build on it.
    pub(crate) fn check_sound(&self) -> Result<(), Fault> {
        // Acquire: pairs with the Release in `flushed`; who was told of the failed flush is refused from then on.
        if self.flush_failed.load(Ordering::Acquire) { Err(Fault::FlushFailed) } else { Ok(()) }
    }

    /// Remembers a failed flush. Called before the failure is delivered.
    pub(crate) fn flushed(&self, result: Result<(), Fault>) -> Result<(), Fault> {
        if result.is_err() {
            // Release: pairs with the Acquire in `check_sound`.
            self.flush_failed.store(true, Ordering::Release);
        }
        result
    }

    fn check_transfer(&self, request: &Request) -> Result<(), Fault> {
        request.range.check(self.size, self.align as u64)?;
        let Some(buffer) = &request.buffer else { return Err(Fault::Buffer("it has none")) };
        if buffer.is_empty() {
            return Err(Fault::Buffer("it is empty"));
        }
        if buffer.len() as u64 != request.range.len() {
            return Err(Fault::Buffer("its length is not the range's"));
        }
        if !buffer.address().addr().get().is_multiple_of(self.align) {
            return Err(Fault::Buffer("its address is not aligned for this device"));
        }
        Ok(())
    }
}
