//! A file or block device through pread and pwrite on a few threads: for systems without io_uring.
//!
//! Requests wait in one queue. The device's threads take them from there, and so does a thread that is going to wait
//! anyway: a lone read happens on the thread that wants it. Completions are delivered wherever the call was made.
//!
//! Flushes go one at a time: of two side by side the kernel would tell only one of a lost write.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use tidelock_sync::Event;

use crate::device::Done;
use crate::driver::Driver;
use crate::file::LockedFile;
use crate::gate::Gate;
use crate::transfer::Transfer;
use crate::{BlockDevice, Fault, Operation, Request};

/// How long dropping the device waits for calls that the kernel does not return from.
const LAST_WAIT_MAX: Duration = Duration::from_secs(30);

/// A file or block device through pread and pwrite. Made by [`OpenOptions`](crate::OpenOptions).
#[derive(Debug)]
pub struct ThreadsDevice {
    core: Arc<Core>,
    threads: Vec<JoinHandle<()>>,
}

impl ThreadsDevice {
    /// A device on `file` that makes at most `threads` calls at a time besides those of waiting threads.
    pub(crate) fn new(file: LockedFile, gate: Gate, threads: u32, label: String) -> io::Result<Self> {
        let core = Arc::new(Core {
            file,
            gate,
            label,
            queue: Mutex::new(Queue::default()),
            queued: Event::new(),
            driver: Driver::default(),
            flushing: Mutex::new(()),
        });
        let mut device = Self { core, threads: Vec::new() };
        for number in 0..threads.max(1) {
            let core = device.core.clone();
            let thread = std::thread::Builder::new().name(format!("tidelock-io-{number}"));
            device.threads.push(thread.spawn(move || core.work())?);
        }
        Ok(device)
    }
}

impl BlockDevice for ThreadsDevice {
    fn size(&self) -> u64 {
        self.core.gate.size()
    }

    fn align(&self) -> usize {
        self.core.gate.align()
    }

    fn submit(&self, batch: &mut Vec<Request>) {
        let queued = self.core.enqueue(batch);
        self.core.wake(queued);
    }

    fn drive(&self, done: Done<'_>, deadline: Option<Instant>) -> bool {
        // Who has a deadline leaves the calls to the threads: a call to a stuck medium does not return in time.
        while deadline.is_none() && !done() {
            let Some(request) = self.core.take() else { break };
            self.core.serve(request);
        }
        done() || self.core.driver.watch(done, deadline)
    }

    fn submit_and_drive(&self, batch: &mut Vec<Request>, done: Done<'_>, deadline: Option<Instant>) -> bool {
        let queued = self.core.enqueue(batch);
        let own = usize::from(deadline.is_none());
        self.core.wake(queued.saturating_sub(own));
        self.drive(done, deadline)
    }

    fn attend(&self) {}

    fn describe(&self) -> String {
        self.core.label.clone()
    }
}

impl Drop for ThreadsDevice {
    fn drop(&mut self) {
        self.core.lock().is_closing = true;
        self.core.queued.notify_all();
        let own_thread = std::thread::current().id();
        if self.threads.iter().any(|thread| thread.thread().id() == own_thread) {
            // A completer dropped the device: this thread is in the middle of serving, and ends after it.
            return;
        }
        // The threads empty the queue before they end.
        if self.core.driver.watch(&|| self.core.is_idle(), Some(Instant::now() + LAST_WAIT_MAX)) {
            // An error is the panic of a completer, which was reported on that thread.
            self.threads.drain(..).for_each(|thread| drop(thread.join()));
            return;
        }
        tracing::error!(
            device = self.core.label,
            "a call did not return; its thread keeps file and buffers until it does"
        );
    }
}

/// What the device shares with its threads.
#[derive(Debug)]
struct Core {
    file: LockedFile,
    gate: Gate,
    label: String,
    queue: Mutex<Queue>,
    queued: Event,
    driver: Driver,
    flushing: Mutex<()>,
}

#[derive(Debug, Default)]
struct Queue {
    requests: VecDeque<Request>,
    /// Taken from `requests` and not yet delivered.
    serving: usize,
    is_closing: bool,
}

/// What a thread finds in the queue.
enum Found {
    Request(Request),
    Nothing,
    Closing,
}

impl Core {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().expect("nothing panics with the queue in hand")
    }

    /// Takes the batch; tells how many requests passed the gate.
    fn enqueue(&self, batch: &mut Vec<Request>) -> usize {
        let (mut passed, mut refused) = (VecDeque::new(), Vec::new());
        for request in batch.drain(..) {
            match self.gate.check(&request) {
                Ok(()) => passed.push_back(request),
                Err(fault) => refused.push((request, fault)),
            }
        }
        let count = passed.len();
        self.lock().requests.append(&mut passed);
        if !refused.is_empty() {
            refused.into_iter().for_each(|(request, fault)| request.refuse(fault));
            self.driver.call_done();
        }
        count
    }

    fn wake(&self, count: usize) {
        for _ in 0..count {
            self.queued.notify_one();
        }
    }

    fn take(&self) -> Option<Request> {
        match self.find() {
            Found::Request(request) => Some(request),
            Found::Nothing | Found::Closing => None,
        }
    }

    fn find(&self) -> Found {
        let mut queue = self.lock();
        match queue.requests.pop_front() {
            Some(request) => {
                queue.serving += 1;
                Found::Request(request)
            }
            None if queue.is_closing => Found::Closing,
            None => Found::Nothing,
        }
    }

    /// The life of one of the device's threads.
    fn work(&self) {
        loop {
            let listener = self.queued.listen();
            match self.find() {
                Found::Request(request) => self.serve(request),
                Found::Nothing => listener.wait(),
                Found::Closing => return,
            }
        }
    }

    fn serve(&self, request: Request) {
        let mut transfer = Transfer::new(request);
        let result = match transfer.request.operation {
            Operation::Flush => self.flush(),
            Operation::Read | Operation::Write => transfer.run(&self.file, self.gate.align()),
        };
        transfer.request.end(result);
        self.lock().serving -= 1;
        self.driver.call_done();
    }

    fn is_idle(&self) -> bool {
        let queue = self.lock();
        queue.requests.is_empty() && queue.serving == 0
    }

    fn flush(&self) -> Result<(), Fault> {
        let _alone = self.flushing.lock().expect("a flush never panics");
        self.gate.check_sound()?;
        let result = rustix::io::retry_on_intr(|| sync_data(&self.file));
        self.gate.flushed(result.map_err(|errno| Fault::Os(errno.raw_os_error())))
    }
}

#[cfg(not(target_vendor = "apple"))]
fn sync_data(file: &std::fs::File) -> Result<(), Errno> {
    rustix::fs::fdatasync(file)
}

/// Here `fsync` does not reach the medium.
#[cfg(target_vendor = "apple")]
fn sync_data(file: &std::fs::File) -> Result<(), Errno> {
    rustix::fs::fcntl_fullfsync(file)
}
