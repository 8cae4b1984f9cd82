//! Reading, dirtying, writing, evicting: each once, in order.

use tidelock_format::{BlockHeader, BlockNo, BlockRef, Seq};

use super::rig::{self, Counting, MAGIC, SIZE};
use crate::{BlockCache, CacheError};

/// Hits and misses so far.
fn lookups(cache: &BlockCache) -> (u64, u64) {
    let stats = cache.stats();
    (stats.hits, stats.misses)
}

#[test]
fn a_block_is_read_once_and_found_ever_after() {
    let device = rig::device();
    let block = rig::put_block(&*device, 7, 1);
    let cache = rig::builder(device, 64).build().unwrap();
    let first = cache.read_ref(block, MAGIC).wait().unwrap();
    assert_eq!((first.block_ref(), first[100]), (block, 7));
    let second = cache.read_ref(block, MAGIC).try_now().expect("a hit is ready at once").unwrap();
    assert_eq!(first.as_ptr(), second.as_ptr(), "one image");
    assert_eq!(cache.guard().peek(block, MAGIC).unwrap().as_ptr(), first.as_ptr());
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses, stats.events.device_reads), (2, 1, 1));
}

#[test]
fn a_reference_to_an_older_image_is_stale_after_one_more_read() {
    let device = rig::device();
    let block = rig::put_block(&*device, 7, 2);
    let cache = rig::builder(device, 64).build().unwrap();
    let older = BlockRef::new(block.blkno, Seq(1));
    assert!(cache.read_ref(older, MAGIC).wait().unwrap_err().is_stale());
    let events = cache.stats().events;
    assert_eq!((events.device_reads, events.stale_dropped, events.stale_after_reread), (2, 1, 1));
    assert!(cache.read_ref(block, MAGIC).wait().is_ok(), "the image that is there can be read");
}

#[test]
fn a_cached_copy_that_another_node_replaced_is_read_again() {
    let device = rig::device();
    let old = rig::put_block(&*device, 7, 1);
    let cache = rig::builder(device.clone(), 64).build().unwrap();
    let held = cache.read_ref(old, MAGIC).wait().unwrap();
    let new = rig::put_block(&*device, 7, 2);
    let found = cache.read_ref(new, MAGIC).wait().unwrap();
    assert_eq!(found.block_ref(), new);
    assert_eq!(BlockHeader::read(&held).seq, old.seq, "whoever holds the old image keeps it");
}

#[test]
fn a_dirty_block_is_written_and_then_read_like_any_other() {
    let device = rig::device();
    let cache = rig::builder(device.clone(), 64).build().unwrap();
    let mut writer = cache.writer();
    let mut block = BlockRef::NULL;
    let mut supply = Counting::from(10);
    {
        let mut dirty = writer.dirty(&mut block, MAGIC, &mut supply).wait().unwrap();
        dirty[100] = 42;
    }
    assert_eq!(block.blkno, BlockNo(10));
    assert_eq!(cache.read_ref(block, MAGIC).wait().unwrap_err(), CacheError::Dirty { wanted: block });
    let report = writer.write().wait().unwrap();
    assert_eq!((report.blocks, report.bytes, writer.len()), (1, SIZE.bytes() as u64, 0));
    cache.flush().wait().unwrap();
    assert_eq!(cache.read_ref(block, MAGIC).wait().unwrap()[100], 42);
    // Another cache over the same medium sees it too.
    let other = rig::builder(device, 64).build().unwrap();
    assert_eq!(other.read_ref(block, MAGIC).wait().unwrap()[100], 42);
}

#[test]
fn a_cache_smaller_than_its_data_evicts_and_goes_on() {
    let device = rig::device();
    let blocks: Vec<_> = (1..2000).map(|blkno| rig::put_block(&*device, blkno, blkno)).collect();
    let cache = rig::builder(device, 64).build().unwrap();
    for round in 0..3 {
        for block in &blocks {
            let found = cache.read_ref(*block, MAGIC).wait().unwrap();
            assert_eq!(found.block_ref(), *block, "round {round}");
        }
    }
    let stats = cache.stats();
    assert!(stats.used_bytes <= stats.capacity_bytes + 8 * SIZE.bytes() as u64, "{stats:?}");
    assert!(stats.events.shrink_freed > 5000, "{stats:?}");
    assert!(cache.close().is_clean());
}

#[test]
fn growth_keeps_every_block() {
    let device = rig::device();
    let cache = rig::builder(device, 4000).expected_blocks(1).build().unwrap();
    let blocks: Vec<_> = (1..3900).map(|n| BlockRef::new(BlockNo(n), Seq(n))).collect();
    for block in &blocks {
        drop(cache.insert(*block, MAGIC, |_| {}).unwrap());
    }
    let guard = cache.guard();
    for block in &blocks {
        assert!(guard.peek(*block, MAGIC).is_some(), "{block}");
    }
    assert!(cache.stats().growths > 5);
}

