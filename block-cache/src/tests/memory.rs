//! Frames: how many there are, who gets them, and how memory is given back.

use tidelock_dev::MemDevice;
use tidelock_format::{BlockNo, BlockRef, HEADER_BYTES, Seq};

use super::rig::{self, Counting, MAGIC, SIZE};
use crate::{Block, BlockCache, CacheError, FaultPoint};

const BLOCK: u64 = SIZE.bytes() as u64;

/// The image `blkno` of every block: references without a medium behind them.
fn some(blkno: u64) -> BlockRef {
    BlockRef::new(BlockNo(blkno), Seq(blkno))
}

/// Inserts blocks as far as they go, and lets go of them.
fn fill(cache: &BlockCache, blocks: std::ops::Range<u64>) {
    blocks.for_each(|blkno| drop(cache.insert(some(blkno), MAGIC, |_| {}).expect("nothing is pinned")));
}

/// B4, M1: memory is given back in pieces of several frames, out of huge pages or others, and no piece is larger than what
/// was given up.
#[test]
fn blocks_that_stay_keep_their_bytes_when_their_neighbours_are_given_back() {
    for is_huge in [true, false] {
        let cache = rig::builder(rig::device(), 2000).huge_pages(is_huge).build().unwrap();
        for round in 1..20 {
            for blkno in round * 100..round * 100 + 1000 {
                let byte = blkno as u8;
                drop(cache.insert(some(blkno), MAGIC, |image| image[HEADER_BYTES..].fill(byte)).unwrap());
                // Some are in use, so that what goes lies scattered.
                for _ in 0..blkno % 3 {
                    cache.get(some(blkno), MAGIC).unwrap();
                }
            }
            assert!(cache.shrink(300 * BLOCK).freed_bytes > 0);
            let blocks =
                (1..round * 100 + 1000).filter_map(|blkno| Some((blkno, cache.get(some(blkno), MAGIC)?)));
            for (blkno, block) in blocks {
                let is_whole = block[HEADER_BYTES..].iter().all(|byte| *byte == blkno as u8);
                assert!(is_whole, "block {blkno}, round {round}, huge pages: {is_huge}");
            }
        }
        rig::close_clean(cache);
    }
}

/// S-33: asked for bytes, reclaim gives bytes, and neither sixteen times too much nor too little.
#[test]
fn shrinking_frees_within_one_block_of_what_was_asked() {
    let cache = rig::builder(rig::device(), 400).build().unwrap();
    for bytes in [1, BLOCK - 1, BLOCK, BLOCK + 1, 10 * BLOCK, 33 * BLOCK + 7, 100 * BLOCK] {
        fill(&cache, 1..600);
        let used = cache.stats().used_bytes;
        let shrunk = cache.shrink(bytes);
        assert_eq!(used - cache.stats().used_bytes, shrunk.freed_bytes);
        let wanted = bytes.next_multiple_of(BLOCK);
        assert!(shrunk.freed_bytes.abs_diff(wanted) <= BLOCK, "{bytes} bytes: {shrunk:?}");
    }
    assert_eq!(cache.shrink(0).freed_bytes, 0);
    rig::close_clean(cache);
}

/// S-33: what is asked for beyond what there is gives all there is, and no more.
#[test]
fn shrinking_by_more_than_there_is_gives_what_nobody_holds() {
    let cache = rig::builder(rig::device(), 64).build().unwrap();
    fill(&cache, 1..100);
    let held: Vec<Block> =
        (90..100).map(|blkno| cache.insert(some(blkno), MAGIC, |_| {}).expect("a frame")).collect();
    let shrunk = cache.shrink(u64::MAX);
    assert!(shrunk.freed_bytes >= 40 * BLOCK && shrunk.pinned >= 1, "{shrunk:?}");
    assert!(held.iter().zip(90..).all(|(block, blkno)| block.block_ref() == some(blkno)));
    fill(&cache, 200..300);
    drop(held);
    rig::close_clean(cache);
}

/// S-34: a block number beyond 32 bits is a block number.
#[test]
fn s_34_blocks_with_large_numbers_are_cached_and_told_apart() {
    let blocks = 1 << 41;
    let device = std::sync::Arc::new(MemDevice::new(blocks * BLOCK));
    let far = rig::put_block(&*device, 1 << 40, 1);
    let cache = rig::builder(device.clone(), 64).build().unwrap();
    for shift in [0, 16, 32, 33, 40] {
        drop(cache.insert(some((1 << shift) | 5), MAGIC, |image| image.fill(shift)).unwrap());
    }
    for shift in [0, 16, 32, 33, 40] {
        let found = cache.get(some((1 << shift) | 5), MAGIC).unwrap();
        assert_eq!((found.block_ref(), found[100]), (some((1 << shift) | 5), shift));
    }
    assert_eq!(cache.read_ref(far, MAGIC).wait().unwrap().block_ref(), far);
    let beyond = cache.read_ref(some(blocks), MAGIC).wait().unwrap_err();
    assert!(matches!(beyond, CacheError::OutOfRange { blkno, .. } if blkno.0 == blocks), "{beyond}");
    rig::close_clean(cache);
}

