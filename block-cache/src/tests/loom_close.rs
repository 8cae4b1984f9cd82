//! Closing: what is held is counted, what keeps the memory goes once and with the last, and nothing touches it after (B8).

use std::any::Any;
use std::sync::Arc as StdArc;

use tidelock_dev::Fault;
use tidelock_format::BlockRef;
use tidelock_sync::{Arc, Pending, UnsafeCell, model, thread};

use super::desk;
use super::model::{MAGIC, bare_core, check, image, let_go, pin, put};
use crate::CacheError;
use crate::close::{close, outstanding};
use crate::raw::core::{Claim, Core, Purpose};
use crate::raw::frame::FrameNo;
use crate::raw::orphans::KeepAlive;
use crate::raw::pin::Pin;

/// A core, and a cell that notices whoever uses the core while it is freed.
struct Memory {
    core: Core,
    freed: Freed,
}

struct Freed(UnsafeCell<()>);

// SAFETY: a cell of nothing, there to be watched.
unsafe impl Sync for Memory {}
// SAFETY: as above.
unsafe impl Send for Memory {}

impl Drop for Freed {
    fn drop(&mut self) {
        // Fields go in their order, so the core has gone by now.
        self.0.with_mut(|_| ());
    }
}

impl Memory {
    fn of(core: Core) -> Arc<Self> {
        Arc::new(Self { core, freed: Freed(UnsafeCell::new(())) })
    }

