//! Few blocks often, many rarely: what most file systems see.

use std::hint::black_box;
use std::time::Instant;

use tidelock_block_cache::{BlockCache, CacheError};
use tidelock_format::{BlockRef, HEADER_BYTES};

use super::keys::{Keys, seed_of};
use super::measure::{Run, Samples};
use super::progress::Progress;
use super::row::Row;
use super::setting::Setting;
use super::slots::Volume;
use crate::error::CliError;
use crate::volume::DATA;

const NAME: &str = "zipf";
const EXPONENT: f64 = 0.99;

pub(crate) fn run(setting: &Setting, volume: &Volume, progress: &Progress) -> Result<Row, CliError> {
    progress.says(NAME);
    let cache = volume.cache(setting.capacity).build()?;
    let keys = |thread| Keys::zipf(volume.slots(), EXPONENT, seed_of(setting.seed, thread));
    warm(setting, volume, &cache, keys(setting.threads))?;
    let measured = Run { setting, cache: &cache, progress }.measure(|thread, clock| {
        let mut keys = keys(thread);
        Samples::of(clock, || read(&cache, volume.block_ref(keys.next())))
    });
    Ok(Row::new(NAME, setting, measured))
}

/// One pinned read: takes the block, looks at it, lets go of it.
#[inline]
pub(crate) fn read(cache: &BlockCache, wanted: BlockRef) -> Result<(), CacheError> {
    let block = cache.read_ref(wanted, DATA).wait()?;
    black_box(block[HEADER_BYTES]);
    Ok(())
}

/// Reads ahead of a measurement what it would read first, many blocks at a time, until the cache is full or as much time is
/// over as will be measured.
pub(crate) fn warm(
    setting: &Setting,
    volume: &Volume,
    cache: &BlockCache,
    mut keys: Keys,
) -> Result<(), CliError> {
    let at_a_time = (setting.capacity / 4).clamp(1, 64) as usize;
    let deadline = Instant::now() + setting.seconds;
    while Instant::now() < deadline && cache.stats().events.shrink_freed < setting.capacity {
        let wanted: Vec<BlockRef> = (0..at_a_time).map(|_| volume.block_ref(keys.next())).collect();
        for block in cache.read_many(&wanted, DATA).wait() {
            drop(block?);
        }
    }
    Ok(())
}