/// B4: what a batch finds in the cache is held before anything is evicted for what it has to read.
#[test]
fn a_batch_does_not_evict_its_own_hits() {
    let device = rig::device();
    let missing: Vec<BlockRef> = (1..41).map(|blkno| rig::put_block(&*device, blkno, blkno)).collect();
    let cache = rig::builder(device, 64).build().unwrap();
    fill(&cache, 100..300);
    // These are not on the device: once evicted, they are lost.
    let cached: Vec<BlockRef> =
        (100..300).map(some).filter(|wanted| cache.guard().peek(*wanted, MAGIC).is_some()).collect();
    let hits = &cached[..cached.len().min(20)];
    let found = cache.read_many(&[&missing[..], hits].concat(), MAGIC).wait();
    let lost: Vec<_> = found.iter().filter(|result| result.is_err()).collect();
    assert!(lost.is_empty(), "{lost:?}");
    drop(found);
    rig::close_clean(cache);
}

/// E1, E4: threads that use the cache pay no barrier for grace periods, and one that rests costs one, not one a window.
#[test]
fn a_thread_that_rests_holds_up_no_frames_and_costs_one_barrier() {
    let cache = rig::builder(rig::device(), 256).build().unwrap();
    fill(&cache, 1..2000);
    assert_eq!(cache.stats().events.grace_expedited, 0);
    let (rests, goes_on) = (std::sync::Barrier::new(2), std::sync::Barrier::new(2));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            fill(&cache, 2000..2010);
            rests.wait();
            goes_on.wait();
            fill(&cache, 2010..2020);
        });
        rests.wait();
        fill(&cache, 2020..4000);
        goes_on.wait();
    });
    let events = cache.stats().events;
    assert!((1..=8).contains(&events.grace_expedited), "{events:?}");
    rig::close_clean(cache);
}

/// S-12, B1: a second image for a block number is not entered; the first one wins.
#[test]
fn inserting_twice_gives_the_image_that_was_first() {
    let cache = rig::builder(rig::device(), 64).build().unwrap();
    let first = cache.insert(some(7), MAGIC, |image| image.fill(1)).unwrap();
    let second = cache.insert(some(7), MAGIC, |image| image.fill(2)).unwrap();
    assert_eq!(first.as_ptr(), second.as_ptr());
    assert_eq!(second[100], 1);
    let other = BlockRef::new(BlockNo(7), Seq(8));
    assert!(cache.insert(other, MAGIC, |_| {}).unwrap_err().is_stale());
    assert_eq!(cache.stats().events.duplicate_insert_lost, 2);
    assert_eq!(cache.insert(BlockRef::NULL, MAGIC, |_| {}).unwrap_err(), CacheError::Null);
    drop((first, second));
    rig::close_clean(cache);
}

/// S-13, L-01, S-02: a million insertions into an index that begins with one bucket, through growth and eviction: each
/// succeeds.
#[test]
fn inserts_never_fail_however_fast_they_come() {
    let device = std::sync::Arc::new(MemDevice::new((1 << 21) * BLOCK));
    let cache = rig::builder(device, 2000).expected_blocks(1).build().unwrap();
    fill(&cache, 1..1_000_001);
    let stats = cache.stats();
    assert!(stats.growths >= 2 && stats.growths_refused == 0, "{stats:?}");
    assert!(stats.used_bytes <= stats.capacity_bytes + 31 * BLOCK, "{stats:?}");
    assert_eq!(stats.events.no_frame, 0);
    rig::close_clean(cache);
}

/// S-14, L-09, C4: shrinking in the middle of growth ends, and looks at a bounded number of frames.
#[test]
fn shrinking_during_growth_is_bounded() {
    let cache = rig::builder(rig::device(), 3000).expected_blocks(1).build().unwrap();
    for step in 0..30 {
        fill(&cache, step * 100 + 1..step * 100 + 101);
        let before = cache.stats().events.shrink_visited;
        let shrunk = cache.shrink(20 * BLOCK);
        let visited = cache.stats().events.shrink_visited - before;
        assert_eq!(shrunk.scanned, visited);
        // 17 looks for each block is the bound of one eviction.
        assert!(shrunk.freed_bytes <= 20 * BLOCK && visited <= 20 * 17, "step {step}: {shrunk:?}");
    }
    assert!(cache.stats().growths > 3);
    let all = cache.shrink(u64::MAX);
    assert!(all.scanned <= 3100 * 17, "{all:?}");
    rig::close_clean(cache);
}

/// L-02: a scan makes the hand look at one frame, or hardly more, for each that it frees.
#[test]
fn a_scan_costs_no_more_than_two_looks_for_each_block() {
    let cache = rig::builder(rig::device(), 512).build().unwrap();
    for _ in 0..4 {
        // A working set that is used, and a scan that is not.
        for blkno in (1..200).chain(1..200) {
            let block = cache.get(some(blkno), MAGIC);
            drop(block.or_else(|| cache.insert(some(blkno), MAGIC, |_| {}).ok()));
        }
        fill(&cache, 1000..4000);
    }
    let events = cache.stats().events;
    assert!(events.shrink_visited <= 2 * events.shrink_freed, "{events:?}");
    rig::close_clean(cache);
}

