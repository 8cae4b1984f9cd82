//! Growth of the index, step by step.

use ahash::RandomState;
use tidelock_format::{BlockNo, BlockRef, BlockSize, Seq};
use tidelock_sync::atomic::Ordering;

use super::rig::MAGIC;
use crate::budget::Charge;
use crate::raw::core::{Core, Plan, Purpose};
use crate::raw::frame::FrameNo;
use crate::raw::pages::Pages;
use crate::raw::state::{Phase, Word};
use crate::raw::table::SLOTS;

/// Buckets of the table before it grows, and blocks in it when it has to. An insertion moves its own home alone.
const BUCKETS: u64 = 16;
const FULL: usize = 97;

/// A home that is moved by an insertion of its own, and the one behind it.
const MOVED: u64 = 9;
const BEHIND: u64 = 10;

fn core() -> Core {
    let plan = Plan {
        size: BlockSize::MIN,
        pages: Pages::Small,
        capacity: 24,
        capacity_max: 24,
        reserve: 0,
        expected: BUCKETS as usize * SLOTS / 2,
        is_noted: false,
    };
    let core = Core::new(plan, RandomState::with_seeds(1, 2, 3, 4), Charge::default()).unwrap();
    assert_eq!(core.index.bytes(&core.domain), BUCKETS as usize * 64);
    core
}

/// The home of a block in a table of [`BUCKETS`].
fn home_of(core: &Core, blkno: BlockNo) -> u64 {
    ((u128::from(core.hash(blkno).0) * u128::from(BUCKETS)) >> 64) as u64
}

/// Blocks whose home in a table of [`BUCKETS`] is `home`.
fn blocks_at(core: &Core, home: u64) -> impl Iterator<Item = BlockRef> {
    let is_there = move |blkno: &u64| home_of(core, BlockNo(*blkno)) == home;
    (1..).filter(is_there).map(|blkno| BlockRef::new(BlockNo(blkno), Seq(blkno)))
}

fn put(core: &Core, block: BlockRef) -> FrameNo {
    let frame = core.take_frame(Purpose::Read).unwrap();
    core.enter_image(frame, block, MAGIC).expect("nobody else has this block");
    frame
}

/// Each of the two may be the first to touch a huge page of the new table, which takes milliseconds where a host has to find
/// the memory: no insertion is to pay that twice.
#[test]
fn an_insertion_moves_its_own_home_or_helps_along_but_never_both() {
    let core = core();
    assert!(core.index.admit(&core.domain, FULL), "it begins to grow");
    let moved = || {
        let _guard = core.domain.guard();
        core.index.current().moved.load(Ordering::Relaxed)
    };
    let mut blocks = blocks_at(&core, MOVED);
    put(&core, blocks.next().unwrap());
    assert_eq!(moved(), 1, "its own");
    put(&core, blocks.next().unwrap());
    assert_eq!(moved(), 3, "two others");
}

/// An entry that overflowed stands in the next bucket of the old table, whose home is moved later. When its frame holds another
/// block by then, one of that very home, the mover must not come across the old entry and take it for the new block's: it
/// would stand in the new table before its own insertion, which would then lose to itself.
#[test]
fn b1_a_frame_that_is_used_again_while_the_table_grows_is_entered_once() {
    let core = core();
    let spilled = blocks_at(&core, MOVED).take(SLOTS + 1).map(|block| put(&core, block)).last().unwrap();
    assert!(core.index.admit(&core.domain, FULL), "it begins to grow");
    // Moves its home. The one behind is left, and in it the entry that overflowed.
    put(&core, blocks_at(&core, MOVED).nth(SLOTS + 1).unwrap());
    assert!(core.remove(spilled));
    core.let_go(spilled);
    let next = blocks_at(&core, BEHIND).next().unwrap();
    assert_eq!(put(&core, next), spilled, "this test is about a frame that is used again");
    let guard = core.domain.guard();
    assert_eq!(core.find_image(&guard, next, MAGIC), Some(spilled));
    drop(guard);
    assert!(core.remove(spilled));
    core.let_go(spilled);
    assert_eq!(core.pin_block(next.blkno), None, "it stood there once");
}

/// A block is evicted whose home was moved. When its frame is to hold the same block again, and is named and not entered yet, no
/// lookup may come across it by an entry in the old table: whoever enters the block may still find another's frame in the
/// new table, and make its own free again at once.
#[test]
fn t4_what_stands_in_a_home_that_was_moved_is_not_found_there() {
    let core = core();
    let block = blocks_at(&core, MOVED).next().unwrap();
    let frame = put(&core, block);
    assert!(core.index.admit(&core.domain, FULL), "it begins to grow");
    put(&core, blocks_at(&core, MOVED).nth(1).unwrap());
    assert!(core.remove(frame));
    core.let_go(frame);
    assert_eq!(core.take_frame(Purpose::Read), Ok(frame), "this test is about a frame that is used again");
    let header = core.header(frame);
    header.set_blkno(block.blkno);
    header.set_image(block.seq, MAGIC);
    header.state.claim(Word::present(Phase::Clean, 1));

    let guard = core.domain.guard();
    let found = core.find_images(&guard, &[block], MAGIC, |found| assert_eq!(found, None));
    assert_eq!(found, 0);
    assert_eq!(core.find_image(&guard, block, MAGIC), None);
    drop(guard);
    assert!(!matches!(core.pin_image_simply(block, MAGIC), Ok(Some(_))));
    assert_eq!(core.pin_image(block, MAGIC, false), None);
    assert_eq!(core.pin_block(block.blkno), None);
}

/// One block in 65536 has the tag that empty slots have. Its first candidate is nobody if there is such a slot before its own.
#[test]
fn a_block_with_the_tag_of_empty_slots_is_found_missed_moved_and_removed_like_any_other() {
    let core = core();
    let is_untagged = |blkno: &u64| core.hash(BlockNo(*blkno)).0 as u16 == 0;
    let mut untagged = (1..).filter(is_untagged).map(|blkno| BlockRef::new(BlockNo(blkno), Seq(blkno)));
    let [first, second, absent] = std::array::from_fn(|_| untagged.next().unwrap());
    let ordinary = blocks_at(&core, MOVED).next().unwrap();
    let put_behind_an_empty_slot = |block: BlockRef| {
        let first = put(&core, blocks_at(&core, home_of(&core, block.blkno)).next().unwrap());
        let frame = put(&core, block);
        assert!(core.remove(first));
        frame
    };
    let frames = [first, second].map(put_behind_an_empty_slot);
    let beside = put(&core, ordinary);
    let found = |block| {
        let guard = core.domain.guard();
        let one = core.find_image(&guard, block, MAGIC);
        let mut of_batch = Vec::new();
        core.find_images(&guard, &[ordinary, block, absent, block], MAGIC, |found| of_batch.push(found));
        assert_eq!(of_batch, [Some(beside), one, None, one]);
        assert_eq!(core.pin_block(block.blkno).inspect(|frame| core.let_go(*frame)), one);
        one
    };
    assert_eq!([first, second, absent].map(found), [Some(frames[0]), Some(frames[1]), None]);

    assert!(core.index.admit(&core.domain, FULL), "it begins to grow");
    for block in [first, second, absent] {
        core.index.make_way(&core.domain, core.hash(block.blkno), |frame| core.hash_of(frame));
    }
    assert_eq!([first, second, absent].map(found), [Some(frames[0]), Some(frames[1]), None]);
    assert!(core.remove(frames[0]));
    assert_eq!([first, second, absent].map(found), [None, Some(frames[1]), None]);
}
