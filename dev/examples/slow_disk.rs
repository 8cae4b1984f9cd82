//! A block device of your own: a disk in memory that takes its time.
//!
//! A device must do four things, and this one does each in the plainest way:
//!
//! 1. *Check* each request before starting it, and end the bad ones with an error: every request gets exactly one
//!    completion ([`Disk::check`]).
//! 2. *Own* the request until it has ended. It holds the buffer, so nobody can free memory that the device still uses.
//! 3. *Deliver* on the threads that drive. Here a request is served when its time has come and somebody drives; whoever
//!    served one wakes the others, because it may be theirs ([`Disk::drive`]).
//! 4. *Attend* when nobody drives: a future waits without a thread ([`Slow::attend`]).
//!
//! ```text
//! cargo run -p tidelock-dev --example slow_disk
//! ```

use std::collections::VecDeque;
use std::error::Error;
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use tidelock_dev::{
    AlignedBuffer, BlockDevice, Counted, DeviceError, Done, Fault, Operation, Request, blocking, io,
};
use tidelock_format::DeviceRange;

const ALIGN: usize = 512;

/// The device. Its disk is shared with the thread that attends.
#[derive(Debug)]
struct Slow {
    disk: Arc<Disk>,
    attendant: OnceLock<()>,
}

#[derive(Debug)]
struct Disk {
    size: u64,
    latency: Duration,
    bytes: Mutex<Vec<u8>>,
    queue: Mutex<Queue>,
    /// Something was queued or delivered, or the device is gone.
    moved: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    /// All take equally long, so the first is the next.
    due: VecDeque<(Instant, Request)>,
    is_closed: bool,
}

impl Slow {
    fn new(size: usize, latency: Duration) -> Self {
        let disk = Disk {
            size: size as u64,
            latency,
            bytes: Mutex::new(vec![0; size]),
            queue: Mutex::default(),
            moved: Condvar::new(),
        };
        Self { disk: Arc::new(disk), attendant: OnceLock::new() }
    }
}

impl BlockDevice for Slow {
    fn size(&self) -> u64 {
        self.disk.size
    }

    fn align(&self) -> usize {
        ALIGN
    }

    fn submit(&self, batch: &mut Vec<Request>) {
        let due = Instant::now() + self.disk.latency;
        let mut good = VecDeque::new();
        for request in batch.drain(..) {
            match self.disk.check(&request) {
                Ok(()) => good.push_back((due, request)),
                Err(fault) => request.refuse(fault),
            }
        }
        self.disk.queue.lock().unwrap().due.append(&mut good);
        self.disk.moved.notify_all();
    }

    fn drive(&self, done: Done<'_>, deadline: Option<Instant>) -> bool {
        self.disk.drive(done, deadline)
    }

    fn attend(&self) {
        self.attendant.get_or_init(|| {
            let disk = self.disk.clone();
            thread::spawn(move || disk.drive(&|| false, None));
        });
    }

    fn describe(&self) -> String {
        format!("memory that takes {:?}", self.disk.latency)
    }
}

/// What is in flight is delivered before the device is gone.
impl Drop for Slow {
    fn drop(&mut self) {
        self.disk.queue.lock().unwrap().is_closed = true;
        self.disk.drive(&|| false, None);
        self.disk.moved.notify_all();
    }
}

impl Disk {
    fn check(&self, request: &Request) -> Result<(), Fault> {
        if request.operation == Operation::Flush {
            return Ok(());
        }
        request.range.check(self.size, ALIGN as u64)?;
        match request.bytes().len() as u64 == request.range.len() {
            true => Ok(()),
            false => Err(Fault::Buffer("its length is not the range's")),
        }
    }

    /// Serves what is due until `done`, or until `deadline`; on a closed device until the queue is empty.
    fn drive(&self, done: Done<'_>, deadline: Option<Instant>) -> bool {
        let mut queue = self.queue.lock().unwrap();
        loop {
            let now = Instant::now();
            if done() {
                return true;
            }
            if deadline.is_some_and(|deadline| deadline <= now) || (queue.is_closed && queue.due.is_empty()) {
                return false;
            }
            let next = queue.due.front().map(|(due, _)| *due);
            if next.is_some_and(|next| next <= now) {
                let request = queue.due.pop_front().map(|(_, request)| request);
                drop(queue);
                request.into_iter().for_each(|request| self.serve(request));
                // Notified under the lock: who saw `done` false before this delivery is waiting by now.
                queue = self.queue.lock().unwrap();
                self.moved.notify_all();
                continue;
            }
            queue = match [next, deadline].into_iter().flatten().min() {
                Some(until) => self.moved.wait_timeout(queue, until - now).unwrap().0,
                None => self.moved.wait(queue).unwrap(),
            };
        }
    }

    fn serve(&self, mut request: Request) {
        let mut bytes = self.bytes.lock().unwrap();
        let place = request.range.offset() as usize..request.range.end() as usize;
        match request.operation {
            Operation::Read => request.bytes_mut().copy_from_slice(&bytes[place]),
            Operation::Write => bytes[place].copy_from_slice(request.bytes()),
            Operation::Flush => {}
        }
        drop(bytes);
        request.end(Ok(()));
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    // Decorators work with it as with any other device.
    let device = Counted::new(Arc::new(Slow::new(1 << 20, Duration::from_millis(2))));
    let place = |index: u64| DeviceRange::new(index * 4096, 4096).expect("inside the disk");
    let mut buffer = AlignedBuffer::zeroed(4096, ALIGN);
    buffer.fill(7);
    blocking::write(&device, place(3), buffer)?;
    blocking::flush(&device)?;

    // Sixteen reads at once take as long as one.
    let start = Instant::now();
    let reads: Vec<_> = (0..16).map(|index| io::read(&device, place(index))).collect();
    let buffers = reads.into_iter().map(|read| read.wait()).collect::<Result<Vec<_>, DeviceError>>()?;
    assert_eq!((buffers[2][0], buffers[3][0]), (0, 7));
    println!("{}: 16 reads at once in {:?}", device.describe(), start.elapsed());

    let error = blocking::read(&device, DeviceRange::new(1 << 20, 4096).expect("a range")).unwrap_err();
    println!("beyond the end: {error}");
    println!(
        "median of all reads: up to {:?}",
        device.counts().reads.latency_at(0.5).expect("there were reads")
    );
    Ok(())
}
