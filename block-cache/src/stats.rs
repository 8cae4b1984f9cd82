//! Numbers for people and for whoever exports them.

use crate::counters::Events;
use crate::raw::policy::Part;
use crate::shared::Shared;

/// What a cache is like at a moment. The numbers are read one after the other, while the cache is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Lookups that found their block, clean and matching.
    pub hits: u64,
    /// Lookups that did not.
    pub misses: u64,
    /// Bytes that blocks may take, the writers' reserve not counted.
    pub capacity_bytes: u64,
    /// Bytes of frames in circulation: cached, dirty, being read, waiting for guards, idle, and the reserve.
    pub used_bytes: u64,
    /// Bytes of frames that wait until no guard can see them.
    pub limbo_bytes: u64,
    /// Clean blocks on probation.
    pub probation_blocks: u64,
    /// Clean blocks in main.
    pub main_blocks: u64,
    /// Bytes that the index takes.
    pub index_bytes: u64,
    /// Bytes of headers, policy and index that go with the frames in circulation.
    pub overhead_bytes: u64,
    /// Times the index grew.
    pub growths: u64,
    /// Times the index should have grown and could not.
    pub growths_refused: u64,
    /// A count for every rare path.
    pub events: Events,
}

impl Stats {
    pub(crate) fn of(shared: &Shared) -> Self {
        let core = &shared.core;
        let size = core.frames.size().bytes() as u64;
        let (hits, misses) = core.lookups();
        let index_bytes = core.index.bytes(&core.domain) as u64;
        let issued = core.pool.issued() as u64;
        Self {
            hits,
            misses,
            capacity_bytes: (core.pool.limit() - core.pool.reserve_target()) as u64 * size,
            used_bytes: issued * size,
            limbo_bytes: core.pool.limbo.len() as u64 * size,
            probation_blocks: core.policy.total(Part::Probation) as u64,
            main_blocks: core.policy.total(Part::Main) as u64,
            index_bytes,
            overhead_bytes: index_bytes + issued * crate::raw::FRAME_OVERHEAD_BYTES,
            growths: core.index.growths(),
            growths_refused: core.index.growths_refused(),
            events: core.counters.snapshot(),
        }
    }

    /// The share of lookups that found their block, 0 before the first.
    pub fn hit_ratio(&self) -> f64 {
        match self.hits + self.misses {
            0 => 0.0,
            lookups => self.hits as f64 / lookups as f64,
        }
    }
}
