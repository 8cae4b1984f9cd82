//! Reads that the device has not answered yet: who waits, who gives up, and who wakes whom.

use std::sync::Arc;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use tidelock_dev::{Backend, Effect, Faulty, OpenOptions, Operation, Rule};
use tidelock_format::{BlockNo, BlockRef};

use super::rig::{self, MAGIC};
use crate::raw::core::Claim;
use crate::{BlockCache, CacheError, FaultPoint};

const A_MOMENT: Duration = Duration::from_millis(20);

/// A cache over a device that keeps the answers to reads back, and a block of it.
fn held_read() -> (Arc<Faulty>, BlockCache, BlockRef) {
    let device = rig::faulty();
    let block = rig::put_block(&*device, 7, 1);
    device.add(Rule::new("hold", Effect::Hold).on(Operation::Read));
    let cache = rig::builder(device.clone(), 64).build().unwrap();
    (device, cache, block)
}

/// Spins until `cache` has seen `joined` readers join another's read.
fn until_joined(cache: &BlockCache, joined: u64) {
    while cache.stats().events.joined_fills < joined {
        thread::yield_now();
    }
}

#[test]
fn a_wait_that_took_too_long_gives_the_read_back() {
    let (device, cache, block) = held_read();
    let read = cache.read_ref(block, MAGIC);
    let read = read.wait_timeout(A_MOMENT).expect_err("the device keeps the answer back");
    let read = read.try_now().expect_err("still");
    assert_eq!(device.release(), 1);
    assert_eq!(read.wait_timeout(A_MOMENT).expect("it is there now").unwrap().block_ref(), block);
    rig::close_clean(cache);
}

#[test]
fn a_read_that_nobody_waits_for_goes_on_and_serves_the_next() {
    let (device, cache, block) = held_read();
    drop(cache.read_ref(block, MAGIC));
    assert_eq!(cache.outstanding().len(), 1, "B4: the device still writes into the frame");
    assert!(cache.outstanding()[0].is_reading);
    device.release();
    assert!(cache.outstanding().is_empty());
    assert!(cache.read_ref(block, MAGIC).try_now().expect("it was read meanwhile").is_ok());
    assert_eq!(cache.stats().events.device_reads, 1);
    rig::close_clean(cache);
}

#[test]
fn futures_and_threads_wait_side_by_side_for_one_read() {
    let (device, cache, block) = held_read();
    let mut future = cache.read_ref(block, MAGIC);
    assert!(matches!(rig::poll_once(&mut future), Poll::Pending));
    thread::scope(|scope| {
        let threads = [0, 1, 2].map(|_| scope.spawn(|| cache.read_ref(block, MAGIC).wait().unwrap()));
        let task = scope.spawn(|| rig::block_on(cache.read_ref(block, MAGIC)).unwrap());
        until_joined(&cache, 4);
        device.release();
        let first = rig::block_on(future).unwrap();
        for waiter in threads.into_iter().chain([task]) {
            assert_eq!(waiter.join().unwrap().as_ptr(), first.as_ptr(), "B1: one image");
        }
    });
    assert_eq!(cache.stats().events.device_reads, 1);
    rig::close_clean(cache);
}

/// L-08, C3: all who wait for one read are told of its failure, and the next reader asks the device again.
#[test]
fn a_failed_read_is_told_to_all_who_waited_and_to_nobody_else() {
    let device = rig::faulty();
    let block = rig::put_block(&*device, 7, 1);
    device.add(Rule::new("short", Effect::Short).on(Operation::Read).times(1));
    let held = Arc::new(Faulty::new(device.clone(), 2));
    held.add(Rule::new("hold", Effect::Hold).on(Operation::Read).times(1));
    let cache = rig::builder(held.clone(), 64).build().unwrap();
    let first = cache.read_ref(block, MAGIC);
    thread::scope(|scope| {
        let waiters = [0, 1].map(|_| scope.spawn(|| cache.read_ref(block, MAGIC).wait()));
        let task = scope.spawn(|| rig::block_on(cache.read_ref(block, MAGIC)));
        until_joined(&cache, 3);
        held.release();
        for waiter in waiters.into_iter().chain([task]) {
            assert!(matches!(waiter.join().unwrap(), Err(CacheError::Device(_))));
        }
    });
    assert!(matches!(first.wait(), Err(CacheError::Device(_))));
    assert!(cache.read_ref(block, MAGIC).wait().is_ok(), "errors are not sticky");
    assert_eq!((device.fired("short"), cache.stats().events.device_reads), (1, 2));
    rig::close_clean(cache);
}

