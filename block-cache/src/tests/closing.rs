//! Closing, leaks, and blocks that outlive their cache.

use std::thread;
use std::time::{Duration, Instant};

use tidelock_dev::{DeviceError, Effect, Fault, MemDevice, Operation, Rule};
use tidelock_format::{BlockNo, BlockRef, BlockSize, DeviceRange, Mismatch, Seq};

use super::rig::{self, Counting, MAGIC};
use crate::{BlockCache, BuildError, CacheError, DirtyError};

/// L-06, B8: closing does not wait for whoever holds a block, and names the line that took it.
#[test]
fn closing_returns_at_once_and_names_every_leak() {
    let device = rig::device();
    let block = rig::put_block(&*device, 7, 1);
    let cache = rig::builder(device, 64).track_references(true).build().unwrap();
    let leaked = cache.read_ref(block, MAGIC).wait().unwrap();
    let line = line!() - 1;
    let copy = leaked.clone();
    let writer = cache.writer();
    let mut dirty = BlockRef::NULL;
    rig::dirty(&writer, &mut dirty, &mut Counting::from(10), 3);
    let began = Instant::now();
    let report = cache.close();
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(report.leaks.len(), 2);
    let leak = report.leaks.iter().find(|leak| leak.block == block).unwrap();
    assert_eq!((leak.references, leak.is_dirty, leak.is_reading), (2, false, false));
    assert!(
        leak.sites.iter().any(|site| site.file().ends_with("closing.rs") && site.line() == line),
        "{leak}"
    );
    let leak = report.leaks.iter().find(|leak| leak.block == dirty).unwrap();
    assert!(leak.is_dirty && leak.to_string().starts_with("dirty block"), "{leak}");
    // What is held stays what it was, and is let go of like anything else.
    assert!(rig::is_filled(&leaked, 7) && rig::is_filled(&writer.get(dirty).unwrap(), 3));
    drop((leaked, copy, writer));
}

#[test]
fn a_block_outlives_every_handle_and_is_dropped_on_another_thread() {
    let device = rig::device();
    let block = rig::put_block(&*device, 7, 1);
    let cache = rig::builder(device.clone(), 64).build().unwrap();
    let held = cache.read_ref(block, MAGIC).wait().unwrap();
    drop(cache);
    assert_eq!(std::sync::Arc::strong_count(&device), 2, "the block keeps the cache's memory");
    thread::spawn(move || {
        let again = held.clone();
        drop(held);
        assert!(rig::is_filled(&again, 7));
    })
    .join()
    .unwrap();
    assert_eq!(std::sync::Arc::strong_count(&device), 1, "with the last block goes the cache");
}

/// L-06, L-08: a device that never answers costs closing a bounded time, and the frame stays the device's.
#[test]
fn a_read_that_is_never_answered_is_reported() {
    let device = rig::faulty();
    let block = rig::put_block(&*device, 7, 1);
    device.add(Rule::new("hold", Effect::Hold).on(Operation::Read));
    let cache = rig::builder(device.clone(), 64).build().unwrap();
    drop(cache.read_ref(block, MAGIC));
    let report = cache.close();
    assert_eq!(report.leaks.len(), 1);
    assert!(report.leaks[0].is_reading && report.leaks[0].block.blkno == block.blkno, "{}", report.leaks[0]);
    assert_eq!(device.release(), 1, "the late answer finds its memory");
    assert_eq!(std::sync::Arc::strong_count(&device), 1);
}

/// L-14: a closed cache says that it is closed, and not that something is broken.
#[test]
fn a_closed_cache_refuses_by_name() {
    let device = rig::device();
    let block = rig::put_block(&*device, 7, 1);
    let cache = rig::builder(device, 64).build().unwrap();
    let (handle, mut writer) = (cache.clone(), cache.writer());
    let mut dirty = BlockRef::NULL;
    rig::dirty(&writer, &mut dirty, &mut Counting::from(10), 1);
    drop(handle.read_ref(block, MAGIC).wait().unwrap());
    assert_eq!(cache.close().leaks.len(), 1, "the writer's");
    assert_eq!(handle.read_ref(block, MAGIC).wait().unwrap_err(), CacheError::Closed);
    assert!(handle.get(block, MAGIC).is_none());
    assert_eq!(handle.prefetch(&[block]), 0);
    assert_eq!(handle.read_many(&[block], MAGIC).wait().pop().unwrap().unwrap_err(), CacheError::Closed);
    assert_eq!(handle.insert(block, MAGIC, |_| {}).unwrap_err(), CacheError::Closed);
    let mut null = BlockRef::NULL;
    let error = writer.dirty(&mut null, MAGIC, &mut Counting::from(20)).wait().unwrap_err();
    assert!(matches!(error, DirtyError::Cache(CacheError::Closed)));
    assert_eq!(writer.write().wait().unwrap().blocks, 1, "a commit that had begun can end");
    assert!(handle.clone().close().is_clean(), "a second close reports nothing");
    assert!(handle.outstanding().is_empty());
}

/// L-14: each way to fail has an error number of its own kind.
#[test]
fn errors_are_told_apart() {
    let wanted = BlockRef::new(BlockNo(7), Seq(1));
    let found = Mismatch::Seq { expected: Seq(1), found: Seq(2) };
    let range = DeviceRange::new(0, 0).unwrap();
    let device = DeviceError { operation: Operation::Read, range, fault: Fault::Os(5) };
    let numbers = [
        (CacheError::Stale { wanted, found }, 116),
        (CacheError::Corrupt { wanted, found }, 5),
        (CacheError::Device(device), 5),
        (CacheError::Null, 5),
        (CacheError::Dirty { wanted }, 16),
        (CacheError::NoFrame { frames: 1 }, 12),
        (CacheError::Closed, 108),
    ];
    for (error, number) in numbers {
        assert_eq!(error.errno(), number, "{error}");
        assert_eq!(error.is_stale(), number == 116);
    }
}

/// S-40, L-11: what cannot work is refused when the cache is built, with what would.
#[test]
fn a_cache_that_cannot_work_is_not_built() {
    let refusal = |builder: crate::Builder| builder.build().expect_err("it cannot work");
    let size = rig::SIZE.bytes() as u64;
    let small = refusal(rig::builder(rig::device(), 64).capacity(7 * size));
    assert!(
        matches!(small, BuildError::CapacityTooSmall { frames: 7, least, .. } if least == 8 * size),
        "{small}"
    );
    assert!(rig::builder(rig::device(), 64).capacity(8 * size).build().is_ok(), "the least capacity works");
    let coarse = std::sync::Arc::new(MemDevice::with_align(1 << 20, 8192));
    assert!(matches!(refusal(rig::builder(coarse, 64)), BuildError::BlockTooSmall { align: 8192, .. }));
    let tiny = std::sync::Arc::new(MemDevice::new(size));
    assert!(matches!(refusal(rig::builder(tiny, 64)), BuildError::DeviceTooSmall { .. }));
    let huge = rig::builder(rig::device(), 64).capacity_max(u64::MAX);
    assert!(matches!(refusal(huge), BuildError::CapacityTooLarge { .. }));
    // Every byte of the processor's address space, and more.
    let beyond = BlockCache::builder(rig::device()).block_size(BlockSize::MAX).capacity_max(1 << 47);
    assert!(matches!(refusal(beyond), BuildError::Memory { .. }));
}
