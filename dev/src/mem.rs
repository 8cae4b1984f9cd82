//! A device in memory: for tests, models and measurements without a medium. Completes inside `submit`.
//!
//! It is sparse: a page nobody wrote takes no memory and reads as zeros. Everything happens under one mutex, so a request
//! is atomic here; what real devices do to requests in flight is played by the decorators.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Instant;

use crate::device::Done;
use crate::driver::Driver;
use crate::gate::Gate;
use crate::{BlockDevice, Fault, Operation, Request};

const PAGE: u64 = 64 << 10;

/// A block device in memory.
#[derive(Debug)]
pub struct MemDevice {
    gate: Gate,
    medium: Mutex<Medium>,
    driver: Driver,
}

impl MemDevice {
    /// `size` zeroed bytes in units of 512.
    ///
    /// # Panics
    /// If `size` is not a multiple of 512.
    pub fn new(size: u64) -> Self {
        Self::with_align(size, 512)
    }

    /// `size` zeroed bytes in units of `align`.
    ///
    /// # Panics
    /// If `align` is not a power of two, or `size` is not a multiple of it.
    pub fn with_align(size: u64, align: usize) -> Self {
        let gate = Gate::new(size, align, false);
        assert!(size.is_multiple_of(align as u64), "{size} bytes are not a multiple of the unit, {align}");
        Self {
            gate,
            medium: Mutex::new(Medium { end: size, pages: BTreeMap::new() }),
            driver: Driver::default(),
        }
    }

    /// Cuts the medium off at `end` bytes while the device is open, as somebody else might do to a file: transfers
    /// beyond fail with [`Fault::Short`].
    pub fn truncate(&self, end: u64) {
        let mut medium = self.lock();
        medium.end = medium.end.min(end);
    }

    /// Bytes of memory that hold data.
    pub fn resident(&self) -> u64 {
        self.lock().pages.len() as u64 * PAGE
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Medium> {
        self.medium.lock().expect("no transfer panics")
    }

    fn transfer(&self, request: &mut Request) -> Result<(), Fault> {
        self.gate.check(request)?;
        let offset = request.range.offset();
        let mut medium = self.lock();
        let moved = match request.operation {
            Operation::Read => medium.read(offset, request.bytes_mut()),
            Operation::Write => medium.write(offset, request.bytes()),
            Operation::Flush => return Ok(()),
        };
        if moved == request.range.len() { Ok(()) } else { Err(Fault::Short { got: moved }) }
    }
}

impl BlockDevice for MemDevice {
    fn size(&self) -> u64 {
        self.gate.size()
    }

    fn align(&self) -> usize {
        self.gate.align()
    }

    fn submit(&self, batch: &mut Vec<Request>) {
        for mut request in batch.drain(..) {
            let result = self.transfer(&mut request);
            request.end(result);
        }
        self.driver.call_done();
    }

    fn drive(&self, done: Done<'_>, deadline: Option<Instant>) -> bool {
        // Whatever this thread submitted has completed; what it waits for, another thread is about to submit.
        done() || self.driver.watch(done, deadline)
    }

    fn attend(&self) {}

    fn describe(&self) -> String {
        format!("memory, {} bytes in units of {}", self.gate.size(), self.gate.align())
    }
}

#[derive(Debug)]
struct Medium {
    /// Bytes that are still there.
    end: u64,
    pages: BTreeMap<u64, Box<[u8]>>,
}

impl Medium {
    fn read(&self, offset: u64, buffer: &mut [u8]) -> u64 {
        let moved = self.reach(offset, buffer.len());
        for (page, within, at, len) in pieces(offset, moved) {
            let into = &mut buffer[at..at + len];
            match self.pages.get(&page) {
                Some(bytes) => into.copy_from_slice(&bytes[within..within + len]),
                None => into.fill(0),
            }
        }
        moved
    }

    fn write(&mut self, offset: u64, buffer: &[u8]) -> u64 {
        let moved = self.reach(offset, buffer.len());
        for (page, within, at, len) in pieces(offset, moved) {
            let bytes = self.pages.entry(page).or_insert_with(|| vec![0; PAGE as usize].into_boxed_slice());
            bytes[within..within + len].copy_from_slice(&buffer[at..at + len]);
        }
        moved
    }

    fn reach(&self, offset: u64, len: usize) -> u64 {
        self.end.saturating_sub(offset).min(len as u64)
    }
}

/// Cuts `len` bytes from `offset` on at page ends: (page, offset in it, offset in the buffer, bytes).
fn pieces(offset: u64, len: u64) -> impl Iterator<Item = (u64, usize, usize, usize)> {
    let end = offset + len;
    let mut next = offset;
    std::iter::from_fn(move || {
        let at = next;
        let stop = end.min((at / PAGE + 1) * PAGE);
        next = stop;
        (at < end).then(|| (at / PAGE, (at % PAGE) as usize, (at - offset) as usize, (stop - at) as usize))
    })
}
