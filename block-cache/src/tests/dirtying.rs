//! Dirty blocks: whose they are, what readers see of them, and what becomes of them.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tidelock_dev::{Effect, Operation, Rule, Torn};
use tidelock_format::{BlockHeader, BlockNo, BlockRef, Magic, Seq, verify};

use super::rig::{self, Counting, FSID, MAGIC, SIZE};
use crate::{CacheError, DirtyError};

const A_MOMENT: Duration = Duration::from_millis(20);

/// S-27, S-29, B2: dirtying a cached block makes a new image elsewhere, and who holds or borrows the old one sees it as it was.
#[test]
fn who_reads_a_block_keeps_its_bytes_while_it_is_dirtied() {
    let device = rig::device();
    let old = rig::put_block(&*device, 7, 1);
    let cache = rig::builder(device, 64).build().unwrap();
    let held = cache.read_ref(old, MAGIC).wait().unwrap();
    let guard = cache.guard();
    let borrowed = guard.peek(old, MAGIC).unwrap();
    let mut writer = cache.writer();
    let mut block = old;
    let mut supply = Counting::from(100);
    rig::dirty(&writer, &mut block, &mut supply, 0xdd);
    assert_eq!((block.blkno, &supply.freed[..]), (BlockNo(100), &[old.blkno][..]));
    assert_ne!(block.seq, old.seq);
    writer.write().wait().unwrap();
    assert!(rig::is_filled(&held, 7) && rig::is_filled(borrowed, 7));
    drop(guard);
    assert!(
        rig::is_filled(&cache.get(old, MAGIC).unwrap(), 7),
        "the old image is still what its reference means"
    );
    assert!(rig::is_filled(&cache.get(block, MAGIC).unwrap(), 0xdd));
    drop(held);
    drop(writer);
    rig::close_clean(cache);
}

/// S-27, B1: a location is used again while somebody still holds the image that was there.
#[test]
fn a_new_image_at_an_old_location_hides_the_old_one_and_leaves_it_to_its_holders() {
    let device = rig::device();
    let old = rig::put_block(&*device, 7, 1);
    let cache = rig::builder(device, 64).build().unwrap();
    let held = cache.read_ref(old, MAGIC).wait().unwrap();
    let mut writer = cache.writer();
    let mut block = BlockRef::NULL;
    rig::dirty(&writer, &mut block, &mut Counting::from(7), 0xdd);
    let again = held.clone();
    assert!(cache.get(old, MAGIC).is_none(), "B1: the old image is out of sight");
    writer.write().wait().unwrap();
    assert!(rig::is_filled(&held, 7) && rig::is_filled(&again, 7));
    assert_eq!(again.block_ref(), old);
    assert!(cache.read_ref(old, MAGIC).wait().unwrap_err().is_stale());
    assert!(rig::is_filled(&cache.read_ref(block, MAGIC).wait().unwrap(), 0xdd));
    drop((held, again, writer));
    rig::close_clean(cache);
}

/// S-28, B7: whatever a reader thinks should be there, a dirty block stays, and is written.
#[test]
fn readers_with_old_references_never_drop_a_dirty_block() {
    let device = rig::device();
    let old = rig::put_block(&*device, 7, 1);
    let cache = rig::builder(device.clone(), 64).build().unwrap();
    let mut writer = cache.writer();
    let mut block = BlockRef::NULL;
    rig::dirty(&writer, &mut block, &mut Counting::from(7), 0xdd);
    assert!(cache.read_ref(old, MAGIC).wait().unwrap_err().is_stale());
    assert!(cache.read_many(&[old], MAGIC).wait().pop().unwrap().unwrap_err().is_stale());
    assert_eq!(cache.prefetch(&[old, block]), 0);
    assert!(cache.get(old, MAGIC).is_none() && cache.guard().peek(old, MAGIC).is_none());
    assert!(cache.insert(old, MAGIC, |_| {}).unwrap_err().is_stale());
    let other = cache.writer();
    let error = other.dirty(&mut old.clone(), MAGIC, &mut Counting::from(20)).wait().unwrap_err();
    assert!(matches!(error, DirtyError::Cache(CacheError::Stale { .. })), "{error}");
    let error = other.dirty(&mut block.clone(), MAGIC, &mut Counting::from(20)).wait().unwrap_err();
    assert!(matches!(error, DirtyError::Cache(CacheError::Dirty { wanted }) if wanted == block), "{error}");
    let events = cache.stats().events;
    assert_eq!((events.device_reads, events.stale_dropped, events.stale_on_dirty), (0, 0, 3));
    assert_eq!(writer.write().wait().unwrap().blocks, 1);
    assert!(rig::is_filled(&cache.read_ref(block, MAGIC).wait().unwrap(), 0xdd));
    let image =
        tidelock_dev::blocking::read(&*device, cache.shared().range_of(block.blkno).unwrap()).unwrap();
    assert_eq!(verify(&image, FSID, block, MAGIC), Ok(()));
    drop((writer, other));
    rig::close_clean(cache);
}

