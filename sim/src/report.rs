//! What came of a run.

use std::time::Duration;

use crate::{Settings, Tally, Violation};

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// What did not hold, if anything.
    pub violation: Option<Violation>,
    /// What happened, in numbers.
    pub counts: Counts,
    /// Faults that happened.
    pub faults: Tally,
    /// How long the run took in its own time.
    pub time: Duration,
    /// The longest time from when nobody led any more until locks were granted again.
    pub recovery: Duration,
    /// The longest time from the last fault until everybody who waited had been answered.
    pub settling: Duration,
    /// The same for two runs that did the same.
    pub digest: u64,
    /// What happened, a line each, if that was asked for.
    pub log: Option<String>,
    /// The numbers of the faults that were planned.
    pub planned: Vec<u32>,
}

impl Report {
    /// The command that runs this again.
    pub fn command(&self, settings: &Settings) -> String {
        format!("tidelock sim replay {}{}", self.seed, settings.flags())
    }
}

/// What happened, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Events.
    pub steps: u64,
    /// Frames that arrived.
    pub frames: u64,
    /// Locks that users asked for.
    pub operations: u64,
    /// Those that they got.
    pub granted: u64,
    /// Those that they did not wait for.
    pub dropped: u64,
    /// Reads of registers.
    pub reads: u64,
    /// Of these, those from a cache.
    pub reads_cached: u64,
    /// Writes that the store took.
    pub writes: u64,
    /// Writes that it refused, because of their tokens.
    pub writes_refused: u64,
    /// Writes that the store took and whose writers were never told: what came of them is unknown to them.
    pub writes_unknown: u64,
    /// Accesses that were not made since the lease was over or the lock lost.
    pub lapses: u64,
    /// Caches that were dropped because others wanted the lock.
    pub invalidations: u64,
    /// Sessions that were lost.
    pub losses: u64,
    /// Campaigns that were won.
    pub terms: u64,
    /// Processes of clients.
    pub clients: u64,
}

impl Counts {
    /// Adds another run's.
    pub fn add(&mut self, other: &Counts) {
        let Counts {
            steps,
            frames,
            operations,
            granted,
            dropped,
            reads,
            reads_cached,
            writes,
            writes_refused,
            writes_unknown,
            lapses,
            invalidations,
            losses,
            terms,
            clients,
        } = other;
        self.steps += steps;
        self.frames += frames;
        self.operations += operations;
        self.granted += granted;
        self.dropped += dropped;
        self.reads += reads;
        self.reads_cached += reads_cached;
        self.writes += writes;
        self.writes_refused += writes_refused;
        self.writes_unknown += writes_unknown;
        self.lapses += lapses;
        self.invalidations += invalidations;
        self.losses += losses;
        self.terms += terms;
        self.clients += clients;
    }
}
