//! The ring: the one file that talks to io_uring.
//!
//! A plain ring. `SINGLE_ISSUER` and `DEFER_TASKRUN` want all submissions to come from one thread, and here every thread
//! submits its own. `COOP_TASKRUN` would let a completion lie until the thread that submitted it next enters the kernel,
//! while another thread may be waiting for it.
//!
//! Correctness rests on two mutexes, each held while the one queue that it guards is touched:
//! 1. The submission queue is filled only under the caller's lock on [`Submissions`].
//! 2. The completion queue is emptied only under `completions`.
//!
//! Entering the kernel takes neither: several threads may be in `io_uring_enter` at once. Each asks for all that is
//! queued; the kernel takes what there still is, under its own lock.

use std::io;
use std::os::fd::AsRawFd;
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

use io_uring::types::{Fixed, FsyncFlags, SubmitArgs, Timespec};
use io_uring::{IoUring, opcode, squeue};
use rustix::io::Errno;

use super::bounce::BounceBuffers;
use super::table::InFlight;
use crate::Operation;
use crate::file::LockedFile;

/// `user_data` of the entry that only wakes whoever waits. Slots are smaller.
const KNOCK: u64 = u64::MAX;

/// Tries to enter the kernel before leaving what is queued to the next who enters.
const ENTER_RETRIES_MAX: u32 = 64;

/// Completions taken from the queue first after a wait, and at the most. Few, so that whoever keeps a window of requests
/// replaces the first of many that ended at once while the rest still lie in the queue: a device that tells of thirty together,
/// as those of virtual machines do, is idle until it gets the first new one. Each time that more lie there twice as many are
/// taken, for the device has something to do by then.
const REAP_FIRST: usize = 2;
const REAP_MAX: usize = 16;

/// So many entries the kernel starts one after the other without plugging the device (`IO_PLUG_THRESHOLD`).
const UNPLUGGED: u32 = 2;

/// A larger batch goes at once: system calls would cost more than the device gains.
const SCATTERED_MAX: u32 = 128;

/// An io_uring for one file.
pub(super) struct Ring {
    ring: IoUring,
    submissions: Mutex<Submissions>,
    completions: Mutex<Completions>,
    /// Registered with the ring, and not freed before it.
    bounces: Option<BounceBuffers>,
    /// Registered with the ring, and kept open as long as it.
    file: LockedFile,
}

/// What is changed together with the submission queue.
#[derive(Debug)]
pub(super) struct Submissions {
    pub(super) table: super::table::Table,
    /// At most one, so that slots + 1 entries are always enough.
    is_knocking: bool,
}

/// What is changed together with the completion queue.
#[derive(Debug)]
struct Completions {
    /// So many are taken next.
    to_take: usize,
}

/// What one call put into the submission queue.
#[derive(Clone, Copy, Debug)]
struct Filled {
    count: u32,
    /// None of them begins where the one before ends.
    is_scattered: bool,
}

/// What the kernel said of one slot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    pub(super) slot: u32,
    pub(super) answer: i32,
}