/// Also while the index grows, and where some of them are absent or images of another time.
#[test]
fn a_batch_of_any_length_finds_what_single_peeks_find() {
    let cache = rig::builder(rig::device(), 4000).expected_blocks(1).build().unwrap();
    let mut before = lookups(&cache);
    for last in 1..1000 {
        drop(cache.insert(BlockRef::new(BlockNo(2 * last), Seq(last)), MAGIC, |_| {}).unwrap());
        let length = last % 50;
        let wanted: Vec<_> = (0..length)
            .map(|i| {
                BlockRef::new(BlockNo((last + i * 7) % (2 * last) + 1), Seq(last.min(i * 40 + last / 2)))
            })
            .chain((0..length).map(|i| last - i % last).map(|n| BlockRef::new(BlockNo(2 * n), Seq(n))))
            .collect();
        let guard = cache.guard();
        let mut found = Vec::new();
        guard.peek_many(&wanted, MAGIC, |at, image| found.push((at, image.map(<[u8]>::as_ptr))));
        let hits = found.iter().filter(|(_, image)| image.is_some()).count() as u64;
        let after = lookups(&cache);
        assert_eq!((after.0 - before.0, after.1 - before.1), (hits, wanted.len() as u64 - hits));
        assert!(hits >= length, "those that are there are found");
        let single = |wanted: &BlockRef| guard.peek(*wanted, MAGIC).map(<[u8]>::as_ptr);
        let expected: Vec<_> = wanted.iter().map(single).enumerate().collect();
        assert_eq!(found, expected);
        before = lookups(&cache);
    }
    assert!(cache.stats().growths > 1);
}

/// Also while the index grows, and however the steps divide the list.
#[test]
fn a_walk_in_steps_finds_what_single_peeks_find_each_once_and_in_order() {
    let cache = rig::builder(rig::device(), 4000).expected_blocks(1).build().unwrap();
    let list: Vec<_> = (0..400).map(|n| BlockRef::new(BlockNo(2 * n % 401 + 1), Seq(1 + n % 3))).collect();
    for (put, step) in list.iter().zip([1, 2, 7, 8, 16, 63, 64, 65, 200, 399, 400, 401, 5000].iter().cycle())
    {
        drop(cache.insert(BlockRef::new(put.blkno, Seq(1)), MAGIC, |_| {}).unwrap());
        let (mut found, mut rest) = (Vec::new(), &list[..]);
        while !rest.is_empty() {
            let start = list.len() - rest.len();
            let guard = cache.guard();
            rest = guard.peek_step(rest, *step, MAGIC, |at, image| {
                found.push((start + at, image.map(<[u8]>::as_ptr)));
            });
            let end = list.len() - rest.len();
            assert_eq!(end, list.len().min(start + step), "a step is as long as asked, or ends the list");
        }
        let guard = cache.guard();
        let single = |wanted: &BlockRef| guard.peek(*wanted, MAGIC).map(<[u8]>::as_ptr);
        assert_eq!(found, list.iter().map(single).enumerate().collect::<Vec<_>>());
    }
    assert!(cache.stats().growths > 1);
}

#[test]
fn a_walk_of_nothing_is_over() {
    let cache = rig::builder(rig::device(), 64).build().unwrap();
    let rest = cache.guard().peek_step(&[], 8, MAGIC, |_, _| panic!("nothing was asked for"));
    assert!(rest.is_empty());
}

#[test]
#[should_panic = "steps of no blocks"]
fn a_walk_in_steps_of_no_blocks_is_refused() {
    let cache = rig::builder(rig::device(), 64).build().unwrap();
    cache.guard().peek_step(&[BlockRef::new(BlockNo(1), Seq(1))], 0, MAGIC, |_, _| {});
}

#[test]
fn closing_names_who_leaked() {
    let device = rig::device();
    let block = rig::put_block(&*device, 7, 1);
    let cache = rig::builder(device, 64).track_references(true).build().unwrap();
    let leaked = cache.read_ref(block, MAGIC).wait().unwrap();
    let report = cache.close();
    assert_eq!(report.leaks.len(), 1);
    let leak = &report.leaks[0];
    assert_eq!((leak.block, leak.references, leak.sites.len()), (block, 1, 1));
    assert!(leak.sites[0].file().ends_with("basics.rs"), "{leak}");
    assert_eq!(leaked[100], 7, "the bytes are still there");
}

#[test]
fn shrinking_and_cutting_the_capacity_end_with_less_memory() {
    let cache = rig::builder(rig::device(), 256).build().unwrap();
    for n in 1..1000 {
        drop(cache.insert(BlockRef::new(BlockNo(n), Seq(n)), MAGIC, |_| {}).unwrap());
    }
    let before = cache.stats().used_bytes;
    assert!(cache.shrink(16 * SIZE.bytes() as u64).freed_bytes > 0);
    assert!(cache.stats().used_bytes < before);
    let quarter = cache.set_capacity(before / 4);
    assert!(cache.stats().used_bytes <= quarter + 8 * SIZE.bytes() as u64, "{:?}", cache.stats());
}

#[test]
fn reads_in_flight_are_each_given_out_once() {
    let device = rig::device();
    let blocks: Vec<_> = (1..100).map(|blkno| rig::put_block(&*device, blkno, blkno)).collect();
    let cache = rig::builder(device, 256).build().unwrap();
    let _cached = cache.read_ref(blocks[7], MAGIC).wait().unwrap();
    let mut reads = cache.reads();
    reads.start(&blocks[..60], MAGIC);
    reads.start(&blocks[60..], MAGIC);
    reads.start(&[BlockRef::NULL], MAGIC);
    let mut found = Vec::new();
    while let Some((wanted, result)) = reads.wait_next() {
        match result {
            Ok(block) => assert_eq!(block.block_ref(), wanted),
            Err(error) => assert!(wanted.is_null() && error == CacheError::Null, "{wanted}: {error}"),
        }
        found.push(wanted.blkno.0);
    }
    found.sort_unstable();
    assert!(found.into_iter().eq(0..100) && reads.is_empty());
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses), (1, 1 + 99), "the null reference is a lookup too: {stats:?}");
}
