//! One write of a dirty set: its requests, until the last completion is in.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Instant;
use tidelock_sync::atomic::{AtomicUsize, Ordering};

use tidelock_dev::{Buffer, Completer, Completion, DeviceError, Operation, RawBuffer, Request};
use tidelock_format::{BlockHeader, BlockNo, Checksum, Seq};
use tidelock_sync::{Event, Listener};
use tracing::{Span, debug_span, field};

use crate::raw::frame::FrameNo;
use crate::shared::Shared;

/// Blocks sealed before the device is given the first of them. Few, so that it begins soon: checksums of the next overlap with
/// the writing of these. Twice as many follow each time, for neighbours that come together are one transfer; at the most so many.
const SEALED_FIRST: usize = 4;
const SEALED_MAX: usize = 64;

/// What a write did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WriteReport {
    /// Blocks written.
    pub blocks: u64,
    /// Bytes written.
    pub bytes: u64,
}

/// A write of which at least one block failed. All of them are still dirty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{failed} of {blocks} blocks could not be written and all stay dirty; the first: {first}")]
#[non_exhaustive]
pub struct WriteError {
    /// Blocks that failed.
    pub failed: u64,
    /// Blocks in all.
    pub blocks: u64,
    /// The first failure that came in.
    pub first: DeviceError,
}

/// How a write ended.
pub(crate) struct Written {
    pub(crate) report: WriteReport,
    pub(crate) failed: Option<WriteError>,
}

/// The requests of one write.
#[derive(Debug)]
pub(crate) struct WriteSet {
    /// Keeps the frames alive while the device reads them.
    shared: Arc<Shared>,
    blocks: usize,
    left: AtomicUsize,
    failures: Mutex<(u64, Option<DeviceError>)>,
    ended: Event,
    listener: Mutex<Option<Listener>>,
    /// From sealing the first block until the last completion.
    span: Span,
}

impl WriteSet {
    /// Seals the blocks and submits them in the order given.
    pub(crate) fn submit(shared: &Arc<Shared>, blocks: &[(BlockNo, FrameNo, Seq)]) -> Arc<Self> {
        let bytes = blocks.len() * shared.core.frames.size().bytes();
        let span =
            debug_span!("write", cache = %shared.name, blocks = blocks.len(), bytes, failed = field::Empty);
        let write = Arc::new(Self {
            shared: shared.clone(),
            blocks: blocks.len(),
            left: AtomicUsize::new(blocks.len()),
            failures: Mutex::default(),
            ended: Event::new(),
            listener: Mutex::new(None),
            span,
        });
        shared.core.counters.device_writes.add(blocks.len() as u64);
        let (mut rest, mut count) = (blocks, SEALED_FIRST);
        while !rest.is_empty() {
            let (next, later) = rest.split_at(count.min(rest.len()));
            shared.submit(next.iter().map(|block| write.request(*block)).collect());
            (rest, count) = (later, SEALED_MAX.min(2 * count));
        }
        write
    }

    fn request(self: &Arc<Self>, (blkno, frame, seq): (BlockNo, FrameNo, Seq)) -> Request {
        let core = &self.shared.core;
        self.seal(blkno, frame, seq);
        // SAFETY: F4, W3: the frame is dirty and pinned by its writer, who waits for this completion before it lets anybody
        // touch the image; the arena lives as long as the completer does.
        let buffer = unsafe { RawBuffer::new(core.frames.address(frame), core.frames.size().bytes()) };
        Request {
            operation: Operation::Write,
            range: self.shared.range_of(blkno).expect("W2: checked when it was dirtied"),
            buffer: Some(Buffer::Lent(buffer)),
            tag: frame.index() as u64,
            completer: self.clone(),
        }
    }

    /// Puts the header right, whatever the writer did to it, and the checksum in.
    fn seal(&self, blkno: BlockNo, frame: FrameNo, seq: Seq) {
        let core = &self.shared.core;
        let magic = core.header(frame).magic();
        // SAFETY: F4: the writer is borrowed for this call, so no DirtyBlock is out, and no write is in flight (W3).
        let image = unsafe { core.frames.image_mut(frame) };
        BlockHeader { crc: Checksum(0), magic, fsid: self.shared.fsid, seq, blkno }.write(image);
        BlockHeader::seal(image);
    }

    fn is_done(&self) -> bool {
        // Acquire: pairs with the Release in complete(): the failures are noted.
        self.left.load(Ordering::Acquire) == 0
    }

    /// Waits until all completions are in; tells whether they are.
    pub(crate) fn wait(&self, shared: &Shared, deadline: Option<Instant>) -> bool {
        self.is_done() || shared.device.drive(&|| self.is_done(), deadline)
    }

    pub(crate) fn poll(&self, shared: &Shared, context: &mut Context<'_>) -> Poll<()> {
        let mut kept = self.listener.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        loop {
            if self.is_done() {
                return Poll::Ready(());
            }
            let Some(listener) = kept.as_mut() else {
                // Listen, then look once more, then wait.
                *kept = Some(self.ended.listen());
                shared.device.attend();
                continue;
            };
            if Pin::new(listener).poll(context).is_pending() {
                return Poll::Pending;
            }
            *kept = None;
        }
    }

    pub(crate) fn outcome(&self) -> Written {
        let (failed, first) = *self.failures.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let blocks = self.blocks as u64;
        let bytes = blocks * self.shared.core.frames.size().bytes() as u64;
        self.span.record("failed", failed);
        let failed = first.map(|first| WriteError { failed, blocks, first });
        Written { report: WriteReport { blocks, bytes }, failed }
    }

    // --- a write that was given up, as the writer's next call finds it ----------------------------------------------

    /// Whether nothing is in flight in `slot`; empties it then.
    pub(crate) fn is_done_in(slot: &mut Option<Arc<Self>>) -> bool {
        let is_done = slot.as_ref().is_none_or(|write| write.is_done());
        if is_done {
            *slot = None;
        }
        is_done
    }

    pub(crate) fn wait_in(slot: &mut Option<Arc<Self>>, shared: &Shared, deadline: Option<Instant>) -> bool {
        slot.as_ref().is_none_or(|write| write.wait(shared, deadline)) && Self::is_done_in(slot)
    }

    pub(crate) fn poll_in(
        slot: &mut Option<Arc<Self>>,
        shared: &Shared,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        if let Some(write) = slot {
            std::task::ready!(write.poll(shared, context));
        }
        *slot = None;
        Poll::Ready(())
    }
}

impl Completer for WriteSet {
    fn complete(&self, completion: Completion) {
        if let Err(error) = completion.result {
            self.shared.core.counters.write_errors.count();
            let mut failures = self.failures.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            failures.0 += 1;
            failures.1.get_or_insert(error);
        }
        // Release: pairs with the Acquire in is_done().
        if self.left.fetch_sub(1, Ordering::Release) == 1 {
            self.ended.notify_all();
        }
    }
}
