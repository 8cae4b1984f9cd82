//! From nothing to four million blocks: does any single insert pay for the growth of the table?
//!
//! One reading of the counter an insert, from the end of one to the end of the next; the reading is within.

use super::{Content, Setup};
use crate::{
    block::Reference,
    contender::{Contender, Shape, Start},
    rig::Rig,
    sample::{Figure, Sample},
};

/// Inserts alone.
#[derive(Debug)]
pub struct Growth;

/// How many.
const INSERTS: u64 = 4 << 20;

/// Every so many blocks are looked up afterwards.
const CHECK_EVERY: usize = 101;

pub(super) fn setup() -> Setup {
    let resident = INSERTS as usize;
    let shape = Shape { capacity: resident + resident / 4, resident, start: Start::Empty };
    Setup { shape, content: Content::Nothing }
}

pub(super) fn measure<C: Contender>(cache: &C, rig: &Rig) -> Sample {
    let run = |_| {
        let mut last = rig.stopwatch.ticks();
        let mut longest = 0;
        for blkno in 0..INSERTS {
            cache.insert(Reference::to(blkno));
            let now = rig.stopwatch.ticks();
            longest = longest.max(now - last);
            last = now;
        }
        rig.stopwatch.nanos(longest)
    };
    let race = rig.processors.race(1, |_| (), run);
    let longest_us = race.results[0] as f64 / 1e3;
    Sample::new(rig.ns_per_op(race.wall, 1, INSERTS as usize), share_present(cache))
        .with([(Figure::InsertMaxUs, longest_us)])
}

/// A cache that dropped what it should have grown for is seen here.
fn share_present<C: Contender>(cache: &C) -> f64 {
    let checked = (0..INSERTS).step_by(CHECK_EVERY);
    let total = checked.clone().count();
    checked.filter(|&blkno| cache.lookup(Reference::to(blkno))).count() as f64 / total as f64
}
