//! A completer that remembers everything that it was told.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tidelock_format::DeviceRange;

use crate::{
    AlignedBuffer, BlockDevice, Buffer, Completer, Completion, DeviceError, Fault, Operation, Request,
};

#[derive(Debug, Default)]
pub(crate) struct Collector {
    completions: Mutex<Vec<Completion>>,
    count: AtomicUsize,
}

impl Completer for Collector {
    fn complete(&self, completion: Completion) {
        self.completions.lock().unwrap().push(completion);
        // Release: pairs with the Acquire in `count`.
        self.count.fetch_add(1, Ordering::Release);
    }
}

impl Collector {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(crate) fn count(&self) -> usize {
        // Acquire: pairs with the Release in `complete`.
        self.count.load(Ordering::Acquire)
    }

    /// Everything told so far, in order of tags.
    pub(crate) fn take(&self) -> Vec<Completion> {
        let mut all = std::mem::take(&mut *self.completions.lock().unwrap());
        all.sort_by_key(|completion| completion.tag);
        all
    }

    /// Submits, waits for as many completions as requests, and returns them in order of tags.
    pub(crate) fn run(
        self: &Arc<Self>,
        device: &dyn BlockDevice,
        mut batch: Vec<Request>,
    ) -> Vec<Completion> {
        let count = self.count() + batch.len();
        device.submit(&mut batch);
        assert!(batch.is_empty(), "submit takes all requests");
        assert!(device.drive(&|| self.count() >= count, None));
        self.take()
    }

    pub(crate) fn read(self: &Arc<Self>, device: &dyn BlockDevice, tag: u64, range: DeviceRange) -> Request {
        let buffer = AlignedBuffer::zeroed(range.len() as usize, device.align());
        self.request(Operation::Read, range, Some(buffer), tag)
    }

    pub(crate) fn write(
        self: &Arc<Self>,
        device: &dyn BlockDevice,
        tag: u64,
        range: DeviceRange,
        byte: u8,
    ) -> Request {
        let mut buffer = AlignedBuffer::zeroed(range.len() as usize, device.align());
        buffer.fill(byte);
        self.request(Operation::Write, range, Some(buffer), tag)
    }

    pub(crate) fn flush(self: &Arc<Self>, tag: u64) -> Request {
        self.request(Operation::Flush, range(0, 0), None, tag)
    }

    pub(crate) fn request(
        self: &Arc<Self>,
        operation: Operation,
        range: DeviceRange,
        buffer: Option<AlignedBuffer>,
        tag: u64,
    ) -> Request {
        Request { operation, range, buffer: buffer.map(Buffer::Owned), tag, completer: self.clone() }
    }
}

pub(crate) fn range(offset: u64, len: u64) -> DeviceRange {
    DeviceRange::new(offset, len).unwrap()
}

pub(crate) fn fault(result: &Result<(), DeviceError>) -> Option<Fault> {
    result.err().map(|error| error.fault)
}

pub(crate) fn bytes(completion: &Completion) -> &[u8] {
    match &completion.buffer {
        Some(Buffer::Owned(buffer)) => buffer,
        other => panic!("the request's own buffer comes back, not {other:?}"),
    }
}
