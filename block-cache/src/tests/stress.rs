//! The whole cache under load, on ordinary threads: every read gives the bytes of the image that was asked for, or says
//! why not, whatever is dirtied, shrunk, resized and closed meanwhile.
//!
//! Takes two seconds, or as many as `TIDELOCK_STRESS_SECONDS` says.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use tidelock_format::{BlockNo, BlockRef, Seq};

use super::rig::{self, MAGIC, SIZE};
use crate::{Block, BlockCache, BlockSupply, CacheError, SupplyError};

/// Trees' leaves: what readers look for.
const PLACES: usize = 200;
const FRAMES: usize = 96;

fn seconds() -> u64 {
    let given = std::env::var("TIDELOCK_STRESS_SECONDS").ok();
    given.map_or(2, |text| text.parse().expect("TIDELOCK_STRESS_SECONDS must be a number of seconds"))
}

/// A generator of random numbers (xorshift), a seed for each thread.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

/// What the places hold: the references that the last commit left.
struct Volume {
    cache: BlockCache,
    roots: Mutex<Vec<BlockRef>>,
    is_over: AtomicBool,
    reads: AtomicU64,
}

impl Volume {
    fn reference(&self, place: usize) -> BlockRef {
        self.roots.lock().unwrap()[place]
    }

    fn goes_on(&self) -> bool {
        !self.is_over.load(Ordering::Relaxed)
    }

    /// Reads a place again and again until its reference is not out of date.
    fn read(&self, place: usize) -> Option<Block> {
        loop {
            let wanted = self.reference(place);
            match self.cache.read_ref(wanted, MAGIC).wait() {
                Ok(block) => {
                    check(&block, wanted);
                    self.reads.fetch_add(1, Ordering::Relaxed);
                    return Some(block);
                }
                Err(CacheError::Stale { .. } | CacheError::Dirty { .. }) => {
                    assert_ne!(wanted, self.reference(place), "P3: a durable root leads nowhere");
                }
                Err(CacheError::NoFrame { .. }) => return None,
                Err(CacheError::Closed) => return None,
                Err(error) => panic!("{wanted}: {error}"),
            }
        }
    }
}

/// The payload tells which image it is, from the first byte to the last.
fn check(image: &[u8], wanted: BlockRef) {
    let word = payload(wanted).to_le_bytes();
    assert!(image[64..].chunks_exact(8).all(|found| found == word), "{wanted}: torn, or another's");
}

fn payload(image: BlockRef) -> u64 {
    image.blkno.0.rotate_left(32) ^ image.seq.0
}

fn fill(image: &mut [u8], block: BlockRef) {
    image[64..].chunks_exact_mut(8).for_each(|word| word.copy_from_slice(&payload(block).to_le_bytes()));
}

/// Hands out blocks round the device, never one that the last commit or this one uses (P1).
#[derive(Default)]
struct Ring {
    next: u64,
    used: HashSet<BlockNo>,
    /// By the commit under way.
    freed: Vec<BlockNo>,
}

impl BlockSupply for Ring {
    fn replace(&mut self, old: Option<BlockNo>) -> Result<BlockNo, SupplyError> {
        self.freed.extend(old);
        loop {
            self.next = self.next % (rig::BLOCKS - 1) + 1;
            if self.used.insert(BlockNo(self.next)) {
                return Ok(BlockNo(self.next));
            }
        }
    }
}

/// Dirties a few places in one transaction, writes them and publishes their references.
fn commit(volume: &Volume, supply: &mut Ring, places: &[usize]) {
    let mut writer = volume.cache.writer();
    let mut changed = Vec::new();
    for place in places {
        let mut block = volume.reference(*place);
        match writer.dirty(&mut block, MAGIC, supply).wait() {
            Ok(mut dirty) => {
                let image = dirty.block_ref();
                fill(&mut dirty, image);
            }
            Err(crate::DirtyError::Cache(CacheError::NoFrame { .. } | CacheError::Closed)) => continue,
            Err(error) => panic!("place {place}: {error}"),
        }
        changed.push((*place, block));
    }
    writer.write().wait().expect("the device takes writes");
    let mut roots = volume.roots.lock().unwrap();
    changed.into_iter().for_each(|(place, block)| roots[place] = block);
    supply.freed.drain(..).for_each(|blkno| assert!(supply.used.remove(&blkno)));
}

