//! A device of one's own: here, one that passes everything on and keeps the time of each transfer.
//!
//! A device takes batches of requests and tells each request's completer once how it ended. A decorator like this one
//! exchanges the completer for its own and hands the answer on. A device that moves bytes itself would call
//! `Request::bytes_mut` or `Request::bytes`, and then `Request::end`.

use std::error::Error;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tidelock_block_cache::{BlockCache, BlockSupply, SupplyError};
use tidelock_dev::{BlockDevice, Completer, Completion, Done, MemDevice, Operation, Request};
use tidelock_format::{BlockNo, BlockRef, BlockSize, Magic};

const TREE: Magic = Magic(0x5452_4545);

/// Times every transfer of `inner`.
#[derive(Debug)]
struct Timed {
    inner: MemDevice,
    log: Arc<Mutex<Vec<(Operation, Duration)>>>,
}

/// Stands between the device and whoever asked.
struct Stopwatch {
    operation: Operation,
    begun: Instant,
    log: Arc<Mutex<Vec<(Operation, Duration)>>>,
    asker: Arc<dyn Completer>,
}

impl Completer for Stopwatch {
    fn complete(&self, completion: Completion) {
        self.log.lock().expect("a log of plain numbers").push((self.operation, self.begun.elapsed()));
        self.asker.complete(completion);
    }
}

impl BlockDevice for Timed {
    fn size(&self) -> u64 {
        self.inner.size()
    }

    fn align(&self) -> usize {
        self.inner.align()
    }

    fn submit(&self, batch: &mut Vec<Request>) {
        for request in batch.iter_mut() {
            let (operation, asker) = (request.operation, request.completer.clone());
            let (begun, log) = (Instant::now(), self.log.clone());
            request.completer = Arc::new(Stopwatch { operation, begun, log, asker });
        }
        self.inner.submit(batch);
    }

    fn drive(&self, done: Done<'_>, deadline: Option<Instant>) -> bool {
        self.inner.drive(done, deadline)
    }

    fn attend(&self) {
        self.inner.attend();
    }

    fn describe(&self) -> String {
        format!("timed: {}", self.inner.describe())
    }
}

/// Blocks in order, none twice.
struct InOrder(u64);

impl BlockSupply for InOrder {
    fn replace(&mut self, _old: Option<BlockNo>) -> Result<BlockNo, SupplyError> {
        self.0 += 1;
        Ok(BlockNo(self.0))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let log = Arc::default();
    let device = Arc::new(Timed { inner: MemDevice::new(1 << 20), log: Arc::clone(&log) });
    println!("{}", device.describe());
    let cache = BlockCache::builder(device).block_size(BlockSize::MIN).build()?;

    let mut refs = [BlockRef::NULL; 16];
    let (mut writer, mut supply) = (cache.writer(), InOrder(0));
    for block_ref in &mut refs {
        drop(writer.dirty(block_ref, TREE, &mut supply).wait()?);
    }
    writer.write().wait()?;
    cache.flush().wait()?;
    cache.shrink(u64::MAX);
    for block_ref in refs {
        drop(cache.read_ref(block_ref, TREE).wait()?);
    }

    let log = log.lock().expect("a log of plain numbers");
    for operation in [Operation::Write, Operation::Flush, Operation::Read] {
        let times: Vec<_> = log.iter().filter(|(of, _)| *of == operation).map(|(_, time)| *time).collect();
        println!("{operation}: {} times, at most {:?}", times.len(), times.iter().max());
    }
    assert_eq!(log.iter().filter(|(of, _)| *of == Operation::Write).count(), refs.len());
    Ok(())
}
