//! Replaying a trace: the cache's hit ratio beside the optimum, LRU and S3-FIFO at equal capacity.
//!
//! Nothing is read or written: a miss inserts the block as if it had been read. Blocks get dense numbers in order of first
//! access, so that they fit on a device that holds nothing. Equal capacity is meant: frames are counted whatever they
//! hold, so there are never more blocks in the cache than the others are given.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use tidelock_block_cache::{BlockCache, CacheError};
use tidelock_dev::MemDevice;
use tidelock_format::{BlockNo, BlockRef, BlockSize, Seq};

use super::measure::{Measured, Samples, cpu_time};
use super::report::Report;
use super::row::{Replayed, Row};
use super::setting::{CAPACITY_BLOCKS_MIN, Setting, check_capacity};
use super::sweep;
use crate::args::CacheArgs;
use crate::error::CliError;
use crate::quantity::Capacity;
use crate::scratch;
use crate::trace::{Trace, belady, lru, s3fifo};
use crate::volume::DATA;

const NAME: &str = "trace";
/// Shares of a trace's unique blocks that caches are compared at.
const SHARES: [f64; 3] = [1.0, 5.0, 20.0];
/// S3-FIFO as published moves a block to its main queue from two hits on.
const PROMOTE_AT: u8 = 2;
/// One access in so many is timed.
const STRIDE: usize = 64;

pub(crate) fn run(args: &CacheArgs, path: &Path) -> Result<Report, CliError> {
    let trace = Trace::read(path)?;
    scratch::end_on_interrupt();
    let size = args.block_size.unwrap_or(BlockSize::MIN);
    let unique = trace.unique() as u64;
    let capacities: Vec<u64> = match args.capacity {
        Some(capacity) => vec![capacity.blocks_of(unique, size)],
        None => SHARES
            .map(|share| Capacity::Percent(share).blocks_of(unique, size).max(CAPACITY_BLOCKS_MIN))
            .into(),
    };
    capacities.iter().try_for_each(|capacity| check_capacity(*capacity, size))?;
    let setting = Setting {
        threads: 1,
        blocks: unique,
        block_size: size,
        capacity: capacities[0],
        seconds: args.seconds,
        seed: args.seed,
        depths: Vec::new(),
    };
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    let mut report = Report::new(&setting);
    for capacity in capacities {
        let setting = Setting { capacity, ..setting.clone() };
        let (row, hits) = play(&trace, &setting)?;
        report.add(Row { replayed: Some(compare(&trace, capacity, &name)), hit_ratio: hits, ..row })?;
    }
    if args.html.is_some() {
        report.sweep = sweep::of(&trace, &setting)?;
    }
    Ok(report)
}

/// What the others make of the trace.
fn compare(trace: &Trace, capacity: u64, name: &str) -> Replayed {
    let capacity = usize::try_from(capacity).unwrap_or(usize::MAX);
    let ratio = |hits: u64| hits as f64 / trace.len() as f64;
    Replayed {
        trace: name.into(),
        accesses: trace.len(),
        unique: trace.unique(),
        belady_hit_ratio: ratio(belady::hits(trace, capacity)),
        lru_hit_ratio: ratio(lru::hits(trace, capacity)),
        s3fifo_hit_ratio: ratio(s3fifo::hits(trace, capacity, PROMOTE_AT)),
    }
}

/// Plays the whole trace through a cache. Returns the row, and the hit ratio.
pub(crate) fn play(trace: &Trace, setting: &Setting) -> Result<(Row, f64), CliError> {
    let cache = cache(trace, setting)?;
    let mut samples = Samples::new();
    let mut hits = 0;
    let (start, cpu) = (Instant::now(), cpu_time());
    for accesses in trace.ids().chunks(STRIDE) {
        let first = Instant::now();
        hits += access(&cache, accesses[0])?;
        samples.took(first.elapsed());
        for id in &accesses[1..] {
            hits += access(&cache, *id)?;
        }
        samples.ops += accesses.len() as u64;
    }
    samples.ran(start.elapsed());
    let cpu_ns = (cpu_time() - cpu).as_nanos() as f64;
    let measured = Measured::alone(samples, cpu_ns, cache.stats());
    Ok((Row::new(NAME, setting, measured), hits as f64 / trace.len() as f64))
}

fn cache(trace: &Trace, setting: &Setting) -> Result<BlockCache, CliError> {
    let size = setting.block_size.bytes() as u64;
    let device = MemDevice::new((trace.unique() as u64 + 1) * size);
    let builder = BlockCache::builder(Arc::new(device)).block_size(setting.block_size);
    Ok(builder.capacity(setting.capacity_bytes()).hash_seed(setting.seed).build()?)
}

/// One access: 1 for a hit.
fn access(cache: &BlockCache, id: u32) -> Result<u64, CacheError> {
    let image = BlockRef::new(BlockNo(u64::from(id) + 1), Seq(1));
    if cache.get(image, DATA).is_some() {
        return Ok(1);
    }
    drop(cache.insert(image, DATA, |_| ())?);
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn setting(capacity: u64) -> Setting {
        Setting {
            threads: 1,
            blocks: 0,
            block_size: BlockSize::MIN,
            capacity,
            seconds: Duration::from_secs(1),
            seed: 1,
            depths: Vec::new(),
        }
    }

    #[test]
    fn a_cache_that_holds_everything_misses_each_block_once() {
        let trace = Trace::from_blocks((0..5000).map(|i| i * 7 % 100).collect());
        let (row, hits) = play(&trace, &setting(200)).unwrap();
        assert_eq!((row.ops, hits), (5000, 4900.0 / 5000.0));
    }

    #[test]
    fn equal_capacity_is_meant() {
        // Each block is accessed again when all others have been: whoever held more blocks than it was given would hit.
        let trace = Trace::from_blocks((0..20_000).map(|i| i % 100).collect());
        for capacity in [8, 50, 90] {
            let setting = setting(capacity);
            let cache = cache(&trace, &setting).unwrap();
            for id in trace.ids() {
                access(&cache, *id).unwrap();
                let stats = cache.stats();
                assert!(stats.probation_blocks + stats.main_blocks <= capacity, "more than {capacity}");
            }
            let (_, hits) = play(&trace, &setting).unwrap();
            assert!(hits <= compare(&trace, capacity, "loop").belady_hit_ratio, "{hits} at {capacity}");
        }
    }
}
