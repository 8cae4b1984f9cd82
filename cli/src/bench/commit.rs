//! Commit-sized writes: a thousand dirty blocks, checksummed, written in block order, and flushed. One operation is one
//! commit, from the call that writes to the end of the flush. Making the blocks is a file system's work between commits, and
//! not in these times.

use std::time::{Duration, Instant};

use tidelock_block_cache::BlockCache;
use tidelock_format::{BlockRef, HEADER_BYTES};

use super::measure::{Run, Samples};
use super::progress::Progress;
use super::row::Row;
use super::setting::Setting;
use super::slots::Volume;
use crate::error::CliError;
use crate::volume::DATA;

const NAME: &str = "commit";
const BLOCKS_MAX: u64 = 1000;

pub(crate) fn run(setting: &Setting, volume: &Volume, progress: &Progress) -> Result<Row, CliError> {
    progress.says(NAME);
    volume.begin_writing()?;
    // One transaction at a time: that is what a file system does.
    let setting = Setting { threads: 1, ..setting.clone() };
    let cache = volume.cache(setting.capacity).build()?;
    let blocks = BLOCKS_MAX.min(setting.capacity / 2).min(volume.free().len() as u64).max(1);
    let measured = Run { setting: &setting, cache: &cache, progress }.measure(|_, clock| {
        let mut next = 0;
        let mut commit = |samples: &mut Samples| {
            let result = commit(&cache, volume, blocks, &mut next).map(|elapsed| samples.worked(elapsed));
            samples.count(clock, result);
        };
        clock.begin();
        while clock.is_warming() {
            commit(&mut Samples::new());
        }
        let mut samples = Samples::new();
        while !clock.is_over() {
            commit(&mut samples);
        }
        samples
    });
    // Of the commits that were timed, and no other.
    let device_writes = measured.samples.ops * blocks;
    let bytes = device_writes * setting.block_size.bytes() as u64;
    Ok(Row { device_writes, bytes, ..Row::new(NAME, &setting, measured) })
}

/// Replaces the next `blocks` slots by new images that owe nothing to the old ones. Returns how long the commit took.
fn commit(cache: &BlockCache, volume: &Volume, blocks: u64, next: &mut u32) -> Result<Duration, CliError> {
    let mut writer = cache.writer();
    let mut free = volume.free();
    let mut images = Vec::new();
    for _ in 0..blocks {
        let mut image = BlockRef::NULL;
        let mut dirty = writer.dirty(&mut image, DATA, &mut *free).wait()?;
        dirty[HEADER_BYTES..HEADER_BYTES + 4].copy_from_slice(&next.to_le_bytes());
        drop(dirty);
        images.push((*next, image));
        *next = (*next + 1) % volume.slots();
    }
    let start = Instant::now();
    writer.write().wait()?;
    cache.flush().wait()?;
    let elapsed = start.elapsed();
    for (slot, image) in images {
        free.leave_behind(volume.block_ref(slot).blkno);
        volume.set(slot, image);
    }
    free.durable();
    Ok(elapsed)
}