/// U-01: a block that is dirty already is given out again; nothing is taken from the supply and nothing freed.
#[test]
fn dirtying_twice_makes_one_image() {
    let cache = rig::builder(rig::device(), 64).build().unwrap();
    let writer = cache.writer();
    let (mut block, mut supply) = (BlockRef::NULL, Counting::from(10));
    rig::dirty(&writer, &mut block, &mut supply, 1);
    let (first, before) = (block, supply.clone());
    let image = writer.dirty(&mut block, MAGIC, &mut supply).try_now().expect("no I/O").unwrap();
    assert!(rig::is_filled(&image, 1));
    assert_eq!(image.block_ref(), first);
    drop(image);
    assert_eq!((block, supply, writer.len()), (first, before, 1));
    assert_eq!(writer.get(first).unwrap().block_ref(), first);
    assert!(writer.get(BlockRef::new(first.blkno, Seq(first.seq.0 ^ 1))).is_none());
    assert_eq!(writer.dirty_bytes(), SIZE.bytes() as u64);
    drop(writer);
    rig::close_clean(cache);
}

/// S-29: a dirty block has one owner at a time.
#[test]
fn a_dirty_block_is_not_given_out_twice() {
    let cache = rig::builder(rig::device(), 64).build().unwrap();
    let writer = cache.writer();
    let (mut block, mut supply) = (BlockRef::NULL, Counting::from(10));
    rig::dirty(&writer, &mut block, &mut supply, 1);
    let mut copy = block;
    let first = writer.get(block).unwrap();
    assert!(rig::panic_message(|| drop(writer.get(block))).contains("given out already"));
    let again = || drop(writer.dirty(&mut copy, MAGIC, &mut supply).wait());
    assert!(rig::panic_message(again).contains("given out already"));
    drop(first);
    drop(writer.get(block).expect("it was given back"));
    drop(writer);
    rig::close_clean(cache);
}

/// S-30, B3: the header is the cache's. What a writer does to it in memory is put right before it reaches the medium.
#[test]
fn a_header_that_a_writer_spoils_is_written_right() {
    let device = rig::device();
    let cache = rig::builder(device.clone(), 64).build().unwrap();
    let mut writer = cache.writer();
    let (mut block, mut supply) = (BlockRef::NULL, Counting::from(10));
    {
        let mut dirty = writer.dirty(&mut block, MAGIC, &mut supply).wait().unwrap();
        let header = BlockHeader::read(&dirty);
        assert_eq!((header.block_ref(), header.magic, header.fsid), (dirty.block_ref(), MAGIC, FSID));
        dirty.fill(0xee);
    }
    writer.write().wait().unwrap();
    let image =
        tidelock_dev::blocking::read(&*device, cache.shared().range_of(block.blkno).unwrap()).unwrap();
    assert_eq!(verify(&image, FSID, block, MAGIC), Ok(()));
    assert!(
        cache.read_ref(block, Magic(1)).wait().unwrap_err().is_stale(),
        "and its kind is still looked at"
    );
}