impl Ring {
    /// A ring with room for `depth` requests in the kernel, for `file`. `may_bounce`: small reads, if the kernel permits.
    pub(super) fn new(file: LockedFile, depth: u32, may_bounce: bool) -> io::Result<Self> {
        // One entry more, for the knock.
        let ring = IoUring::builder().setup_submit_all().build(depth + 1).or_else(|error| {
            // Before Linux 5.18 the flag is unknown; without it an entry that the kernel refuses stops the batch, and
            // the rest goes with the next enter.
            if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) {
                IoUring::new(depth + 1)
            } else {
                Err(error)
            }
        })?;
        let parameters = ring.params();
        if !parameters.is_feature_ext_arg() || !parameters.is_feature_nodrop() {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "it cannot wait with a deadline"));
        }
        ring.submitter().register_files(&[file.as_raw_fd()])?;
        let table = super::table::Table::new(depth);
        let bounces = may_bounce.then(|| register_bounces(&ring)).flatten();
        Ok(Self {
            ring,
            submissions: Mutex::new(Submissions { table, is_knocking: false }),
            completions: Mutex::new(Completions { to_take: REAP_FIRST }),
            bounces,
            file,
        })
    }

    /// The table, and with it the right to fill the submission queue. What it holds goes there with the next `start` or
    /// `wait`.
    pub(super) fn submissions(&self) -> MutexGuard<'_, Submissions> {
        self.submissions.lock().expect("nothing panics with the table in hand")
    }

    /// What small reads are bounced in, if they are.
    pub(super) fn bounces(&self) -> Option<&BounceBuffers> {
        self.bounces.as_ref()
    }

    /// The file, for whoever reads it without the ring.
    pub(super) fn file(&self) -> &LockedFile {
        &self.file
    }

    /// Fills the submission queue with whatever the table lets go, and starts most of it if it is scattered.
    fn fill(&self) {
        let mut submissions = self.submissions();
        let mut filled = Filled { count: 0, is_scattered: true };
        let mut last_end = None;
        while let Some((slot, in_flight)) = submissions.table.next(self.bounces()) {
            let transfer = &in_flight.transfer;
            filled.is_scattered &= last_end != Some(transfer.offset());
            last_end = Some(transfer.offset() + transfer.rest() as u64);
            self.push(&self.entry(in_flight).user_data(u64::from(slot)));
            filled.count += 1;
        }
        drop(submissions);
        self.start_scattered(filled);
    }

    /// Enters the kernel with most of a small scattered batch, two at a time; `start` or `wait` takes the rest.
    ///
    /// Of three or more the kernel lets the first wait for the last, so as to merge neighbours. Where there are none
    /// that only keeps the device idle: 4 KiB reads at depth 32 took 325 µs instead of 280, against 272 by fio.
    fn start_scattered(&self, filled: Filled) {
        if !filled.is_scattered || filled.count > SCATTERED_MAX {
            return;
        }
        for _ in 0..filled.count.saturating_sub(1) / UNPLUGGED {
            // SAFETY: takes entries from the queue, whose buffers the table owns, and no argument.
            let taken = unsafe { self.ring.submitter().enter::<()>(UNPLUGGED, 0, 0, None) };
            if taken.is_err() {
                // `start` and `wait` know what to do.
                return;
            }
        }
    }

    /// Makes the present or the next `wait` return.
    pub(super) fn knock(&self) {
        let mut submissions = self.submissions();
        if submissions.is_knocking {
            return;
        }
        submissions.is_knocking = true;
        self.push(&opcode::Nop::new().build().user_data(KNOCK));
        drop(submissions);
        self.start();
    }

    /// Enters the kernel with what the table lets go, if anything is to be started.
    pub(super) fn start(&self) {
        self.fill();
        for _ in 0..ENTER_RETRIES_MAX {
            if self.is_all_started() {
                return;
            }
            if let Err(error) = self.ring.submit() {
                rest_after(&error);
            }
        }
        tracing::warn!("io_uring takes no requests now; they wait for the next try");
    }

    /// Enters the kernel with what the table lets go, and stays until there is a completion, or until `deadline`.
    pub(super) fn wait(&self, deadline: Option<Instant>) {
        self.fill();
        let answer = match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
            None => self.ring.submit_and_wait(1),
            Some(left) => {
                let left = Timespec::from(left);
                self.ring.submitter().submit_with_args(1, &SubmitArgs::new().timespec(&left))
            }
        };
        if let Err(error) = answer {
            rest_after(&error);
        }
        self.completions().to_take = REAP_FIRST;
    }

    /// Takes answers from the completion queue; tells whether somebody has knocked.
    pub(super) fn reap(&self, answers: &mut Vec<Answer>) -> bool {
        let mut has_knocked = false;
        {
            let mut completions = self.completions();
            // SAFETY: invariant 2: the mutex is held, so no other view of this queue exists.
            let queue = unsafe { self.ring.completion_shared() };
            for entry in queue.take(completions.to_take) {
                match entry.user_data() {
                    KNOCK => has_knocked = true,
                    slot => answers.push(Answer { slot: slot as u32, answer: entry.result() }),
                }
            }
            completions.to_take = REAP_MAX.min(2 * completions.to_take);
        }
        if has_knocked {
            self.submissions().is_knocking = false;
        }
        has_knocked
    }

    fn completions(&self) -> MutexGuard<'_, Completions> {
        self.completions.lock().expect("nothing panics while the queue is emptied")
    }

    fn is_all_started(&self) -> bool {
        let _guard = self.submissions();
        // SAFETY: invariant 1: the lock on the submissions is held, so no other view of this queue exists.
        let queue = unsafe { self.ring.submission_shared() };
        queue.is_empty()
    }

    fn entry(&self, in_flight: &InFlight) -> squeue::Entry {
        let InFlight { transfer, bounce } = in_flight;
        let request = &transfer.request;
        let Some(buffer) = &request.buffer else {
            return opcode::Fsync::new(FILE).flags(FsyncFlags::DATASYNC).build();
        };
        let (offset, moved) = (transfer.offset(), transfer.moved());
        // The kernel moves at most 2 GiB at a time; the rest is asked for again.
        let len = u32::try_from(transfer.rest()).unwrap_or(1 << 30);
        if let (Some(bounce), Some(bounces)) = (bounce, &self.bounces) {
            let address = bounces.address(bounce).wrapping_add(moved);
            return opcode::ReadFixed::new(FILE, address, len, BOUNCES).offset(offset).build();
        }
        let address = buffer.address().as_ptr().wrapping_add(moved);
        match request.operation {
            Operation::Read => opcode::Read::new(FILE, address, len).offset(offset).build(),
            Operation::Write => opcode::Write::new(FILE, address, len).offset(offset).build(),
            Operation::Flush => unreachable!("the gate lets no flush with a buffer through"),
        }
    }

    /// Only called under the lock on the submissions.
    fn push(&self, entry: &squeue::Entry) {
        // SAFETY: invariant 1: our caller holds the lock on the submissions, so no other view of this queue exists.
        let mut queue = unsafe { self.ring.submission_shared() };
        // SAFETY: the entry's buffer is owned by the slot in the table until the kernel has answered for it.
        let pushed = unsafe { queue.push(entry) };
        pushed
            .expect("each slot and the knock have one entry at most, and the queue has room for all of them");
    }
}