/// L-02: where readers hold all that was read lately, eviction does not look at each of those again for every block it frees.
#[test]
fn a_window_of_held_blocks_costs_no_more_than_four_looks_for_each_block() {
    let cache = rig::builder(rig::device(), 256).build().unwrap();
    let mut window = std::collections::VecDeque::new();
    for blkno in 1..4000 {
        window.push_back(cache.insert(some(blkno), MAGIC, |_| {}).unwrap());
        if window.len() > 128 {
            window.pop_front();
        }
    }
    let events = cache.stats().events;
    assert!(events.shrink_visited <= 4 * events.shrink_freed, "{events:?}");
    drop(window);
    rig::close_clean(cache);
}

/// A commit makes progress when readers hold everything, and so do they once one of them lets go.
#[test]
fn the_reserve_is_for_writers_when_readers_pin_everything() {
    let cache = rig::builder(rig::device(), 16).build().unwrap();
    let mut held = Vec::new();
    let refused = loop {
        match cache.insert(some(held.len() as u64 + 1), MAGIC, |_| {}) {
            Ok(block) => held.push(block),
            Err(error) => break error,
        }
    };
    assert_eq!(refused, CacheError::NoFrame { frames: 24 });
    assert_eq!(held.len(), 16, "all that the capacity allows");
    let mut writer = cache.writer();
    let mut supply = Counting::from(100);
    let mut blocks = [BlockRef::NULL; 8];
    blocks.iter_mut().for_each(|block| rig::dirty(&writer, block, &mut supply, 1));
    assert_eq!(cache.stats().events.reserve_used, 8);
    assert_eq!(writer.write().wait().unwrap().blocks, 8);
    // What was written is clean and can be evicted: for the reserve first (M3), so that the next commit works too.
    let mut again = [BlockRef::NULL; 8];
    again.iter_mut().for_each(|block| rig::dirty(&writer, block, &mut supply, 2));
    writer.forget_all();
    held.pop();
    drop(cache.insert(some(99), MAGIC, |_| {}).expect("a reader let go"));
    drop((held, writer));
    rig::close_clean(cache);
}

#[test]
fn the_capacity_is_cut_to_the_least_and_raised_again_under_use() {
    let device = rig::device();
    let blocks: Vec<_> = (1..400).map(|blkno| rig::put_block(&*device, blkno, blkno)).collect();
    let cache = rig::builder(device, 256).build().unwrap();
    let read_all = || {
        for block in &blocks {
            assert_eq!(cache.read_ref(*block, MAGIC).wait().unwrap().block_ref(), *block);
        }
    };
    read_all();
    let held: Vec<_> =
        blocks[390..].iter().map(|block| cache.read_ref(*block, MAGIC).wait().unwrap()).collect();
    let least = cache.set_capacity(0);
    assert_eq!((least, cache.capacity()), (8 * BLOCK, 8 * BLOCK), "one reserve");
    assert!(cache.stats().used_bytes < 64 * BLOCK, "cut at once: {:?}", cache.stats());
    drop(held);
    read_all();
    let stats = cache.stats();
    assert!(stats.used_bytes <= 16 * BLOCK, "{stats:?}");
    assert_eq!(cache.set_capacity(u64::MAX), 4 * 256 * BLOCK, "as far as address space was reserved");
    read_all();
    let reads = cache.stats().events.device_reads;
    read_all();
    assert_eq!(cache.stats().events.device_reads, reads, "all fit now");
    rig::close_clean(cache);
}

/// L-10: an index that cannot grow holds fewer blocks, and says so; nothing fails.
#[test]
fn a_refused_growth_costs_room_and_nothing_else() {
    let cache = rig::builder(rig::device(), 500).expected_blocks(1).build().unwrap();
    let faults: Vec<_> = (0..50).map(|_| cache.arm_fault(FaultPoint::NoGrowth, 0)).collect();
    let mut inserted = 0;
    while !faults.iter().all(crate::ArmedFault::has_fired) {
        inserted += 1;
        match cache.insert(some(inserted), MAGIC, |_| {}) {
            Ok(block) => assert_eq!(block.block_ref(), some(inserted)),
            Err(error) => assert!(matches!(error, CacheError::NoFrame { .. }), "{error}"),
        }
        assert!(inserted < 100_000, "the growth is never tried again");
    }
    let stats = cache.stats();
    assert_eq!((stats.growths, stats.growths_refused), (0, 50));
    assert!(stats.used_bytes <= 14 * BLOCK, "two buckets, less a tenth: {stats:?}");
    fill(&cache, 1..400);
    assert!((300..400).all(|blkno| cache.get(some(blkno), MAGIC).is_some()), "it has grown meanwhile");
    rig::close_clean(cache);
}