#[test]
fn a_forgotten_block_leads_nowhere_and_the_rest_is_written() {
    let device = rig::device();
    let old = rig::put_block(&*device, 10, 1);
    let cache = rig::builder(device, 64).build().unwrap();
    let mut writer = cache.writer();
    let (mut first, mut second, mut supply) = (BlockRef::NULL, BlockRef::NULL, Counting::from(10));
    rig::dirty(&writer, &mut first, &mut supply, 1);
    rig::dirty(&writer, &mut second, &mut supply, 2);
    assert!(!writer.forget(BlockRef::new(first.blkno, Seq(0))), "another image of it is not meant");
    assert!(writer.forget(first));
    assert!(!writer.forget(first), "once");
    assert_eq!(writer.write().wait().unwrap().blocks, 1);
    assert!(cache.read_ref(first, MAGIC).wait().unwrap_err().is_stale());
    assert!(cache.read_ref(old, MAGIC).wait().is_ok(), "what was on the medium is what is there");
    assert!(cache.read_ref(second, MAGIC).wait().is_ok());
    assert_eq!(cache.stats().events.forgotten, 1);
    drop(writer);
    rig::close_clean(cache);
}

/// L-05: a writer that goes away, by a panic or an early return, leaves nothing pinned.
#[test]
fn a_writer_that_is_dropped_forgets_what_it_did_not_write() {
    let cache = rig::builder(rig::device(), 64).build().unwrap();
    let (mut block, mut supply) = (BlockRef::NULL, Counting::from(10));
    let message = rig::panic_message(|| {
        let writer = cache.writer();
        rig::dirty(&writer, &mut block, &mut supply, 1);
        let _out = writer.get(block);
        panic!("a transaction failed");
    });
    assert_eq!(message, "a transaction failed");
    assert!(cache.outstanding().is_empty());
    assert!(cache.read_ref(block, MAGIC).wait().unwrap_err().is_stale());
    rig::close_clean(cache);
}

/// W2: a supply that hands out what it must not is a broken caller. Nothing has changed for anybody else.
#[test]
fn a_supply_that_breaks_its_promise_is_a_panic_and_changes_nothing() {
    let cache = rig::builder(rig::device(), 64).build().unwrap();
    let mut writer = cache.writer();
    let mut first = BlockRef::NULL;
    rig::dirty(&writer, &mut first, &mut Counting::from(10), 1);
    for (blkno, why) in [(10, "still has dirty"), (0, "not on the device"), (1 << 50, "not on the device")] {
        let mut second = BlockRef::NULL;
        let other = cache.writer();
        let message = rig::panic_message(|| rig::dirty(&other, &mut second, &mut Counting::from(blkno), 2));
        assert!(message.contains("W2") && message.contains(why), "{message}");
        assert_eq!((second, other.len()), (BlockRef::NULL, 0));
    }
    assert_eq!(cache.outstanding().len(), 1, "the first writer's block");
    assert_eq!(writer.write().wait().unwrap().blocks, 1);
    assert!(rig::is_filled(&cache.read_ref(first, MAGIC).wait().unwrap(), 1));
    drop(writer);
    rig::close_clean(cache);
}

/// S-17: a frame that was taken goes back when code that the cache was given panics.
#[test]
fn a_panic_in_the_embedders_code_loses_no_frame() {
    struct Broken;
    impl crate::BlockSupply for Broken {
        fn replace(&mut self, _: Option<BlockNo>) -> Result<BlockNo, crate::SupplyError> {
            panic!("the supply is broken")
        }
    }
    let cache = rig::builder(rig::device(), 16).build().unwrap();
    let writer = cache.writer();
    let frames = 16 + 8;
    // More often than there are frames: each is there again.
    for _ in 0..2 * frames {
        let mut block = BlockRef::NULL;
        let message =
            rig::panic_message(|| drop(writer.dirty(&mut block, MAGIC, &mut Broken).wait().map(drop)));
        assert_eq!(message, "the supply is broken");
        let insert = || drop(cache.insert(BlockRef::new(BlockNo(9), Seq(9)), MAGIC, |_| panic!("no image")));
        assert_eq!(rig::panic_message(insert), "no image");
    }
    let held: Vec<_> = (1..=12)
        .map(|blkno| cache.insert(BlockRef::new(BlockNo(blkno), Seq(1)), MAGIC, |_| {}).expect("a frame"))
        .collect();
    drop((held, writer));
    rig::close_clean(cache);
}

