//! Fault campaigns: one story, told again and again, in which the first, the second, the third ... thing goes wrong, until
//! it was told once without anything going wrong.
//!
//! After each failure everything is as it was before the step that failed (O-02, U-01), nothing is held, and the same step
//! succeeds when it is tried again (L-10, L-11). At the end the medium holds what it would hold otherwise.

use std::sync::Arc;

use tidelock_dev::{Effect, Faulty, Operation, Rule};
use tidelock_format::{BlockNo, BlockRef, HEADER_BYTES, Seq};

use super::rig::{self, Counting, MAGIC};
use crate::{BlockCache, BlockWriter, FaultPoint};

/// One step of the story. Numbers are blocks of the cast.
#[derive(Clone, Copy, Debug)]
enum Step {
    Read(usize),
    ReadAll,
    Prefetch(usize),
    /// Dirties a block and changes it.
    Change(usize),
    Forget(usize),
    Write,
    Flush,
    /// Reads a reference that another image has replaced.
    ReadOld(usize),
    /// Gives all memory back, so that what comes next has to be read again.
    Shrink,
}

/// Every way to the device and every way to a frame, each from a cold and from a warm cache.
const STORY: [Step; 26] = {
    use Step::{Change, Flush, Forget, Prefetch, Read, ReadAll, ReadOld, Shrink, Write};
    [
        Read(0),
        Read(0),
        Prefetch(1),
        Read(1),
        ReadAll,
        Change(0),
        Change(0),
        Shrink,
        Change(1),
        Change(4),
        Write,
        Flush,
        Read(0),
        ReadOld(0),
        Shrink,
        ReadAll,
        Change(2),
        Change(5),
        Forget(5),
        Write,
        Write,
        Shrink,
        Change(3),
        Change(0),
        Write,
        ReadAll,
    ]
};

/// Blocks that exist from the beginning; 4 and 5 are made in the course of the story.
const OLD: usize = 4;

struct World {
    device: Arc<Faulty>,
    cache: BlockCache,
    writer: BlockWriter,
    supply: Counting,
    cast: [BlockRef; 6],
    payload: [u8; 6],
}

/// What must be the same after a step that failed.
#[derive(Debug, PartialEq, Eq)]
struct Snapshot {
    cast: [BlockRef; 6],
    supply: (u64, Vec<BlockNo>),
    /// The payload of what is dirty; its header is the cache's to write.
    dirty: [Option<u8>; 6],
    dirty_blocks: usize,
    held: usize,
}

impl World {
    fn new() -> Self {
        let device = rig::faulty();
        let mut cast = [BlockRef::NULL; 6];
        for (n, block) in cast.iter_mut().enumerate().take(OLD) {
            *block = rig::put_block(&*device, n as u64 + 1, 1);
        }
        let cache = rig::builder(device.clone(), 8).expected_blocks(1).build().unwrap();
        let writer = cache.writer();
        Self { device, cache, writer, supply: Counting::from(100), cast, payload: [1, 2, 3, 4, 0, 0] }
    }

    fn snapshot(&self) -> Snapshot {
        let dirty = self.cast.map(|block| {
            let image = self.writer.get(block)?;
            let payload = image[HEADER_BYTES];
            assert!(rig::is_filled(&image, payload), "{block}");
            Some(payload)
        });
        Snapshot {
            cast: self.cast,
            supply: (self.supply.next, self.supply.freed.clone()),
            dirty,
            dirty_blocks: self.writer.len(),
            held: self.cache.outstanding().len(),
        }
    }

    fn attempt(&mut self, step: Step) -> Result<(), String> {
        match step {
            Step::Read(n) => self.read(n),
            Step::ReadAll => self.read_all(),
            Step::Prefetch(n) => {
                self.cache.prefetch(&[self.cast[n]]);
                Ok(())
            }
            Step::Change(n) => self.change(n),
            Step::Forget(n) => {
                assert!(self.writer.forget(self.cast[n]));
                self.cast[n] = BlockRef::NULL;
                Ok(())
            }
            Step::Write => {
                let dirty = self.writer.len() as u64;
                let report = self.writer.write().wait().map_err(|error| error.to_string())?;
                assert_eq!((report.blocks, self.writer.len()), (dirty, 0));
                Ok(())
            }
            Step::Flush => self.cache.flush().wait().map_err(|error| error.to_string()),
            Step::ReadOld(n) => {
                let old = BlockRef::new(self.cast[n].blkno, Seq(!self.cast[n].seq.0));
                match self.cache.read_ref(old, MAGIC).wait() {
                    Err(error) if error.is_stale() => Ok(()),
                    Err(error) => Err(error.to_string()),
                    Ok(found) => panic!("{found:?} is not {old}"),
                }
            }
            Step::Shrink => {
                self.cache.shrink(u64::MAX);
                Ok(())
            }
        }
    }

    fn read(&self, n: usize) -> Result<(), String> {
        let found = self.cache.read_ref(self.cast[n], MAGIC).wait().map_err(|error| error.to_string())?;
        assert!(rig::is_filled(&found, self.payload[n]), "block {n}");
        Ok(())
    }

    fn read_all(&self) -> Result<(), String> {
        let clean: Vec<usize> = (0..6).filter(|n| !self.cast[*n].is_null()).collect();
        let wanted: Vec<BlockRef> = clean.iter().map(|n| self.cast[*n]).collect();
        let found = self.cache.read_many(&wanted, MAGIC).wait();
        for (n, found) in clean.into_iter().zip(found) {
            let found = found.map_err(|error| error.to_string())?;
            assert!(rig::is_filled(&found, self.payload[n]), "block {n}");
        }
        Ok(())
    }

