//! One table: what a tag leads to is there, and a home has one holder (T2, T3).

use tidelock_sync::{Arc, UnsafeCell, model, thread};

use crate::raw::frame::{FrameNo, Frames};
use crate::raw::pages::Pages;
use crate::raw::table::{Hash, Probe, Table};
use tidelock_format::BlockSize;

/// A table of one bucket, and for each of two frames a cell that says which block it holds.
struct Small {
    table: Table,
    holds: [UnsafeCell<u64>; 2],
}

// SAFETY: who may touch which cell when is what the models test.
unsafe impl Sync for Small {}
// SAFETY: as above.
unsafe impl Send for Small {}

/// Two blocks of one tag.
const HASH: Hash = Hash(7);

fn small() -> Arc<Small> {
    let table = Table::new(1).expect("a model takes its memory from the heap");
    Arc::new(Small { table, holds: [UnsafeCell::new(0), UnsafeCell::new(0)] })
}

fn frames() -> [FrameNo; 2] {
    let frames = Frames::reserve(2, BlockSize::MIN, Pages::Small).expect("as above");
    [frames.number(0), frames.number(1)]
}

impl Small {
    fn enter(&self, frame: FrameNo, block: u64) {
        // SAFETY: no lookup has seen this frame yet.
        self.holds[frame.index()].with_mut(|cell| unsafe { *cell = block });
        self.table.latch(0).insert(HASH, frame);
    }

    /// The first of the blocks that lookups offer, or the one that is `wanted`.
    fn find(&self, wanted: u64) -> Option<FrameNo> {
        let found = self.table.find(HASH, |frame| {
            // SAFETY: written before the entry was published, and not again.
            let block = self.holds[frame.index()].with(|cell| unsafe { *cell });
            (block == wanted).then_some(frame)
        });
        if let Probe::Found(frame) = found { Some(frame) } else { None }
    }
}

#[test]
fn loom_table_leads_to_what_was_written_before() {
    model(|| {
        let (small, [frame, _]) = (small(), frames());
        let reader = thread::spawn({
            let small = small.clone();
            move || small.find(1)
        });
        small.enter(frame, 1);
        reader.join().unwrap();
        assert_eq!(small.find(1), Some(frame));
    });
}

/// A lookup that saw the tag of the last entry and then reads the slot of the next one.
#[test]
fn loom_table_leads_to_what_was_written_before_a_slot_was_refilled() {
    model(|| {
        let (small, [old, new]) = (small(), frames());
        small.enter(old, 1);
        let reader = thread::spawn({
            let small = small.clone();
            move || small.find(2)
        });
        assert!(small.table.latch(0).remove(old));
        small.enter(new, 2);
        reader.join().unwrap();
        assert_eq!((small.find(1), small.find(2)), (None, Some(new)));
    });
}

#[test]
fn loom_table_latch_has_one_holder() {
    model(|| {
        let small = small();
        let count = |small: &Small| {
            let _latch = small.table.latch(0);
            // SAFETY: the latch is what makes this access exclusive.
            small.holds[0].with_mut(|cell| unsafe { *cell += 1 });
        };
        let other = thread::spawn({
            let small = small.clone();
            move || count(&small)
        });
        count(&small);
        other.join().unwrap();
        let _latch = small.table.latch(0);
        // SAFETY: as above.
        assert_eq!(small.holds[0].with(|cell| unsafe { *cell }), 2);
    });
}