fn volume() -> (Arc<Volume>, Ring) {
    let cache = rig::builder(rig::device(), FRAMES).expected_blocks(1).build().unwrap();
    let roots = Mutex::new(vec![BlockRef::NULL; PLACES]);
    let volume = Volume { cache, roots, is_over: AtomicBool::new(false), reads: AtomicU64::new(0) };
    let mut supply = Ring::default();
    for places in (0..PLACES).collect::<Vec<_>>().chunks(16) {
        commit(&volume, &mut supply, places);
    }
    assert!(volume.roots.lock().unwrap().iter().all(|block| block.seq != Seq(0)));
    (Arc::new(volume), supply)
}

/// Reads, keeps some blocks for a while, clones them, and sends some to another thread to be dropped there.
fn read_and_hold(volume: &Volume, seed: u64, away: &mpsc::Sender<(Block, BlockRef)>) {
    let (mut random, mut held) = (Random(seed), Vec::<Block>::new());
    while volume.goes_on() {
        let Some(block) = volume.read(random.below(PLACES)) else {
            held.clear();
            continue;
        };
        match random.below(8) {
            0 => held.push(block.clone()),
            1 => drop(away.send((block.clone(), block.block_ref()))),
            2 => held.push(block),
            _ => drop(block),
        }
        if held.len() > 12 {
            held.drain(..).for_each(|block| check(&block, block.block_ref()));
        }
    }
}

/// Descents of a few levels under one guard.
fn peek(volume: &Volume, seed: u64) {
    let mut random = Random(seed);
    while volume.goes_on() {
        let guard = volume.cache.guard();
        let wanted: Vec<BlockRef> = (0..4).map(|_| volume.reference(random.below(PLACES))).collect();
        let seen: Vec<_> = wanted.iter().map(|wanted| guard.peek(*wanted, MAGIC)).collect();
        for (image, wanted) in seen.into_iter().zip(wanted) {
            image.into_iter().for_each(|image| check(image, wanted));
        }
    }
}

fn run(volume: &Arc<Volume>, supply: Ring, end: impl FnOnce()) {
    thread::scope(|scope| {
        let (away, arrived) = mpsc::channel::<(Block, BlockRef)>();
        scope.spawn(move || arrived.into_iter().for_each(|(block, wanted)| check(&block, wanted)));
        for seed in 1..=3 {
            let away = away.clone();
            scope.spawn(move || read_and_hold(volume, seed * 0x9e37_79b9, &away));
        }
        drop(away);
        scope.spawn(|| peek(volume, 77));
        scope.spawn(|| {
            let (mut supply, mut random) = (supply, Random(5));
            while volume.goes_on() {
                let mut places: Vec<_> = (0..1 + random.below(12)).map(|_| random.below(PLACES)).collect();
                places.sort_unstable();
                places.dedup();
                commit(volume, &mut supply, &places);
            }
        });
        scope.spawn(|| {
            let mut random = Random(9);
            while volume.goes_on() {
                volume.cache.shrink((random.below(8) * SIZE.bytes()) as u64);
                let frames = FRAMES / 2 + random.below(2 * FRAMES);
                volume.cache.set_capacity((frames * SIZE.bytes()) as u64);
                thread::sleep(Duration::from_micros(200));
            }
        });
        end();
        volume.is_over.store(true, Ordering::Relaxed);
    });
    assert!(volume.reads.load(Ordering::Relaxed) > 0);
}

#[test]
fn every_read_gives_the_image_that_was_asked_for() {
    let (volume, supply) = volume();
    run(&volume, supply, || thread::sleep(Duration::from_secs(seconds()) / 2));
    assert!(volume.cache.outstanding().is_empty(), "{:?}", volume.cache.outstanding());
    for place in 0..PLACES {
        assert!(volume.read(place).is_some(), "everything that was committed can be read");
    }
    let volume = Arc::into_inner(volume).expect("all threads have ended");
    assert!(volume.cache.close().is_clean());
}

/// Blocks outlive their cache: closed under load, then dropped, then the blocks.
#[test]
fn closing_under_load_disturbs_no_reader() {
    let end = Instant::now() + Duration::from_secs(seconds()) / 2;
    while Instant::now() < end {
        let (volume, supply) = volume();
        let mut kept = Vec::new();
        run(&volume, supply, || {
            kept.extend((0..8).filter_map(|place| volume.read(place)));
            drop(volume.cache.clone().close());
            assert_eq!(
                volume.cache.read_ref(volume.reference(0), MAGIC).wait().err(),
                Some(CacheError::Closed)
            );
            thread::sleep(Duration::from_millis(5));
        });
        drop(volume);
        thread::scope(|scope| {
            let late = kept.split_off(kept.len() / 2);
            scope.spawn(move || late.into_iter().for_each(|block| check(&block, block.block_ref())));
            kept.into_iter().for_each(|block| check(&block, block.block_ref()));
        });
    }
}