    fn keep_alive(this: &Arc<Self>) -> KeepAlive {
        struct Keeps(#[expect(dead_code, reason = "held, not used")] Arc<Memory>);
        let keep_alive: StdArc<dyn Any + Send + Sync> = StdArc::new(Keeps(this.clone()));
        keep_alive
    }
}

/// A block without a cache: a pin, and nothing else that keeps the memory.
struct Held {
    memory: *const Memory,
    frame: FrameNo,
    pin: Pin,
    image: BlockRef,
}

// SAFETY: as with a block: B8 keeps the memory as long as the pin stands.
unsafe impl Send for Held {}

impl Held {
    fn let_go(self) {
        // SAFETY: B8, which is what the models test.
        let memory = unsafe { &*self.memory };
        check(&memory.core, self.frame, self.image);
        let keep_alive = memory.freed.0.with(|_| let_go(&memory.core, self.frame, self.pin));
        drop(keep_alive);
    }
}

/// A block that is held in this thread's slot, and one whose pin is counted, because the slot is taken.
fn memory_with_two_blocks() -> (Arc<Memory>, Held, Held) {
    let memory = Memory::of(bare_core(2));
    let slotted = hold(&memory, image(1, 1));
    let counted = hold(&memory, image(2, 2));
    assert_eq!(counted.pin, Pin::Counted);
    (memory, slotted, counted)
}

fn hold(memory: &Arc<Memory>, image: BlockRef) -> Held {
    put(&memory.core, image);
    let (frame, pin) = pin(&memory.core, image).expect("it was put there");
    Held { memory: &**memory, frame, pin, image }
}

/// The last handle goes, and at the same time the last of the blocks.
fn abandon_while_it_is_let_go(memory: Arc<Memory>, last: Held) {
    let holder = thread::spawn(move || last.let_go());
    memory.core.hide_all();
    memory.core.abandon(Memory::keep_alive(&memory));
    drop(memory);
    holder.join().unwrap();
}

#[test]
fn loom_close_frees_the_memory_after_the_last_slotted_block() {
    model(|| {
        let (memory, slotted, counted) = memory_with_two_blocks();
        counted.let_go();
        abandon_while_it_is_let_go(memory, slotted);
    });
}

#[test]
fn loom_close_frees_the_memory_after_the_last_counted_block() {
    model(|| {
        let (memory, slotted, counted) = memory_with_two_blocks();
        slotted.let_go();
        abandon_while_it_is_let_go(memory, counted);
    });
}

/// The last pin of a hidden frame: its holder still has to retire the frame when the pin is gone.
#[test]
fn loom_close_frees_the_memory_after_the_last_block_of_a_removed_image() {
    model(|| {
        let (memory, slotted, counted) = memory_with_two_blocks();
        slotted.let_go();
        memory.core.remove(counted.frame);
        abandon_while_it_is_let_go(memory, counted);
    });
}

/// Closing meets the blocks one after the other, and the first may be gone before it comes to the second.
fn the_memory_stays_for(memory: Arc<Memory>, first: Held, second: Held) {
    let holder = thread::spawn(move || first.let_go());
    let keep_alive = Memory::keep_alive(&memory);
    let watched = StdArc::downgrade(&keep_alive);
    memory.core.hide_all();
    memory.core.abandon(keep_alive);
    holder.join().unwrap();
    assert_eq!(watched.strong_count(), 1, "B8: the second block is still held");
    drop(memory);
    second.let_go();
    assert_eq!(watched.strong_count(), 0, "it went with the last");
}

#[test]
fn loom_close_keeps_the_memory_for_a_counted_block() {
    model(|| {
        let (memory, slotted, counted) = memory_with_two_blocks();
        the_memory_stays_for(memory, slotted, counted);
    });
}

#[test]
fn loom_close_keeps_the_memory_for_a_slotted_block() {
    model(|| {
        let (memory, slotted, counted) = memory_with_two_blocks();
        the_memory_stays_for(memory, counted, slotted);
    });
}

#[test]
fn loom_close_counts_a_claim_or_refuses_it() {
    model(|| {
        let (shared, desk) = desk::shared(2);
        let claimer = thread::spawn({
            let shared = shared.clone();
            move || shared.claim(image(1, 1).blkno)
        });
        let report = close(&shared);
        match claimer.join().unwrap() {
            Ok(Claim::Join(_)) => unreachable!("nobody else claims"),
            Ok(Claim::Fill(frame)) => {
                assert_eq!(report.leaks.len(), 1, "B8: a claim that closing did not count");
                shared.submit_fills(&[frame]);
                shared.core.let_go(frame);
            }
            Err(error) => assert_eq!(error, CacheError::Closed),
        }
        // The fill of a claim that was refused ends too: somebody may have joined it.
        desk.go();
        desk.serve(1, Err(Fault::Injected("a model's")));
        assert!(outstanding(&shared).is_empty());
    });
}

/// Who joined a fill before the closing is told how it ended, also when the one who claimed it was refused. (The claim is on
/// the model's first thread: so the race is among the first that are tried.)
#[test]
fn loom_close_ends_the_wait_of_who_joined_a_refused_claim() {
    model(|| {
        let (shared, desk) = desk::shared(2);
        let closer = thread::spawn({
            let shared = shared.clone();
            move || {
                let mut read = desk::read(&shared);
                let is_waiting = read.advance().is_err();
                let _report = close(&shared);
                (read, is_waiting)
            }
        });
        if let Ok(claim) = shared.claim(image(1, 1).blkno) {
            let (Claim::Fill(frame) | Claim::Join(frame)) = claim;
            if matches!(claim, Claim::Fill(_)) {
                shared.submit_fills(&[frame]);
            }
            shared.core.let_go(frame);
        }
        let (mut read, is_waiting) = closer.join().unwrap();
        desk.go();
        desk.serve(1, Err(Fault::Injected("a model's")));
        assert!(!is_waiting || read.try_now().is_some(), "L-08: nobody ends this wait");
    });
}

/// Who enters a block that is there already makes its own frame free again, whatever closing does meanwhile.
#[test]
fn loom_close_leaves_a_frame_alone_that_is_not_entered() {
    model(|| {
        let core = super::model::core(3);
        put(&core, image(1, 1));
        let loser = thread::spawn({
            let core = core.clone();
            move || {
                let frame = core.take_frame(Purpose::Read).expect("one is free");
                let entered = core.enter_image(frame, image(1, 1), MAGIC).err().unwrap_or(frame);
                core.let_go(entered);
            }
        });
        core.hide_all();
        loser.join().unwrap();
        assert_eq!(core.held(), []);
    });
}

#[test]
fn loom_close_counts_an_insertion_or_refuses_it() {
    model(|| {
        let (shared, _desk) = desk::shared(2);
        let inserter = thread::spawn({
            let shared = shared.clone();
            move || {
                let site = std::panic::Location::caller();
                match shared.insert(image(1, 1), MAGIC, |_| {}, site) {
                    Ok(block) => Some(block),
                    Err(error) => {
                        assert_eq!(error, CacheError::Closed);
                        None
                    }
                }
            }
        });
        let report = close(&shared);
        let inserted = inserter.join().unwrap();
        assert!(inserted.is_none() || report.leaks.len() == 1, "B8: a block that closing did not count");
    });
}
