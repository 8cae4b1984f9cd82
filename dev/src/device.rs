//! What every device can do.

use std::fmt;
use std::time::Instant;

use crate::Request;

/// What a driving thread waits for.
pub type Done<'a> = &'a (dyn Fn() -> bool + Sync);

/// A block device: an array of bytes, read and written in multiples of [`align`](BlockDevice::align).
///
/// # Contract
/// - Each submitted request gets exactly one completion, possibly before `submit` returns, whatever happens to the
///   device: an early refusal is a completion with an error too.
/// - A batch is *submitted* in order; requests may complete in any order. Nobody may rely on the order of two writes
///   that are in flight together.
/// - A flush is a real barrier: every write whose completion was delivered before the flush was submitted is durable
///   once the flush has completed without error. After a failed flush every further write and flush fails with
///   [`Fault::FlushFailed`](crate::Fault::FlushFailed).
/// - Somebody must drive: completions are delivered by a thread inside [`drive`](BlockDevice::drive), or by the device's
///   own thread after [`attend`](BlockDevice::attend). (A device that completes at once delivers inside `submit`, one
///   that has threads anyway delivers on them.)
/// - Dropping a device waits for what is in flight, and delivers it.
pub trait BlockDevice: Send + Sync + fmt::Debug + 'static {
    /// Bytes it holds.
    fn size(&self) -> u64;

    /// Offsets, lengths and buffer addresses are multiples of this: a power of two, in bytes.
    fn align(&self) -> usize;

    /// Takes all requests out of `batch` and starts them. Never blocks for longer than it takes to make room in the
    /// submission queue.
    fn submit(&self, batch: &mut Vec<Request>);

    /// As [`submit`](BlockDevice::submit), except that the requests may lie until somebody waits for this device, for
    /// whatever: in [`drive`](BlockDevice::drive), also with a deadline that is over, or after
    /// [`attend`](BlockDevice::attend). If somebody waits already they start at once. For whoever is about to wait: to
    /// start a request and to wait for it is one system call then.
    fn queue(&self, batch: &mut Vec<Request>) {
        self.submit(batch);
    }

    /// Delivers completions on the calling thread until `done` holds, or until `deadline`; tells whether `done` held.
    /// Blocks while there is nothing to deliver. With a deadline that has passed it delivers what has completed, and never
    /// blocks.
    ///
    /// Without a deadline the thread may make a transfer itself that lies queued, its own or another's, and then it blocks
    /// until that has ended; with one it never does.
    ///
    /// `done` is looked at after every delivery, whoever made it, possibly by the thread that made it: a thread is woken
    /// only when its own wait is over. So `done` is a quick look at shared state that takes no lock which is held
    /// around a call into this device, and it becomes true by deliveries of this device alone.
    fn drive(&self, done: Done<'_>, deadline: Option<Instant>) -> bool;

    /// [`submit`](BlockDevice::submit), then [`drive`](BlockDevice::drive). Worth its own name because a device that
    /// knows that the submitter is going to wait can start the requests and wait for them in one system call, or do the
    /// transfer on the spot.
    fn submit_and_drive(&self, batch: &mut Vec<Request>, done: Done<'_>, deadline: Option<Instant>) -> bool {
        self.submit(batch);
        self.drive(done, deadline)
    }

    /// Makes sure that completions are delivered although no thread drives: somebody waits in a future. Cheap when it
    /// was called before.
    fn attend(&self);

    /// One line for people: what it is, and how it is reached.
    fn describe(&self) -> String;
}
