//! What one measurement of one cache found.

use std::collections::BTreeMap;

/// A figure beside the time per operation, that some workloads measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Figure {
    /// Share of lookups that hit.
    Hit,
    /// Median time of a lookup, nanoseconds.
    P50Ns,
    /// Its 99th percentile.
    P99Ns,
    /// Its 99.9th percentile.
    P999Ns,
    /// Median time of an insert, nanoseconds.
    InsertP50Ns,
    /// Its 99th percentile.
    InsertP99Ns,
    /// Its 99.9th percentile.
    InsertP999Ns,
    /// The longest insert, microseconds.
    InsertMaxUs,
    /// Hit ratio of the Zipf stream before a scan runs beside it.
    HitBefore,
    /// While it runs.
    HitDuring,
    /// After it.
    HitAfter,
    /// Points (hundredths) of hit ratio that the scan cost the stream beside it.
    ScanLostPoints,
    /// Blocks that the eviction looked at for each one that it freed.
    VisitedPerFreed,
}

impl Figure {
    /// As the JSON fields are called, after `ours_` or `peer_`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::P50Ns => "p50_ns",
            Self::P99Ns => "p99_ns",
            Self::P999Ns => "p999_ns",
            Self::InsertP50Ns => "insert_p50_ns",
            Self::InsertP99Ns => "insert_p99_ns",
            Self::InsertP999Ns => "insert_p999_ns",
            Self::InsertMaxUs => "insert_max_us",
            Self::HitBefore => "hit_before",
            Self::HitDuring => "hit_during",
            Self::HitAfter => "hit_after",
            Self::ScanLostPoints => "scan_lost_points",
            Self::VisitedPerFreed => "visited_per_freed",
        }
    }

    /// As the table calls it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::P50Ns => "p50 ns",
            Self::P99Ns => "p99 ns",
            Self::P999Ns => "p99.9 ns",
            Self::InsertP50Ns => "insert p50 ns",
            Self::InsertP99Ns => "insert p99 ns",
            Self::InsertP999Ns => "insert p99.9 ns",
            Self::InsertMaxUs => "longest insert µs",
            Self::HitBefore => "hit before",
            Self::HitDuring => "hit during",
            Self::HitAfter => "hit after",
            Self::ScanLostPoints => "points lost",
            Self::VisitedPerFreed => "visited/freed",
        }
    }
}

/// One measurement.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Nanoseconds per operation per core.
    pub ns: f64,
    /// Everything else.
    pub figures: BTreeMap<Figure, f64>,
}

impl Sample {
    /// A measurement of time and hit ratio alone.
    pub fn new(ns: f64, hit: f64) -> Self {
        Self { ns, figures: BTreeMap::from([(Figure::Hit, hit)]) }
    }

    /// With more figures.
    pub fn with(mut self, figures: impl IntoIterator<Item = (Figure, f64)>) -> Self {
        self.figures.extend(figures);
        self
    }

    /// The mean of two measurements of the same cache.
    pub fn mean(&self, other: &Self) -> Self {
        let mean_figure = |(&figure, &value): (&Figure, &f64)| {
            Some((figure, f64::midpoint(value, *other.figures.get(&figure)?)))
        };
        Self {
            ns: f64::midpoint(self.ns, other.ns),
            figures: self.figures.iter().filter_map(mean_figure).collect(),
        }
    }
}