    fn change(&mut self, n: usize) -> Result<(), String> {
        let dirty = self.writer.dirty(&mut self.cast[n], MAGIC, &mut self.supply);
        let mut dirty = dirty.wait().map_err(|error| error.to_string())?;
        assert!(rig::is_filled(&dirty, self.payload[n]), "block {n} starts from its old image");
        self.payload[n] += 10;
        dirty[HEADER_BYTES..].fill(self.payload[n]);
        Ok(())
    }

    /// Tells the whole story. `mend` is called after each failure, before the step is tried again. Returns how many steps
    /// failed.
    fn tell(&mut self, mend: impl Fn(&mut Self)) -> usize {
        let mut failures = 0;
        for (at, step) in STORY.into_iter().enumerate() {
            let before = self.snapshot();
            if let Err(error) = self.attempt(step) {
                failures += 1;
                assert_eq!(self.snapshot(), before, "O-02: step {at}, {step:?}: {error}");
                mend(self);
                self.attempt(step).unwrap_or_else(|error| panic!("step {at}, {step:?}, is stuck: {error}"));
            }
        }
        failures
    }

    /// The medium holds what the story says, and nobody holds anything.
    fn end(self) {
        let Self { device, cache, writer, cast, payload, .. } = self;
        drop(writer);
        rig::close_clean(cache);
        let fresh = rig::builder(device, 64).build().unwrap();
        for (block, payload) in cast.iter().zip(payload).filter(|(block, _)| !block.is_null()) {
            assert!(rig::is_filled(&fresh.read_ref(*block, MAGIC).wait().unwrap(), payload), "{block}");
        }
    }
}

/// Tells the story with the n-th `point` of the cache failing, for every n. Returns how many there were, and how many of
/// them made a step fail.
fn with_each(point: FaultPoint) -> (usize, usize) {
    let mut failures = 0;
    for n in 0.. {
        let mut world = World::new();
        let fault = world.cache.arm_fault(point, n);
        let failed = world.tell(|_| ());
        assert!(failed <= 1, "errors are not sticky");
        failures += failed;
        world.end();
        if !fault.has_fired() {
            assert_eq!(failed, 0);
            return (n, failures);
        }
    }
    unreachable!("the story is finite")
}

/// As above, with the n-th request of a kind failing in the device.
fn with_each_request(operation: Operation, effect: Effect) -> (usize, usize) {
    let mut failures = 0;
    for n in 0.. {
        let mut world = World::new();
        world.device.add(Rule::new("n-th", effect).on(operation).skip(n).times(1));
        let failed = world.tell(|_| ());
        let has_fired = world.device.fired("n-th") == 1;
        world.device.clear();
        assert!(failed <= usize::from(has_fired), "errors are not sticky");
        failures += failed;
        world.end();
        if !has_fired {
            return (n as usize, failures);
        }
    }
    unreachable!("the story is finite")
}

#[test]
fn the_story_has_no_failures_of_its_own() {
    let mut world = World::new();
    assert_eq!(world.tell(|_| ()), 0);
    world.end();
}

/// O-02, L-08, C3: each submit is refused in turn: reads, writes, a flush.
#[test]
fn every_submit_may_be_refused() {
    let (submits, failures) = with_each(FaultPoint::RefuseSubmit);
    assert!(submits >= 13, "{submits} submits");
    // A refused prefetch is nobody's error.
    assert_eq!(failures, submits - 1);
}

/// O-02, L-10, U-01: each taking of a frame fails in turn, for a read, a prefetch or a new image.
#[test]
fn every_frame_may_be_missing() {
    let (frames, failures) = with_each(FaultPoint::NoFrame);
    assert!(frames >= 16, "{frames} frames");
    assert_eq!(failures, frames - 1);
}

/// L-10, L-01: each growth of the index fails in turn.
#[test]
fn every_growth_may_be_refused() {
    let (growths, failures) = with_each(FaultPoint::NoGrowth);
    assert!(growths >= 1, "{growths} growths");
    assert_eq!(failures, 0, "the frames that there are suffice");
}

/// O-02: the device fails each read in turn.
#[test]
fn every_read_may_fail_in_the_device() {
    for effect in [Effect::Error(5), Effect::Short, Effect::Refuse] {
        let (reads, failures) = with_each_request(Operation::Read, effect);
        assert!(reads >= 14, "{reads} reads");
        assert_eq!(failures, reads - 1, "all but the prefetch");
    }
}

/// O-02: the device fails each write in turn; then the whole transaction stays dirty and is written again.
#[test]
fn every_write_may_fail_in_the_device() {
    for effect in [Effect::Error(28), Effect::Short, Effect::Refuse] {
        let (writes, failures) = with_each_request(Operation::Write, effect);
        assert_eq!((writes, failures), (6, 6));
    }
}

/// A bit flips on the way of each read in turn: nobody notices but the counters.
#[test]
fn every_read_may_come_back_wrong_once() {
    let (reads, failures) = with_each_request(Operation::Read, Effect::FlipBit);
    assert!(reads >= 14 && failures == 0, "{reads} reads, {failures} failures");
}

/// O-02, U-01: the supply has nothing left at each call in turn.
#[test]
fn the_supply_may_run_dry_at_every_call() {
    let mut failures = 0;
    for calls in 0.. {
        let mut world = World::new();
        world.supply.left = Some(calls);
        let failed = world.tell(|world| world.supply.left = None);
        world.end();
        if failed == 0 {
            assert_eq!(calls, 7, "a call for each new image, and none for one that is dirty already");
            assert_eq!(failures, 7);
            return;
        }
        failures += failed;
    }
}
