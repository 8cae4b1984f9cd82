//! Random reads of blocks that are not cached, each verified, with several in flight: what the way through the cache adds to
//! the device's own time.
//!
//! Each thread keeps a window of reads. What comes back is replaced by as many new reads, submitted as one batch. The cache is
//! made so small that hardly any read is a hit.

use std::collections::HashMap;
use std::hint::black_box;
use std::time::Instant;

use tidelock_block_cache::{Block, CacheError, Reads};
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
/// Frames for each read in flight, and some for the writers' reserve and for frames that guards hold up.
const FRAMES_PER_READ: u64 = 2;
const FRAMES_MORE: u64 = 128;

pub(crate) fn run(setting: &Setting, volume: &Volume, progress: &Progress) -> Result<Vec<Row>, CliError> {
    setting.depths.iter().map(|depth| run_at(*depth, setting, volume, progress)).collect()
}

fn run_at(depth: u32, setting: &Setting, volume: &Volume, progress: &Progress) -> Result<Row, CliError> {
    progress.says(&format!("{NAME}, depth {depth}"));
    let capacity = u64::from(depth) * setting.threads as u64 * FRAMES_PER_READ + FRAMES_MORE;
    let setting = Setting { capacity, ..setting.clone() };
    let cache = volume.cache(capacity).build()?;
    let measured = Run { setting: &setting, cache: &cache, progress }.measure(|thread, clock| {
        let keys = Keys::uniform(volume.slots(), seed_of(setting.seed, thread));
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

    /// Fills the window, waits for whichever read is first, and takes all that have come in with it.
    fn turn(&mut self, samples: &mut Samples, clock: &Clock) {
        self.fill();
        let mut next = self.reads.wait_next();
        while let Some((wanted, result)) = next {
            if let Some(start) = self.started.remove(&wanted) {
                samples.took(start.elapsed());
            }
            end(result, samples, clock);
            next = self.reads.try_next();
        }
    }

    fn fill(&mut self) {
        let missing = self.depth - self.reads.len();
        let wanted: Vec<BlockRef> = (0..missing).map(|_| self.volume.block_ref(self.keys.next())).collect();
        let start = Instant::now();
        self.started.extend(wanted.iter().map(|wanted| (*wanted, start)));
        self.reads.start(&wanted, DATA);
    }
}

fn end(result: Result<Block, CacheError>, samples: &mut Samples, clock: &Clock) {
    samples.count(
        clock,
        result.map(|block| {
            black_box(block[HEADER_BYTES]);
        }),
    );
}
