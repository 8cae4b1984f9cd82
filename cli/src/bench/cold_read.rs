//! Random reads of blocks that are not cached, each verified, with several in flight: what the way through the cache adds to
//! the device's own time.
//!
//! At depth 1 each thread reads a block and waits for it. Otherwise it keeps a window of reads: as many as have come back,
//! or were hits, are replaced by new ones, submitted as one batch, before what has come is verified, so the device reads
//! while checksums are computed. The cache is made so small that hardly any read is a hit.

use std::collections::HashMap;
use std::hint::black_box;
use std::time::Instant;

use tidelock_block_cache::{Block, BlockCache, Reads};
use tidelock_format::{BlockRef, HEADER_BYTES};

use super::keys::{Keys, seed_of};
use super::measure::{Clock, Run, Samples};
use super::progress::Progress;
use super::row::Row;
use super::setting::Setting;
use super::slots::Volume;
use crate::error::CliError;
use crate::volume::DATA;

const NAME: &str = "cold-read";
/// Of so many blocks one is cached: no more than so many reads are hits.
const SHARE: u64 = 64;
/// At least these: for each read in flight, and for the writers' reserve and frames that guards hold up.
const FRAMES_PER_READ: u64 = 4;
const FRAMES_MORE: u64 = 128;
const TOUCHED_AT_A_TIME: usize = 32;

pub(crate) fn run(setting: &Setting, volume: &Volume, progress: &Progress) -> Result<Vec<Row>, CliError> {
    setting.depths.iter().map(|depth| run_at(*depth, setting, volume, progress)).collect()
}

fn run_at(depth: u32, setting: &Setting, volume: &Volume, progress: &Progress) -> Result<Row, CliError> {
    progress.says(&format!("{NAME}, depth {depth}"));
    let needed = u64::from(depth) * setting.threads as u64 * FRAMES_PER_READ + FRAMES_MORE;
    let capacity = needed.max(u64::from(volume.slots()) / SHARE);
    let setting = Setting { capacity, ..setting.clone() };
    let cache = volume.cache(capacity).build()?;
    touch_frames(&cache, volume, capacity)?;
    let run = Run { setting: &setting, cache: &cache, progress };
    let measured = run.measure(|thread, clock| {
        let mut keys = Keys::uniform(volume.slots(), seed_of(setting.seed, thread));
        if depth == 1 {
            return Samples::of(clock, || {
                let read = cache.read_ref(volume.block_ref(keys.next()), DATA).wait();
                read.map(touch)
            });
        }
        let mut window = Window::new(volume, keys, depth as usize, cache.reads());
        clock.begin();
        let mut warming = Samples::new();
        while clock.is_warming() {
            window.turn(&mut warming, clock);
        }
        Samples::measured(clock, |samples| window.turn(samples, clock))
    });
    Ok(Row { depth: Some(depth), ..Row::new(NAME, &setting, measured) })
}

/// Reads as many blocks as the cache has room for: memory that is touched for the first time costs some microseconds a page,
/// which no cache pays again later.
fn touch_frames(cache: &BlockCache, volume: &Volume, capacity: u64) -> Result<(), CliError> {
    let refs: Vec<BlockRef> =
        (0..volume.slots()).take(capacity as usize).map(|slot| volume.block_ref(slot)).collect();
    for some in refs.chunks(TOUCHED_AT_A_TIME) {
        for read in cache.read_many(some, DATA).wait() {
            read.map(touch)?;
        }
    }
    Ok(())
}

struct Window<'a> {
    volume: &'a Volume,
    keys: Keys,
    depth: usize,
    reads: Reads,
    /// When each of them was started.
    started: HashMap<BlockRef, Instant>,
}

impl<'a> Window<'a> {
    fn new(volume: &'a Volume, keys: Keys, depth: usize, reads: Reads) -> Self {
        Self { volume, keys, depth, reads, started: HashMap::with_capacity(depth) }
    }

    /// Waits until a read is over, replaces all that are, and takes them.
    fn turn(&mut self, samples: &mut Samples, clock: &Clock) {
        self.reads.wait_any();
        let in_flight = self.reads.in_flight();
        let ended = self.reads.len() - in_flight;
        self.start(self.depth - in_flight);
        // What was a hit keeps the device no busier: another is read in its place.
        let hits = self.depth - self.reads.in_flight();
        self.start(hits);
        for _ in 0..ended + hits {
            let Some((wanted, result)) = self.reads.try_next() else { break };
            if let Some(start) = self.started.remove(&wanted) {
                samples.took(start.elapsed());
            }
            samples.count(clock, result.map(touch));
        }
    }

    fn start(&mut self, count: usize) {
        let wanted: Vec<BlockRef> = (0..count).map(|_| self.volume.block_ref(self.keys.next())).collect();
        let start = Instant::now();
        self.reads.start(&wanted, DATA);
        // The device has them by now; our own books can wait.
        self.started.extend(wanted.into_iter().map(|wanted| (wanted, start)));
    }
}

fn touch(block: Block) {
    black_box(block[HEADER_BYTES]);
}