/// The ring's only file.
const FILE: Fixed = Fixed(0);

/// The bounce buffers' number among the registered buffers.
const BOUNCES: u16 = 0;

/// Bounce buffers that `ring` knows of. None if the kernel lets nobody register that much memory (`RLIMIT_MEMLOCK`): then
/// small reads go the way of all others.
fn register_bounces(ring: &IoUring) -> Option<BounceBuffers> {
    let bounces = BounceBuffers::new();
    let memory = bounces.memory();
    let place = libc::iovec { iov_base: memory.address().as_ptr().cast(), iov_len: memory.len() };
    // SAFETY: the memory is freed after the ring: `Ring` drops its fields in order.
    let registered = unsafe { ring.submitter().register_buffers(&[place]) };
    if let Err(error) = &registered {
        tracing::debug!(%error, "io_uring registers no buffers; small reads go without them");
    }
    registered.is_ok().then_some(bounces)
}

/// After an unsuccessful enter. Being interrupted and running into the deadline are the ordinary ends of a wait; anything
/// else is a lack of memory in the kernel, which gets time to pass.
fn rest_after(error: &io::Error) {
    let number = error.raw_os_error().map(Errno::from_raw_os_error);
    if matches!(number, Some(Errno::INTR | Errno::TIME)) {
        return;
    }
    tracing::debug!(%error, "io_uring_enter refused; trying again");
    std::thread::sleep(std::time::Duration::from_millis(1));
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ring({} entries)", self.ring.params().sq_entries())
    }
}
