//! What all workloads of one run have in common, with every default filled in.

use std::num::NonZero;
use std::thread;
use std::time::Duration;

use tidelock_format::BlockSize;

use crate::args::{CacheArgs, Workload};
use crate::error::CliError;
use crate::quantity::Capacity;

const BLOCKS: u64 = 32_768;
const CAPACITY: Capacity = Capacity::Percent(25.0);
const DEPTHS: [u32; 4] = [1, 8, 32, 128];
/// More threads than this measure the machine's memory, not the cache.
const THREADS_MAX: usize = 8;

/// The least a cache can be built with, its writers' reserve.
pub(crate) const CAPACITY_BLOCKS_MIN: u64 = 8;

/// One run's setting.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) threads: usize,
    pub(crate) blocks: u64,
    pub(crate) block_size: BlockSize,
    /// In blocks.
    pub(crate) capacity: u64,
    pub(crate) seconds: Duration,
    pub(crate) seed: u64,
    pub(crate) depths: Vec<u32>,
}

impl Setting {
    pub(crate) fn new(args: &CacheArgs) -> Result<Self, CliError> {
        let block_size = args.block_size.unwrap_or(BlockSize::DEFAULT);
        let blocks = match (args.blocks, &args.device) {
            (Some(blocks), _) => blocks,
            (None, None) => BLOCKS,
            (None, Some(device)) => super::place::blocks_that_fit(device, block_size)?.min(BLOCKS),
        };
        let capacity = args.capacity.unwrap_or(CAPACITY).blocks_of(blocks, block_size);
        check_capacity(capacity, block_size)?;
        Ok(Self {
            threads: args.threads.map_or_else(processors, |threads| usize::from(threads.get())),
            blocks,
            block_size,
            capacity,
            seconds: args.seconds,
            seed: args.seed,
            depths: if args.depth.is_empty() { DEPTHS.to_vec() } else { args.depth.clone() },
        })
    }

    /// Whether `chosen` can run in this setting.
    pub(crate) fn check(&self, chosen: &[Workload]) -> Result<(), CliError> {
        let held = self.threads as u64 + CAPACITY_BLOCKS_MIN;
        if self.capacity < held && chosen.iter().any(|workload| *workload != Workload::Growth) {
            return Err(CliError::input(format!(
                "--capacity: {} blocks are too few for {} threads, each of which holds one: \
                 give at least {held}b, or lower --threads",
                self.capacity, self.threads
            )));
        }
        Ok(())
    }

    /// Bytes that the cache may hold.
    pub(crate) fn capacity_bytes(&self) -> u64 {
        self.capacity * self.block_size.bytes() as u64
    }
}

/// Refuses what no cache can be built with.
pub(crate) fn check_capacity(blocks: u64, size: BlockSize) -> Result<(), CliError> {
    if blocks < CAPACITY_BLOCKS_MIN {
        return Err(CliError::input(format!(
            "--capacity: {blocks} blocks of {size} are below one reserve of {CAPACITY_BLOCKS_MIN} blocks: \
             give at least {CAPACITY_BLOCKS_MIN}b, or more --blocks"
        )));
    }
    Ok(())
}

fn processors() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get).min(THREADS_MAX)
}
