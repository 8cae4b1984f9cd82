//! Growth of the index, step by step.

use ahash::RandomState;
use tidelock_format::{BlockNo, BlockRef, BlockSize, Seq};

use super::rig::MAGIC;
use crate::budget::Charge;
use crate::raw::core::{Core, Plan, Purpose};
use crate::raw::frame::FrameNo;

/// Buckets of the table before it grows.
const BUCKETS: u64 = 4;

fn core() -> Core {
    let plan = Plan {
        size: BlockSize::MIN,
        capacity: 24,
        capacity_max: 24,
        reserve: 0,
        expected: 22,
        is_noted: false,
    };
    Core::new(plan, RandomState::with_seeds(1, 2, 3, 4), Charge::default()).unwrap()
}

/// Blocks whose home in a table of [`BUCKETS`] is `home`.
fn blocks_at(core: &Core, home: u64) -> impl Iterator<Item = BlockRef> {
    let is_there = move |blkno: &u64| ((core.hash(BlockNo(*blkno)).0 >> 32) * BUCKETS) >> 32 == home;
    (1..).filter(is_there).map(|blkno| BlockRef::new(BlockNo(blkno), Seq(blkno)))
}

fn put(core: &Core, block: BlockRef) -> FrameNo {
    let frame = core.take_frame(Purpose::Read).unwrap();
    core.enter_image(frame, block, MAGIC).expect("nobody else has this block");
    frame
}

/// An entry that overflowed stays in the next bucket of the old table when its home was moved. When its frame holds another
/// block by the time that bucket's home is moved, the mover must not take the old entry for one of the new block: it would
/// stand in the new table before its own insertion, which would then lose to itself.
#[test]
fn b1_a_frame_that_is_used_again_while_the_table_grows_is_entered_once() {
    let core = core();
    let spilled = blocks_at(&core, 2).take(11).map(|block| put(&core, block)).last().unwrap();
    assert!(core.index.admit(&core.domain, 31), "it begins to grow");
    // Moves home 2, and helps with homes 0 and 1. Home 3 is left, and behind it the entry that overflowed.
    put(&core, blocks_at(&core, 2).nth(11).unwrap());
    assert!(core.remove(spilled));
    core.let_go(spilled);
    let next = blocks_at(&core, 3).next().unwrap();
    assert_eq!(put(&core, next), spilled, "this test is about a frame that is used again");
    let guard = core.domain.guard();
    assert_eq!(core.find_image(&guard, next, MAGIC), Some(spilled));
    drop(guard);
    assert!(core.remove(spilled));
    core.let_go(spilled);
    assert_eq!(core.pin_block(next.blkno), None, "it stood there once");
}