/// L-08: who joined a read before it was submitted wakes when the submit is refused, also when the waiting is done inside
/// a device that has nothing to deliver.
#[test]
fn a_refused_submit_wakes_who_joined_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let size = rig::BLOCKS * rig::SIZE.bytes() as u64;
    for backend in [Backend::Threads, Backend::Auto] {
        let options = OpenOptions::new().backend(backend).create(size);
        let device = options.open(folder.path().join(format!("{backend:?}"))).unwrap().device;
        let block = rig::put_block(&*device, 7, 1);
        let cache = rig::builder(device, 64).build().unwrap();
        let Ok(Claim::Fill(frame)) = cache.shared().claim(block.blkno) else { panic!("nobody else is here") };
        let fault = cache.arm_fault(FaultPoint::RefuseSubmit, 0);
        thread::scope(|scope| {
            let waiter = scope.spawn(|| cache.read_ref(block, MAGIC).wait());
            until_joined(&cache, 1);
            // Most of the time the waiter is inside the device by then.
            thread::sleep(A_MOMENT);
            cache.shared().submit_fills(&[frame]);
            assert!(matches!(waiter.join().unwrap(), Err(CacheError::Device(_))));
        });
        assert!(fault.has_fired());
        cache.shared().core.let_go(frame);
        assert!(cache.read_ref(block, MAGIC).wait().is_ok(), "errors are not sticky");
        rig::close_clean(cache);
    }
}

#[test]
fn a_prefetched_block_is_waited_for_and_verified_by_its_first_reader() {
    let (device, cache, block) = held_read();
    let beyond = BlockRef::new(BlockNo(1 << 40), block.seq);
    assert_eq!(
        cache.prefetch(&[block, block, BlockRef::NULL, beyond]),
        1,
        "each block once, and only what can be"
    );
    let read = cache.read_ref(block, MAGIC).try_now().expect_err("it is under way");
    assert!(cache.get(block, MAGIC).is_none() && cache.guard().peek(block, MAGIC).is_none());
    device.release();
    assert!(cache.get(block, MAGIC).is_none(), "nobody has verified it yet");
    assert_eq!(read.wait().unwrap().block_ref(), block);
    assert!(cache.get(block, MAGIC).is_some());
    let events = cache.stats().events;
    assert_eq!((events.device_reads, events.prefetched, events.joined_fills), (1, 1, 1));
    rig::close_clean(cache);
}

#[test]
fn reading_many_submits_all_and_answers_each_in_its_place() {
    let device = rig::faulty();
    let mut wanted: Vec<_> = (1..9).map(|blkno| rig::put_block(&*device, blkno, blkno)).collect();
    device.add(Rule::new("hold", Effect::Hold).on(Operation::Read));
    let cache = rig::builder(device.clone(), 64).build().unwrap();
    wanted.extend([wanted[0], BlockRef::NULL, BlockRef::new(BlockNo(1 << 40), wanted[0].seq)]);
    let reads = cache.read_many(&wanted, MAGIC);
    assert_eq!(device.held(), 8, "all are on their way before anybody waits");
    device.release();
    let found = reads.wait();
    for (result, wanted) in found.iter().zip(&wanted[..9]) {
        assert_eq!(result.as_ref().unwrap().block_ref(), *wanted);
    }
    assert_eq!(found[0].as_ref().unwrap().as_ptr(), found[8].as_ref().unwrap().as_ptr(), "B1");
    assert_eq!(found[9].as_ref().unwrap_err(), &CacheError::Null);
    assert!(matches!(found[10], Err(CacheError::OutOfRange { .. })));
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses), (0, 11), "each reference is one lookup");
    drop(found);
    rig::close_clean(cache);
}
