//! A row with its repetitions summed up.

use std::collections::BTreeMap;

use crate::{
    goals::{self, Verdict},
    sample::{Figure, Sample},
    spread::{Spread, median},
    tournament::{Round, Row},
};

/// What one row came to.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The workload's name.
    pub workload: &'static str,
    /// How many threads ours had.
    pub threads: usize,
    /// Our side.
    pub ours: &'static str,
    /// The other side.
    pub peer: String,
    /// Their time over ours, formed within each repetition.
    pub ratio: Spread,
    /// Our time per operation and core: the median repetition.
    pub ours_ns: f64,
    /// Theirs.
    pub peer_ns: f64,
    /// The medians of our other figures.
    pub ours_figures: BTreeMap<Figure, f64>,
    /// Theirs.
    pub peer_figures: BTreeMap<Figure, f64>,
    /// How it stands against its goals, if it has any.
    pub verdicts: Vec<Verdict>,
}

impl Finding {
    /// Sums a row up.
    pub fn of(row: &Row) -> Self {
        let ours = || row.rounds.iter().map(|round| &round.ours);
        let theirs = || row.rounds.iter().map(|round| &round.theirs);
        Self {
            workload: row.workload,
            threads: row.threads,
            ours: row.ours,
            peer: row.peer.clone(),
            ratio: Spread::of(row.rounds.iter().map(Round::ratio)),
            ours_ns: median(ours().map(|sample| sample.ns)),
            peer_ns: median(theirs().map(|sample| sample.ns)),
            ours_figures: medians(ours().collect()),
            peer_figures: medians(theirs().collect()),
            verdicts: goals::verdicts(row),
        }
    }
}

/// The median of each figure that the samples have.
fn medians(samples: Vec<&Sample>) -> BTreeMap<Figure, f64> {
    let figures = samples.first().map(|sample| sample.figures.keys().copied()).into_iter().flatten();
    figures
        .map(|figure| {
            (figure, median(samples.iter().filter_map(|sample| sample.figures.get(&figure).copied())))
        })
        .collect()
}