/// W3: a write that was given up goes on, and whatever the writer is asked next waits for it.
#[test]
fn a_write_given_up_midway_is_waited_for_by_the_next_call() {
    let device = rig::faulty();
    let cache = rig::builder(device.clone(), 64).build().unwrap();
    let mut writer = cache.writer();
    let (mut block, mut supply) = (BlockRef::NULL, Counting::from(10));
    rig::dirty(&writer, &mut block, &mut supply, 1);
    device.add(Rule::new("hold", Effect::Hold).on(Operation::Write).times(1));
    let write = writer.write().wait_timeout(A_MOMENT).expect_err("the device keeps the answer back");
    drop(write);
    assert_eq!((device.held(), writer.len()), (1, 1));
    let mut again = writer.write();
    assert!(matches!(rig::poll_once(&mut again), Poll::Pending), "not before the first has ended");
    assert_eq!(cache.stats().events.device_writes, 1);
    device.release();
    assert_eq!(rig::block_on(again).unwrap().blocks, 1);
    assert_eq!((cache.stats().events.device_writes, writer.len()), (2, 0));
    assert!(rig::is_filled(&cache.read_ref(block, MAGIC).wait().unwrap(), 1));
    drop(writer);
    rig::close_clean(cache);
}

/// W3: neither forgetting nor changing a block overtakes a write that reads its image.
#[test]
fn a_block_under_write_is_neither_changed_nor_forgotten_before_the_write_has_ended() {
    let device = rig::faulty();
    let cache = rig::builder(device.clone(), 64).build().unwrap();
    let mut writer = cache.writer();
    let (mut block, mut supply) = (BlockRef::NULL, Counting::from(10));
    rig::dirty(&writer, &mut block, &mut supply, 1);
    device.add(Rule::new("hold", Effect::Hold).on(Operation::Write).times(1));
    drop(writer.write().wait_timeout(A_MOMENT));
    let mut copy = block;
    let change = writer.dirty(&mut copy, MAGIC, &mut supply);
    let change = change.wait_timeout(A_MOMENT).expect_err("the device reads the image");
    drop(change);
    std::thread::scope(|scope| {
        let forget = scope.spawn(|| {
            writer.forget_all();
            device.held()
        });
        std::thread::sleep(A_MOMENT);
        assert!(!forget.is_finished());
        device.release();
        assert_eq!(forget.join().unwrap(), 0);
    });
    drop(writer);
    rig::close_clean(cache);
}

/// O-01: what was written and flushed is there after a power cut; a write alone promises nothing.
#[test]
fn flushed_blocks_survive_a_power_cut() {
    for seed in 0..20 {
        let torn = Arc::new(Torn::new(rig::device()));
        let cache = rig::builder(torn.clone(), 64).build().unwrap();
        let mut writer = cache.writer();
        let mut supply = Counting::from(10);
        let mut blocks = [BlockRef::NULL; 4];
        for (n, block) in blocks.iter_mut().enumerate() {
            rig::dirty(&writer, block, &mut supply, n as u8);
        }
        writer.write().wait().unwrap();
        cache.flush().wait().unwrap();
        let mut unflushed = BlockRef::NULL;
        rig::dirty(&writer, &mut unflushed, &mut supply, 9);
        writer.write().wait().unwrap();
        drop((writer, cache));
        torn.power_cut(seed).unwrap();
        torn.power_on();
        let cache = rig::builder(torn, 64).build().unwrap();
        for (n, block) in blocks.iter().enumerate() {
            assert!(rig::is_filled(&cache.read_ref(*block, MAGIC).wait().unwrap(), n as u8), "seed {seed}");
        }
        match cache.read_ref(unflushed, MAGIC).wait() {
            Ok(image) => assert!(rig::is_filled(&image, 9)),
            Err(error) => assert!(error.is_stale(), "torn or lost is stale, never taken for good: {error}"),
        }
    }
}

/// L-14: a failed flush is told as it is, and what is written after it fails too.
#[test]
fn after_a_failed_flush_nothing_is_written_any_more() {
    let device = rig::faulty();
    let cache = rig::builder(device.clone(), 64).build().unwrap();
    device.add(Rule::new("full", Effect::Error(28)).on(Operation::Flush).times(1));
    let error = rig::block_on(cache.flush()).unwrap_err();
    assert_eq!(error.fault, tidelock_dev::Fault::Os(28));
    let mut writer = cache.writer();
    let mut block = BlockRef::NULL;
    rig::dirty(&writer, &mut block, &mut Counting::from(10), 1);
    let error = writer.write().wait().unwrap_err();
    assert_eq!((error.failed, error.blocks, error.first.fault), (1, 1, tidelock_dev::Fault::FlushFailed));
    assert_eq!(writer.len(), 1);
}
