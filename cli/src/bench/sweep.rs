//! Hit ratio against capacity, ours and three others: one chart's worth of points, found in memory.

use super::keys::Keys;
use super::replay;
use super::setting::{CAPACITY_BLOCKS_MIN, Setting};
use crate::error::CliError;
use crate::quantity::Capacity;
use crate::trace::{Trace, belady, lru, s3fifo};

/// Shares of the data, in percent.
const SHARES: [f64; 7] = [0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 40.0];
const EXPONENT: f64 = 0.99;
const ACCESSES: usize = 500_000;
/// Beyond this the curve is the same, and takes longer.
const SLOTS_MAX: u64 = 65_536;

/// Hit ratios at one capacity.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    /// Of the data, in percent.
    pub(crate) capacity: f64,
    pub(crate) ours: f64,
    pub(crate) belady: f64,
    pub(crate) lru: f64,
    pub(crate) s3fifo: f64,
}

/// Of Zipf reads over as many blocks as the setting has.
pub(crate) fn run(setting: &Setting) -> Result<Vec<Point>, CliError> {
    let mut keys = Keys::zipf(setting.blocks.min(SLOTS_MAX) as u32, EXPONENT, setting.seed);
    let trace = Trace::from_blocks((0..ACCESSES).map(|_| u64::from(keys.next())).collect());
    of(&trace, setting)
}

/// Of a trace.
pub(crate) fn of(trace: &Trace, setting: &Setting) -> Result<Vec<Point>, CliError> {
    let unique = trace.unique() as u64;
    let capacities =
        SHARES.map(|share| (share, Capacity::Percent(share).blocks_of(unique, setting.block_size)));
    let usable = capacities.into_iter().filter(|(_, capacity)| *capacity >= CAPACITY_BLOCKS_MIN);
    usable.map(|(share, capacity)| point(trace, setting, share, capacity)).collect()
}

fn point(trace: &Trace, setting: &Setting, share: f64, capacity: u64) -> Result<Point, CliError> {
    let (_, ours) = replay::play(trace, &Setting { capacity, ..setting.clone() })?;
    let blocks = capacity as usize;
    let ratio = |hits: u64| hits as f64 / trace.len() as f64;
    Ok(Point {
        capacity: share,
        ours,
        belady: ratio(belady::hits(trace, blocks)),
        lru: ratio(lru::hits(trace, blocks)),
        s3fifo: ratio(s3fifo::hits(trace, blocks, 2)),
    })
}
