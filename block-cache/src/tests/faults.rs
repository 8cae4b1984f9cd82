//! Armed faults fire exactly as planned: once, where they were meant to, and say so.

use tidelock_format::{BlockNo, BlockRef};

use super::rig::{self, Counting, MAGIC};
use crate::{CacheError, FaultPoint};

/// S-26, L-07: neither other blocks nor ways of looking that cannot drop a copy use up a forced stale read.
#[test]
fn a_forced_stale_read_waits_for_its_own_block() {
    let device = rig::device();
    let [block, other] = [7, 8].map(|blkno| rig::put_block(&*device, blkno, 1));
    let cache = rig::builder(device, 64).build().unwrap();
    cache.read_many(&[block, other], MAGIC).wait();
    let fault = cache.arm_fault(FaultPoint::Stale(block.blkno), 0);
    drop(cache.read_ref(other, MAGIC).wait().unwrap());
    drop(cache.get(block, MAGIC));
    assert!(cache.read_ref(BlockRef::NULL, MAGIC).wait().is_err());
    assert!(!fault.has_fired());
    let reads = cache.stats().events.device_reads;
    assert!(cache.read_ref(block, MAGIC).wait().is_ok(), "the medium has it");
    assert!(fault.has_fired());
    let events = cache.stats().events;
    assert_eq!((events.device_reads - reads, events.stale_dropped, events.faults_fired), (1, 1, 1));
    assert!(cache.get(block, MAGIC).is_some(), "once");
    rig::close_clean(cache);
}

/// S-26: with passes to let go by, exactly that many reads are good, cached or not, and the next one is not.
#[test]
fn a_forced_stale_read_lets_as_many_pass_as_it_was_told() {
    let device = rig::device();
    let block = rig::put_block(&*device, 7, 1);
    let cache = rig::builder(device, 64).build().unwrap();
    let fault = cache.arm_fault(FaultPoint::Stale(block.blkno), 3);
    for pass in 0..3 {
        assert!(cache.read_ref(block, MAGIC).wait().is_ok());
        assert!(!fault.has_fired(), "after {pass}");
    }
    assert_eq!(cache.stats().events.device_reads, 1);
    assert!(cache.read_ref(block, MAGIC).wait().is_ok());
    assert!(fault.has_fired());
    assert_eq!(cache.stats().events.device_reads, 2);
    rig::close_clean(cache);
}

/// S-26, S-28: a dirty copy cannot be dropped, so it does not use the fault up. Once it is written the fault fires.
#[test]
fn a_forced_stale_read_spares_dirty_blocks() {
    let cache = rig::builder(rig::device(), 64).build().unwrap();
    let mut writer = cache.writer();
    let mut block = BlockRef::NULL;
    rig::dirty(&writer, &mut block, &mut Counting::from(7), 1);
    let fault = cache.arm_fault(FaultPoint::Stale(block.blkno), 0);
    assert_eq!(cache.read_ref(block, MAGIC).wait().unwrap_err(), CacheError::Dirty { wanted: block });
    drop(writer.get(block).unwrap());
    assert!(!fault.has_fired());
    writer.write().wait().unwrap();
    assert!(cache.read_ref(block, MAGIC).wait().is_ok());
    assert!(fault.has_fired());
    assert_eq!(cache.stats().events.device_reads, 1, "the copy was dropped and the medium read");
    drop(writer);
    rig::close_clean(cache);
}

/// S-26: two at a time make the read after the first one stale too, which is what a reader gets to see.
#[test]
fn two_forced_stale_reads_make_a_stale_answer() {
    let device = rig::device();
    let block = rig::put_block(&*device, 7, 1);
    let cache = rig::builder(device, 64).build().unwrap();
    let faults = [0, 0].map(|passes| cache.arm_fault(FaultPoint::Stale(block.blkno), passes));
    assert!(cache.read_ref(block, MAGIC).wait().unwrap_err().is_stale());
    assert!(faults.iter().all(crate::ArmedFault::has_fired));
    assert!(cache.read_ref(block, MAGIC).wait().is_ok());
    rig::close_clean(cache);
}

/// L-07: a fault belongs to one cache, and goes with its handle.
#[test]
fn a_fault_is_scoped_to_its_cache_and_to_its_handle() {
    let device = rig::device();
    let block = rig::put_block(&*device, 7, 1);
    let [cache, other] = [(); 2].map(|()| rig::builder(device.clone(), 64).build().unwrap());
    let fault = cache.arm_fault(FaultPoint::RefuseSubmit, 0);
    assert!(other.read_ref(block, MAGIC).wait().is_ok());
    drop(fault);
    assert!(cache.read_ref(block, MAGIC).wait().is_ok());
    assert_eq!(cache.stats().events.faults_fired, 0);
}

/// S-26: no frame is missing where none is needed: a hit, a joined read, a block that is dirty already.
#[test]
fn the_fault_that_leaves_no_frame_waits_for_who_needs_one() {
    let device = rig::device();
    let [block, absent] = [7, 8].map(|blkno| rig::put_block(&*device, blkno, 1));
    let cache = rig::builder(device, 64).build().unwrap();
    cache.prefetch(&[block]);
    let writer = cache.writer();
    let (mut dirty, mut supply) = (BlockRef::NULL, Counting::from(20));
    rig::dirty(&writer, &mut dirty, &mut supply, 1);
    let fault = cache.arm_fault(FaultPoint::NoFrame, 0);
    assert!(cache.read_ref(block, MAGIC).wait().is_ok());
    assert!(cache.get(BlockRef::new(BlockNo(9), block.seq), MAGIC).is_none());
    rig::dirty(&writer, &mut dirty, &mut supply, 2);
    assert!(!fault.has_fired());
    assert!(matches!(cache.read_ref(absent, MAGIC).wait(), Err(CacheError::NoFrame { .. })));
    assert!(fault.has_fired());
    drop(writer);
    rig::close_clean(cache);
}
