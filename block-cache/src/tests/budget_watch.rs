//! A budget that follows its sources, with caches in it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tidelock_format::{BlockNo, BlockRef, Seq};

use super::rig::{self, MAGIC, SIZE};
use crate::{BlockCache, BudgetRule, BudgetSource, BudgetWatch, MemoryBudget, Reading, Room, SourceError};

const FRAMES: usize = 256;
const BLOCK: u64 = SIZE.bytes() as u64;

/// Says whatever the test says.
#[derive(Clone, Debug)]
struct Scripted(Arc<Mutex<Result<Room, &'static str>>>);

impl Scripted {
    fn new(room: Room) -> Self {
        Self(Arc::new(Mutex::new(Ok(room))))
    }

    fn say(&self, what: Result<Room, &'static str>) {
        *self.0.lock().unwrap() = what;
    }
}

impl BudgetSource for Scripted {
    fn read(&mut self, reading: &mut Reading) -> Result<(), SourceError> {
        match *self.0.lock().unwrap() {
            Ok(room) => reading.narrow(room),
            Err(why) => return Err(SourceError::Other(why.into())),
        }
        Ok(())
    }
}

fn filled_cache(budget: &MemoryBudget) -> BlockCache {
    let cache = rig::builder(rig::device(), FRAMES).budget(budget).build().unwrap();
    for blkno in 1..=FRAMES as u64 {
        let block = BlockRef::new(BlockNo(blkno), Seq(1));
        cache.insert(block, MAGIC, |image| image.copy_from_slice(&rig::image(block, 0))).unwrap();
    }
    cache
}

fn frames(count: u64) -> u64 {
    count * BLOCK
}

#[test]
fn a_source_that_runs_short_shrinks_the_caches() {
    let budget = MemoryBudget::fixed(frames(256));
    let cache = filled_cache(&budget);
    let source = Scripted::new(Room::new(frames(1024), frames(256)));
    let rule = BudgetRule::between(frames(16), frames(256));
    let mut watch = BudgetWatch::new(&budget, rule).source(source.clone());
    assert_eq!(watch.poll_once().limit_bytes, frames(256), "room enough");

    source.say(Ok(Room::new(frames(160), budget.used())));
    let adjustment = watch.poll_once();
    let shrunk = adjustment.shrunk.expect("there was too much in use");
    assert!(adjustment.limit_bytes <= frames(128), "80 % of what is free to the caches: {adjustment:?}");
    assert!(budget.used() <= adjustment.limit_bytes, "{} of {adjustment:?}", budget.used());
    assert!(shrunk.freed_bytes > 0 && cache.stats().used_bytes <= adjustment.limit_bytes);
}

#[test]
fn a_source_that_fails_is_told_of_and_raises_nothing() {
    let budget = MemoryBudget::fixed(frames(64));
    let source = Scripted::new(Room::new(frames(1024), frames(0)));
    source.say(Err("the other side hung up"));
    let rule = BudgetRule::between(frames(16), frames(256));
    let mut watch = BudgetWatch::new(&budget, rule).source(source.clone());
    let adjustment = watch.poll_once();
    assert_eq!((adjustment.limit_bytes, budget.limit()), (frames(64), frames(64)));
    assert!(adjustment.errors[0].to_string().contains("hung up"));
    source.say(Ok(Room::new(frames(1024), frames(0))));
    assert!(watch.poll_once().limit_bytes > frames(64));
}

#[test]
fn blocks_that_were_pinned_are_given_back_at_a_later_look() {
    let budget = MemoryBudget::fixed(frames(256));
    let cache = filled_cache(&budget);
    let held: Vec<_> =
        (1..=FRAMES as u64).filter_map(|n| cache.get(BlockRef::new(BlockNo(n), Seq(1)), MAGIC)).collect();
    let source = Scripted::new(Room::new(frames(100), budget.used()));
    let mut watch =
        BudgetWatch::new(&budget, BudgetRule::between(frames(16), frames(256))).source(source.clone());
    let limit = watch.poll_once().limit_bytes;
    assert!(budget.used() > limit, "held blocks stay");
    drop(held);
    // Nothing new is said: the old word is still to be kept.
    source.say(Ok(Room::new(limit * 10 / 8 + budget.used(), 2 * budget.used())));
    let adjustment = watch.poll_once();
    assert!(budget.used() <= adjustment.limit_bytes, "{} of {adjustment:?}", budget.used());
}

#[test]
fn the_thread_looks_by_itself_and_stops_when_dropped() {
    #[derive(Debug)]
    struct Counting(Arc<AtomicU64>);
    impl BudgetSource for Counting {
        fn read(&mut self, _: &mut Reading) -> Result<(), SourceError> {
            assert_eq!(std::thread::current().name(), Some("tidelock-budget"));
            // Relaxed: the test's own count.
            self.0.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }
    }
    let looks = Arc::new(AtomicU64::new(0));
    let budget = MemoryBudget::fixed(1);
    let watch = BudgetWatch::new(&budget, BudgetRule::between(0, 1000)).source(Counting(looks.clone()));
    let watch = watch.interval(Duration::ZERO).spawn().unwrap();
    let patience = Instant::now() + Duration::from_secs(20);
    while looks.load(Ordering::Relaxed) < 3 && Instant::now() < patience {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(looks.load(Ordering::Relaxed) >= 3, "it looks every 100 ms");
    drop(watch);
    assert_eq!(Arc::strong_count(&looks), 1, "the thread and its sources are gone");
}
