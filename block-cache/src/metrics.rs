//! Counters and sizes for whoever collects metrics, through the [`metrics`] facade.
//!
//! Feature `metrics`. The embedder installs a recorder of its choice, calls [`describe_metrics`] once, and
//! [`BlockCache::record_metrics`] as often as it wants the numbers to be fresh, every few seconds say. Nothing is recorded
//! where blocks are read: hits cost the same with and without.
//!
//! Names are stable. Every metric has the label `cache`, the cache's [name](crate::Builder::name).
//!
//! | metric | kind | unit |
//! |---|---|---|
//! | `tidelock_block_cache_hits`, `_misses` | counter | lookups |
//! | `tidelock_block_cache_growths`, `_growths_refused` | counter | growths of the index |
//! | `tidelock_block_cache_<event>` for every field of [`Events`](crate::Events) | counter | events |
//! | `tidelock_block_cache_capacity_bytes`, `_used_bytes`, `_limbo_bytes`, `_index_bytes`, `_overhead_bytes` | gauge | bytes |
//! | `tidelock_block_cache_probation_blocks`, `_main_blocks` | gauge | blocks |
//!
//! What each means is said at the field of that name in [`Stats`] and [`Events`](crate::Events).

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

use crate::counters::EVENT_DOCS;
use crate::{BlockCache, Stats};

/// What every name begins with.
const PREFIX: &str = "tidelock_block_cache_";

/// A metric that is a field of [`Stats`]: its name, what it means, its value.
type Field<T> = (&'static str, &'static str, fn(&Stats) -> T);

const COUNTERS: [Field<u64>; 4] = [
    ("hits", "Lookups that found their block, clean and matching.", |stats| stats.hits),
    ("misses", "Lookups that did not.", |stats| stats.misses),
    ("growths", "Times the index grew.", |stats| stats.growths),
    ("growths_refused", "Times the index should have grown and could not.", |stats| stats.growths_refused),
];

const BYTES: [Field<u64>; 5] = [
    ("capacity_bytes", "Bytes that blocks may take.", |stats| stats.capacity_bytes),
    ("used_bytes", "Bytes of frames in circulation.", |stats| stats.used_bytes),
    ("limbo_bytes", "Bytes of frames that wait until no guard can see them.", |stats| stats.limbo_bytes),
    ("index_bytes", "Bytes that the index takes.", |stats| stats.index_bytes),
    ("overhead_bytes", "Bytes of headers, policy and index.", |stats| stats.overhead_bytes),
];

const BLOCKS: [Field<u64>; 2] = [
    ("probation_blocks", "Clean blocks on probation.", |stats| stats.probation_blocks),
    ("main_blocks", "Clean blocks in main.", |stats| stats.main_blocks),
];

fn full_name(name: &str) -> String {
    [PREFIX, name].concat()
}

/// Tells the installed recorder what the metrics mean. Once, after the recorder was installed.
pub fn describe_metrics() {
    for (name, meaning, _) in COUNTERS {
        describe_counter!(full_name(name), Unit::Count, meaning);
    }
    for (name, meaning) in EVENT_DOCS {
        describe_counter!(full_name(name), Unit::Count, meaning.trim());
    }
    for (name, meaning, _) in BYTES {
        describe_gauge!(full_name(name), Unit::Bytes, meaning);
    }
    for (name, meaning, _) in BLOCKS {
        describe_gauge!(full_name(name), Unit::Count, meaning);
    }
}

impl BlockCache {
    /// Gives the installed recorder the numbers of this moment. Costs what [`stats`](Self::stats) does, and a few microseconds
    /// for the recorder.
    ///
    /// Gauges are in `f64`, which holds every whole number of bytes up to eight pebibytes.
    pub fn record_metrics(&self) {
        let (stats, cache) = (self.stats(), self.name().to_owned());
        let events = stats.events.iter();
        let counters = COUNTERS.map(|(name, _, value)| (name, value(&stats)));
        for (name, value) in counters.into_iter().chain(events) {
            counter!(full_name(name), "cache" => cache.clone()).absolute(value);
        }
        for (name, _, value) in BYTES.into_iter().chain(BLOCKS) {
            gauge!(full_name(name), "cache" => cache.clone()).set(value(&stats) as f64);
        }
    }
}
