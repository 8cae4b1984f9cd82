//! Everything at once: readers, a writer that replaces the blocks they read, and a capacity that is cut to a quarter and
//! raised again while they work.
//!
//! What a reader may meet: its reference is a moment older than the block (`Stale`; it looks the slot up again), or every
//! frame is in use or on its way just when the capacity was cut (`NoFrame`; it tries again). Nothing worse.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use tidelock_block_cache::{BlockCache, BlockWriter, CacheError, DirtyError};
use tidelock_format::{BlockRef, HEADER_BYTES};

use super::keys::{Keys, seed_of};
use super::measure::{Clock, Run, Samples};
use super::progress::Progress;
use super::row::Row;
use super::setting::Setting;
use super::slots::{Free, Volume};
use super::zipf::{read, warm};
use crate::error::CliError;
use crate::volume::DATA;

const NAME: &str = "pressure";
const EXPONENT: f64 = 0.9;
/// Blocks in a transaction at most.
const COMMIT_BLOCKS: u64 = 64;
/// How long a capacity stays.
const TIDE: Duration = Duration::from_millis(100);
/// The capacity at low tide is the whole divided by this.
const CUT: u64 = 4;
/// References that a reader looks up at a time.
const VIEW: usize = 64;
/// A slot is looked up again at most so often.
const LOOKS_MAX: usize = 1000;

pub(crate) fn run(setting: &Setting, volume: &Volume, progress: &Progress) -> Result<Row, CliError> {
    progress.says(NAME);
    volume.begin_writing()?;
    let cache = volume.cache(setting.capacity).build()?;
    let keys = |thread| Keys::zipf(volume.slots(), EXPONENT, seed_of(setting.seed, thread));
    warm(setting, volume, &cache, keys(setting.threads))?;
    let writer = |clock: &Clock| {
        let mut keys = keys(setting.threads + 1);
        while !clock.is_over() {
            if let Err(error) = replace_some(&cache, volume, setting, &mut keys) {
                clock.fail(error);
            }
        }
    };
    let tide = |clock: &Clock| {
        while !clock.is_over() {
            cache.set_capacity(low_tide(setting));
            thread::sleep(TIDE);
            cache.set_capacity(setting.capacity_bytes());
            thread::sleep(TIDE);
        }
    };
    let run = Run { setting, cache: &cache, progress };
    let measured = run.measure_beside(&[&writer, &tide], |thread, clock| {
        let mut view = View { volume, keys: keys(thread), seen: Vec::new() };
        Samples::of(clock, || view.read_next(&cache))
    });
    Ok(Row::new(NAME, setting, measured))
}

/// Bytes of capacity at low tide: always enough for every thread to hold a block.
fn low_tide(setting: &Setting) -> u64 {
    let size = setting.block_size.bytes() as u64;
    let least = (setting.threads as u64 + COMMIT_BLOCKS) * size;
    (setting.capacity_bytes() / CUT).max(least).min(setting.capacity_bytes())
}

/// What a reader sees of the volume: references that were right when it looked, as a tree's roots would be.
struct View<'a> {
    volume: &'a Volume,
    keys: Keys,
    seen: Vec<(u32, BlockRef)>,
}

impl View<'_> {
    /// Reads the next block of the view. One that was replaced since is looked up again; if the tide left no frame just now,
    /// others go on first. The cache counts both.
    fn read_next(&mut self, cache: &BlockCache) -> Result<(), CacheError> {
        let (slot, mut wanted) = self.next();
        let mut result = Ok(());
        for _ in 0..LOOKS_MAX {
            result = read(cache, wanted);
            match &result {
                Err(CacheError::Stale { .. }) => wanted = self.volume.block_ref(slot),
                Err(CacheError::NoFrame { .. }) => thread::yield_now(),
                _ => break,
            }
        }
        result
    }

    fn next(&mut self) -> (u32, BlockRef) {
        if let Some(next) = self.seen.pop() {
            return next;
        }
        let slots = (0..VIEW).map(|_| self.keys.next());
        self.seen = slots.map(|slot| (slot, self.volume.block_ref(slot))).collect();
        self.seen.pop().expect("a view has blocks")
    }
}

/// One transaction: new images of some slots, each made from the one before, written and made durable before readers are
/// sent to them.
fn replace_some(
    cache: &BlockCache,
    volume: &Volume,
    setting: &Setting,
    keys: &mut Keys,
) -> Result<(), CliError> {
    let mut free = volume.free();
    let blocks = COMMIT_BLOCKS.min(free.len() as u64).min(setting.capacity / 8).max(1);
    let slots: BTreeSet<u32> = (0..blocks).map(|_| keys.next()).collect();
    let mut writer = cache.writer();
    let mut images = Vec::new();
    for slot in slots {
        match dirty(&writer, volume.block_ref(slot), &mut free) {
            Ok(image) => images.push((slot, image)),
            // Low tide: commit what there is; that makes frames clean again.
            Err(DirtyError::Cache(CacheError::NoFrame { .. })) => break,
            Err(error) => return Err(error.into()),
        }
    }
    writer.write().wait()?;
    cache.flush().wait()?;
    for (slot, image) in images {
        volume.set(slot, image);
    }
    free.durable_and_next();
    Ok(())
}

fn dirty(writer: &BlockWriter, mut image: BlockRef, free: &mut Free) -> Result<BlockRef, DirtyError> {
    let mut dirty = writer.dirty(&mut image, DATA, free).wait()?;
    dirty[HEADER_BYTES] = dirty[HEADER_BYTES].wrapping_add(1);
    Ok(dirty.block_ref())
}
