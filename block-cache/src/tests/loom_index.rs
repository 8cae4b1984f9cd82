//! Growth: lookups never miss a block that is there all the time, and what is removed meanwhile is gone (T4, S-13).

use tidelock_format::BlockSize;
use tidelock_sync::{Arc, model, thread};

use crate::raw::epoch::Domain;
use crate::raw::frame::{FrameNo, Frames};
use crate::raw::index::Index;
use crate::raw::pages::Pages;
use crate::raw::table::{Hash, SLOTS};

/// What an index for one bucket's blocks has: one would be too full.
const BUCKETS: usize = 2;

/// An index of two buckets, to which frame `i` holds the block of [`hash`]`(i)`.
struct Small {
    index: Index,
    domain: Domain,
    frames: Frames,
}

/// A hash in the lower or the upper half of the homes.
fn hash(frame: FrameNo) -> Hash {
    Hash(((frame.index() as u64 % 2) << 63) | (frame.index() as u64 + 1))
}

fn small() -> Arc<Small> {
    let index = Index::new(SLOTS).expect("a model takes its memory from the heap");
    let frames = Frames::reserve(2 * SLOTS, BlockSize::MIN, Pages::Small).expect("as above");
    Arc::new(Small { index, domain: Domain::new(true), frames })
}

impl Small {
    fn insert(&self, frame: usize) {
        let (frame, _guard) = (self.frames.number(frame), self.domain.guard());
        // Twice, as two insertions would: the first moves its home, the second the others, and the growth is over.
        self.index.make_way(&self.domain, hash(frame), hash);
        self.index.make_way(&self.domain, hash(frame), hash);
        let entered =
            self.index.insert(&self.domain, hash(frame), frame, hash, |other| (other == frame).then_some(()));
        entered.expect("it is entered once");
    }

    fn remove(&self, frame: usize) -> bool {
        let (frame, _guard) = (self.frames.number(frame), self.domain.guard());
        self.index.remove(hash(frame), frame)
    }

    fn has(&self, frame: usize) -> bool {
        let (frame, _guard) = (self.frames.number(frame), self.domain.guard());
        self.index.find(hash(frame), |other| (other == frame).then_some(())).is_some()
    }

    /// Begins to grow: the next insertions move the entries.
    fn grow(&self) {
        assert!(self.index.admit(&self.domain, BUCKETS * SLOTS * 3 / 4 + 1), "there is memory");
        assert_eq!(self.index.growths(), 1);
    }
}

#[test]
fn loom_index_growth_never_hides_a_block() {
    model(|| {
        let small = small();
        small.insert(0);
        let reader = thread::spawn({
            let small = small.clone();
            move || {
                assert!(small.has(0), "S-13: missed although it was there all the time");
                assert!(!small.has(2), "it was never there");
            }
        });
        // One guard for both: its beginning is a fence, and one between them would do what the mark has to.
        let guard = small.domain.guard();
        small.grow();
        small.insert(1);
        drop(guard);
        reader.join().unwrap();
        assert!(small.has(0) && small.has(1));
        small.index.collect(&small.domain);
    });
}

#[test]
fn loom_index_growth_never_hides_a_block_that_stands_behind_its_home() {
    model(|| {
        let small = small();
        let guard = small.domain.guard();
        let home = small.index.current().latch(0);
        // The home is full of entries of the other one, as if they had found no room there.
        let others = (0..SLOTS).map(|at| small.frames.number(2 * at + 1));
        others.chain([small.frames.number(0)]).for_each(|frame| home.insert(hash(frame), frame));
        drop((home, guard));
        let reader = thread::spawn({
            let small = small.clone();
            move || assert!(small.has(0), "S-13: missed although it was there all the time")
        });
        let guard = small.domain.guard();
        small.grow();
        small.index.make_way(&small.domain, hash(small.frames.number(0)), hash);
        drop(guard);
        reader.join().unwrap();
    });
}

#[test]
fn loom_index_growth_and_removal_leave_no_entry() {
    model(|| {
        let small = small();
        small.insert(0);
        small.grow();
        let remover = thread::spawn({
            let small = small.clone();
            move || assert!(small.remove(0), "B5: whoever removes a block finds its entry")
        });
        small.insert(1);
        remover.join().unwrap();
        assert!(!small.has(0) && small.has(1));
    });
}

#[test]
fn loom_index_growth_and_two_inserts_keep_both() {
    model(|| {
        let small = small();
        small.insert(0);
        let other = thread::spawn({
            let small = small.clone();
            move || small.insert(2)
        });
        small.grow();
        small.insert(1);
        other.join().unwrap();
        assert!(small.has(0) && small.has(1) && small.has(2));
    });
}
