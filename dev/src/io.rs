//! One transfer as an [`Op`]: awaited by a task, or waited for by a thread. It is started by the call, so several can be
//! in flight; who drops the `Op` gives up the result, and the device keeps the buffer until the transfer has ended.

use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use tidelock_format::DeviceRange;
use tidelock_sync::{Op, Pending};

use crate::{AlignedBuffer, BlockDevice, Buffer, Completer, Completion, DeviceError, Operation, Request};

/// Starts reading `range`.
pub fn read(device: &dyn BlockDevice, range: DeviceRange) -> Op<'_, Result<AlignedBuffer, DeviceError>> {
    let buffer = buffer_for(device, range);
    start(device, Operation::Read, range, Some(buffer))
        .map(|result| result.map(|buffer| buffer.expect("a read gives its buffer back")))
}

/// Starts writing `buffer` to `range`; it comes back. The write is durable only after a [`flush`].
pub fn write(
    device: &dyn BlockDevice,
    range: DeviceRange,
    buffer: AlignedBuffer,
) -> Op<'_, Result<AlignedBuffer, DeviceError>> {
    start(device, Operation::Write, range, Some(buffer))
        .map(|result| result.map(|buffer| buffer.expect("a write gives its buffer back")))
}

/// Starts making every write that has completed durable.
pub fn flush(device: &dyn BlockDevice) -> Op<'_, Result<(), DeviceError>> {
    start(device, Operation::Flush, nowhere(), None).map(|result| result.map(|_| ()))
}

/// The range of a flush.
pub(crate) fn nowhere() -> DeviceRange {
    DeviceRange::new(0, 0).expect("nothing ends at 0")
}

/// Memory to read `range` into. A range that cannot be read gets a small one: the device refuses the request, and says why.
pub(crate) fn buffer_for(device: &dyn BlockDevice, range: DeviceRange) -> AlignedBuffer {
    let is_readable = range.check(device.size(), device.align() as u64).is_ok() && !range.is_empty();
    AlignedBuffer::zeroed(if is_readable { range.len() as usize } else { device.align() }, device.align())
}

type Outcome = Result<Option<AlignedBuffer>, DeviceError>;

fn start(
    device: &dyn BlockDevice,
    operation: Operation,
    range: DeviceRange,
    buffer: Option<AlignedBuffer>,
) -> Op<'_, Outcome> {
    let slot = Slot::new();
    device.submit(&mut vec![slot.request(operation, range, buffer)]);
    match slot.take() {
        Some(outcome) => Op::ready(outcome),
        None => Op::pending(InFlight { device, slot }),
    }
}

struct InFlight<'a> {
    device: &'a dyn BlockDevice,
    slot: Arc<Slot>,
}

impl Pending<Outcome> for InFlight<'_> {
    fn try_now(&mut self) -> Option<Outcome> {
        self.slot.take()
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Outcome> {
        match self.slot.take_or_wake(context.waker()) {
            Some(outcome) => Poll::Ready(outcome),
            None => {
                self.device.attend();
                Poll::Pending
            }
        }
    }

    fn wait(&mut self, deadline: Option<Instant>) -> Option<Outcome> {
        self.device.drive(&|| self.slot.is_over(), deadline);
        self.slot.take()
    }
}

/// Where one request's result arrives.
#[derive(Debug, Default)]
pub(crate) struct Slot(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    completion: Option<Completion>,
    waker: Option<Waker>,
}

impl Slot {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// A request whose result arrives here.
    pub(crate) fn request(
        self: &Arc<Self>,
        operation: Operation,
        range: DeviceRange,
        buffer: Option<AlignedBuffer>,
    ) -> Request {
        Request { operation, range, buffer: buffer.map(Buffer::Owned), tag: 0, completer: self.clone() }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.lock().completion.is_some()
    }

    pub(crate) fn take(&self) -> Option<Outcome> {
        self.lock().completion.take().map(outcome)
    }

    fn take_or_wake(&self, waker: &Waker) -> Option<Outcome> {
        let mut state = self.lock();
        if state.completion.is_none() {
            state.waker = Some(waker.clone());
        }
        state.completion.take().map(outcome)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nothing panics with a slot in hand")
    }
}

impl Completer for Slot {
    fn complete(&self, completion: Completion) {
        let waker = {
            let mut state = self.lock();
            state.completion = Some(completion);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

fn outcome(completion: Completion) -> Outcome {
    completion.result?;
    match completion.buffer {
        Some(Buffer::Owned(buffer)) => Ok(Some(buffer)),
        None => Ok(None),
        Some(Buffer::Lent(_)) => unreachable!("a slot's requests own their buffer"),
    }
}
