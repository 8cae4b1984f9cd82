//! `fio`: our devices beside fio's, on the same file, in one interleaved run.
//!
//! Each row is measured several times, fio and ours in turn, so that a machine that slows down slows both; a row's ratio
//! is the median of the ratios of its pairs. What fio and our command print is read in one small file each
//! ([`peer`], [`ours`]); nothing else here knows their formats.

mod ours;
mod peer;
mod report;
mod scratch;

use std::path::PathBuf;

use anyhow::Result;

use ours::Tidelock;
use report::{Pair, Row};
use scratch::Scratch;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A 1 GiB volume, short runs, three repetitions: a first impression
    #[arg(long)]
    quick: bool,
    /// One JSON object a row instead of a table
    #[arg(long)]
    json: bool,
    /// Measure on this block device; ALL ITS CONTENT IS LOST
    #[arg(long, value_name = "PATH", conflicts_with = "dir", requires = "yes")]
    device: Option<PathBuf>,
    /// With --device: yes, overwrite it
    #[arg(long)]
    yes: bool,
    /// Put the scratch volume in this folder; it must be on a disk, not in memory [default: the target folder]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// How much is measured.
#[derive(Clone, Copy, Debug)]
struct Effort {
    volume_bytes: u64,
    seconds: u32,
    repetitions: u32,
}

const FULL: Effort = Effort { volume_bytes: 4 << 30, seconds: 5, repetitions: 5 };
const QUICK: Effort = Effort { volume_bytes: 1 << 30, seconds: 2, repetitions: 3 };

const BLOCK_SIZES: [u32; 2] = [4 << 10, 64 << 10];
const DEPTHS: [u32; 3] = [1, 32, 128];

/// A commit: this many dirty blocks of this size, then a flush.
const COMMIT_BLOCKS: u32 = 1000;
const COMMIT_BLOCK_SIZE: u32 = 16 << 10;

/// One measurement, fio's or ours.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Sample {
    /// Reads that the device answered, or blocks written, a second.
    iops: f64,
    bytes_per_second: f64,
    /// Median latency of one operation.
    p50_ns: f64,
    /// Processor time of the whole process for one operation.
    cpu_ns: f64,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    peer::ensure_installed()?;
    let effort = if args.quick { QUICK } else { FULL };
    let scratch = match &args.device {
        Some(device) => Scratch::on_device(device, effort.volume_bytes)?,
        None => Scratch::in_folder(args.dir.clone(), effort.volume_bytes)?,
    };
    let tidelock = Tidelock::build(scratch.volume().to_owned())?;
    let mut rows = Vec::new();
    for block_size in BLOCK_SIZES {
        // The volume is made anew for this block size and filled, so that fio too reads blocks that exist.
        eprintln!("filling the volume with blocks of {block_size} bytes");
        tidelock.fill(block_size, effort.volume_bytes)?;
        for depth in DEPTHS {
            rows.push(reads(&scratch, &tidelock, effort, block_size, depth)?);
        }
    }
    rows.push(commits(&scratch, &tidelock, effort)?);
    if args.json { report::print_json(&rows) } else { report::print_table(&rows) }
}

fn reads(scratch: &Scratch, ours: &Tidelock, effort: Effort, block_size: u32, depth: u32) -> Result<Row> {
    eprintln!("reads of {block_size} bytes at depth {depth}");
    let mut pairs = Vec::new();
    for _ in 0..effort.repetitions {
        let fio = peer::random_reads(scratch.volume(), block_size, depth, effort)?;
        let ours = ours.cold_reads(block_size, depth, effort)?;
        pairs.push(Pair { fio, ours });
    }
    Ok(Row { workload: "cold-read", block_size, depth, pairs })
}

fn commits(scratch: &Scratch, ours: &Tidelock, effort: Effort) -> Result<Row> {
    ours.fill(COMMIT_BLOCK_SIZE, effort.volume_bytes)?;
    eprintln!("commits of {COMMIT_BLOCKS} blocks of {COMMIT_BLOCK_SIZE} bytes");
    let mut pairs = Vec::new();
    for _ in 0..effort.repetitions {
        let fio = peer::sequential_write(scratch.place_for_writes(), COMMIT_BLOCK_SIZE, COMMIT_BLOCKS)?;
        let ours = ours.commits(COMMIT_BLOCK_SIZE, effort)?;
        pairs.push(Pair { fio, ours });
    }
    Ok(Row { workload: "commit", block_size: COMMIT_BLOCK_SIZE, depth: 1, pairs })
}
