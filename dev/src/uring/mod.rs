//! A file or block device through io_uring.
//!
//! Any thread submits: it fills the ring under a mutex and enters the kernel outside of it. A thread that submits in order
//! to wait does both in one system call. Who waits is [`Driver`]'s business; what is in flight is the [`table`]'s; only
//! [`ring`] talks to the kernel.
//!
//! A ring is for many requests. A lone read whose thread waits for it with all the time in the world, while nothing else is
//! in hand, is one `pread` on that thread: the kernel wakes it directly then, not by way of a completion queue.
//!
//! Small reads land in [`bounce`] buffers. Whoever delivers them copies them to where they are wanted.
//!
//! Dropping the device waits for what is in flight. Should the kernel not answer for [`LAST_WAIT_MAX`], ring, requests
//! and buffers are leaked: the kernel may still write to them.

mod attendant;
mod bounce;
mod ring;
mod table;

use std::fmt;
use std::io;
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use self::attendant::Attendant;
use self::ring::Ring;
use crate::device::Done;
use crate::driver::{Driver, Source};
use crate::file::LockedFile;
use crate::gate::Gate;
use crate::transfer::Transfer;
use crate::{BlockDevice, Request};

/// How long dropping the device waits for the kernel.
const LAST_WAIT_MAX: Duration = Duration::from_secs(30);

/// A file or block device through io_uring. Made by [`OpenOptions`](crate::OpenOptions).
#[derive(Debug)]
pub struct UringDevice {
    core: Arc<Core>,
    attendant: Attendant,
}

impl UringDevice {
    /// A device on `file` with at most `depth` requests in the kernel. `may_bounce`: small reads, if the kernel permits.
    pub(crate) fn new(
        file: LockedFile,
        gate: Gate,
        depth: u32,
        may_bounce: bool,
        label: String,
    ) -> io::Result<Self> {
        let ring = ManuallyDrop::new(Ring::new(file, depth, may_bounce)?);
        let core = Core { gate, ring, driver: Driver::default(), in_flight: AtomicUsize::new(0), label };
        Ok(Self { core: Arc::new(core), attendant: Attendant::default() })
    }

    /// Drives, and starts what is queued even when `done` holds already.
    fn drive_on(&self, done: Done<'_>, deadline: Option<Instant>) -> bool {
        // Who has a deadline leaves it to the ring: a read of a stuck medium does not return in time.
        let may_read = deadline.is_none() && !done();
        let held = may_read && self.core.read_lone() && done()
            || self.core.driver.drive(&*self.core, done, deadline);
        self.look();
        held
    }

    /// Leaves what is in flight to the attendant, if there is one. Not called before driving: who drives anyway needs
    /// no other thread to be woken.
    fn look(&self) {
        if !self.core.is_idle() {
            self.attendant.look();
        }
    }
}

impl BlockDevice for UringDevice {
    fn size(&self) -> u64 {
        self.core.gate.size()
    }

    fn align(&self) -> usize {
        self.core.gate.align()
    }

    fn submit(&self, batch: &mut Vec<Request>) {
        self.core.queue(batch);
        self.core.start();
        self.look();
    }

    fn queue(&self, batch: &mut Vec<Request>) {
        self.core.queue(batch);
        self.core.driver.queued(&*self.core);
        self.look();
    }

    fn drive(&self, done: Done<'_>, deadline: Option<Instant>) -> bool {
        done() || self.drive_on(done, deadline)
    }

    fn submit_and_drive(&self, batch: &mut Vec<Request>, done: Done<'_>, deadline: Option<Instant>) -> bool {
        self.core.queue(batch);
        self.drive_on(done, deadline)
    }

    fn attend(&self) {
        self.attendant.begin(&self.core);
        // What was queued need not lie until that thread is awake.
        self.core.start();
    }

    fn describe(&self) -> String {
        self.core.label.clone()
    }
}

impl Drop for UringDevice {
    fn drop(&mut self) {
        self.attendant.dismiss(&self.core);
    }
}

/// What the device shares with its attendant.
struct Core {
    gate: Gate,
    ring: ManuallyDrop<Ring>,
    driver: Driver,
    /// Requests taken and not yet delivered.
    in_flight: AtomicUsize,
    label: String,
}

impl Core {
    /// Takes the batch: refuses what the gate refuses, queues the rest without entering the kernel.
    fn queue(&self, batch: &mut Vec<Request>) {
        // Relaxed: read by the attendant after an Event's fence, and by who drops the device, alone by then.
        self.in_flight.fetch_add(batch.len(), Ordering::Relaxed);
        let mut refused = Vec::new();
        let mut submissions = self.ring.submissions();
        for request in batch.drain(..) {
            match self.gate.check(&request) {
                Ok(()) => submissions.table.accept(request),
                Err(fault) => refused.push((request, fault)),
            }
        }
        drop(submissions);
        if !refused.is_empty() {
            self.refuse(refused);
        }
    }

    /// Reads on this thread what is in hand, if that is one read and nothing else. Tells whether it was.
    fn read_lone(&self) -> bool {
        let Some(request) = self.ring.submissions().table.take_lone_read() else { return false };
        let mut transfer = Transfer::new(request);
        let result = transfer.run(self.ring.file(), self.gate.align());
        transfer.request.end(result);
        self.delivered(1);
        self.driver.delivered_outside(self);
        true
    }

    fn refuse(&self, refused: Vec<(Request, crate::Fault)>) {
        let count = refused.len();
        for (request, fault) in refused {
            request.refuse(fault);
        }
        self.delivered(count);
        self.driver.delivered_outside(self);
    }

    fn delivered(&self, count: usize) {
        // Release: pairs with the Acquire in `is_idle`; whoever sees the device idle sees what was delivered.
        self.in_flight.fetch_sub(count, Ordering::Release);
    }

    fn is_idle(&self) -> bool {
        // Acquire: pairs with the Release in `delivered`.
        self.in_flight.load(Ordering::Acquire) == 0
    }
}

impl Source for Core {
    fn deliver(&self) -> bool {
        let mut answers = Vec::new();
        let has_knocked = self.ring.reap(&mut answers);
        if answers.is_empty() {
            return has_knocked;
        }
        let mut ended = Vec::with_capacity(answers.len());
        let mut submissions = self.ring.submissions();
        for answer in answers {
            submissions.table.answered(answer.slot, answer.answer, &self.gate, &mut ended);
        }
        let has_next = submissions.table.has_next();
        drop(submissions);
        if has_next {
            self.ring.start();
        }
        let count = ended.len();
        ended.into_iter().for_each(|ended| ended.deliver(self.ring.bounces()));
        self.delivered(count);
        true
    }

    fn wait(&self, deadline: Option<Instant>) {
        self.ring.wait(deadline);
    }

    fn start(&self) {
        self.ring.start();
    }

    fn knock(&self) {
        self.ring.knock();
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        let deadline = Instant::now() + LAST_WAIT_MAX;
        if self.driver.drive(self, &|| self.is_idle(), Some(deadline)) {
            // SAFETY: dropped once, here; nothing is in flight, so the kernel holds no address of ours.
            unsafe { ManuallyDrop::drop(&mut self.ring) };
            return;
        }
        let count = self.ring.submissions().table.len();
        tracing::error!(
            device = self.label,
            count,
            "the kernel did not answer for requests in flight; their buffers are leaked, because it may still write them"
        );
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.label)
    }
}
