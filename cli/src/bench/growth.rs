//! From empty to all blocks, one insertion after the other: does the index make anybody wait while it grows?
//!
//! The longest insertion is held against that of the same cache with an index built for all of them, in the same run: page
//! faults and a busy machine lengthen both. It happens in memory, so there may be more blocks than the volume has room for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tidelock_block_cache::{BlockCache, Stats};
use tidelock_dev::MemDevice;
use tidelock_format::{BlockHeader, BlockNo, BlockRef, Checksum, Fsid, Seq};

use super::measure::{Measured, Samples, cpu_time};
use super::progress::Progress;
use super::row::{Grown, Row};
use super::setting::Setting;
use crate::error::CliError;
use crate::volume::DATA;

const NAME: &str = "growth";
/// Rounds of each kind, in turn: the middle one of the longest insertions is the one to compare.
const ROUNDS: usize = 3;
/// Frames beyond the blocks, so that none has to be evicted for frames that are on their way.
const MORE: u64 = 256;

pub(crate) fn run(setting: &Setting, progress: &Progress) -> Result<Row, CliError> {
    progress.says(NAME);
    let setting = Setting { threads: 1, capacity: blocks(setting), ..setting.clone() };
    let mut samples = Samples::new();
    let (mut growing, mut presized) = (Vec::new(), Vec::new());
    let mut stats = Stats::default();
    let cpu = cpu_time();
    for _ in 0..ROUNDS {
        let cache = cache(&setting, 1)?;
        growing.push(insert_all(&cache, &setting, &mut samples)?);
        stats = cache.stats();
        let cache = self::cache(&setting, setting.capacity as usize)?;
        presized.push(insert_all(&cache, &setting, &mut Samples::new())?);
    }
    let cpu_ns = (cpu_time() - cpu).as_nanos() as f64 / 2.0;
    progress.step();
    let grown =
        Grown { longest_insert_ns: middle(&mut growing), longest_insert_presized_ns: middle(&mut presized) };
    let measured = Measured::alone(samples, cpu_ns, stats);
    Ok(Row { grown: Some(grown), ..Row::new(NAME, &setting, measured) })
}

/// As many as half the machine's memory holds, at most.
fn blocks(setting: &Setting) -> u64 {
    let info = rustix::system::sysinfo();
    #[expect(clippy::useless_conversion, reason = "the fields' widths differ between architectures")]
    let memory = u64::from(info.totalram).saturating_mul(u64::from(info.mem_unit));
    setting.blocks.min(memory / 2 / setting.block_size.bytes() as u64)
}

fn cache(setting: &Setting, expected: usize) -> Result<BlockCache, CliError> {
    let size = setting.block_size.bytes() as u64;
    let device = Arc::new(MemDevice::new((setting.capacity + 1) * size));
    let builder = BlockCache::builder(device).block_size(setting.block_size).hash_seed(setting.seed);
    Ok(builder.capacity((setting.capacity + MORE) * size).expected_blocks(expected).build()?)
}

/// Inserts every block and returns the time of the longest insertion.
fn insert_all(cache: &BlockCache, setting: &Setting, samples: &mut Samples) -> Result<Duration, CliError> {
    let mut longest = Duration::ZERO;
    let began = Instant::now();
    for number in 1..=setting.capacity {
        let image = BlockRef::new(BlockNo(number), Seq(number));
        let header =
            BlockHeader { crc: Checksum(0), magic: DATA, fsid: Fsid(0), seq: image.seq, blkno: image.blkno };
        let start = Instant::now();
        drop(cache.insert(image, DATA, |bytes| header.write(bytes))?);
        let took = start.elapsed();
        samples.ops += 1;
        samples.took(took);
        longest = longest.max(took);
    }
    samples.ran(began.elapsed());
    Ok(longest)
}

fn middle(rounds: &mut [Duration]) -> u64 {
    rounds.sort_unstable();
    rounds[rounds.len() / 2].as_nanos() as u64
}
