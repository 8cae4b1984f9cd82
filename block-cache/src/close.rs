//! Closing: what was still out, and who took it.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidelock_format::BlockRef;

use crate::raw::frame::FrameNo;
use crate::raw::state::Phase;
use crate::shared::Shared;

/// How long closing waits for reads that the device has not answered.
const READS_WAIT_MAX: Duration = if cfg!(test) { Duration::from_millis(50) } else { Duration::from_secs(10) };

/// A block that was still held when its cache was closed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Leak {
    /// The block.
    pub block: BlockRef,
    /// References to it.
    pub references: u64,
    /// Whether it is a writer's, and was not written.
    pub is_dirty: bool,
    /// Whether the device had not answered the read of it.
    pub is_reading: bool,
    /// The lines of code that took the references, one entry each. Empty unless the cache keeps book
    /// ([`Builder::track_references`](crate::Builder::track_references)).
    pub sites: Vec<&'static Location<'static>>,
}

/// What closing a cache found.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
#[must_use = "a leak is a bug in whoever took the reference"]
pub struct CloseReport {
    /// Blocks that somebody still holds. Their bytes stay valid until they are dropped.
    pub leaks: Vec<Leak>,
}

impl CloseReport {
    /// Whether nothing was held any more.
    pub fn is_clean(&self) -> bool {
        self.leaks.is_empty()
    }
}

impl fmt::Display for Leak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match (self.is_dirty, self.is_reading) {
            (true, _) => "dirty block",
            (_, true) => "unanswered read of block",
            _ => "block",
        };
        write!(f, "{kind} {} is still held {} times", self.block, self.references)?;
        self.sites.iter().try_for_each(|site| write!(f, "\n  taken at {site}"))
    }
}

/// Closes the cache: refuses new reads, waits (for a bounded time) for the device, takes every block out of sight. Never
/// waits for whoever holds a block: that is in the report.
pub(crate) fn close(shared: &Arc<Shared>) -> CloseReport {
    let mut report = CloseReport::default();
    if !shared.refuse_claims() {
        return report;
    }
    let span = tracing::debug_span!("close", cache = %shared.name, leaks = tracing::field::Empty).entered();
    shared.core.charge.leave();
    shared.device.drive(&|| !shared.is_reading(), Some(Instant::now() + READS_WAIT_MAX));
    shared.core.hide_all();
    report.leaks = outstanding(shared);
    span.record("leaks", report.leaks.len());
    for leak in &report.leaks {
        tracing::warn!(cache = %shared.name, "{leak}");
    }
    report
}

/// The last handle is gone: closes if nobody did, and leaves the memory to whoever still holds a block.
pub(crate) fn abandon(shared: &Arc<Shared>) {
    drop(close(shared));
    shared.core.abandon(shared.keep_alive());
}

/// The blocks that somebody holds now.
pub(crate) fn outstanding(shared: &Shared) -> Vec<Leak> {
    shared.core.held().into_iter().map(|(frame, references)| Leak::of(shared, frame, references)).collect()
}

impl Leak {
    fn of(shared: &Shared, frame: FrameNo, references: u64) -> Self {
        let phase = shared.phase(frame);
        Self {
            block: shared.core.header(frame).block_ref(),
            references,
            is_dirty: phase == Phase::Dirty,
            is_reading: phase == Phase::Filling,
            sites: shared.references.of(frame),
        }
    }
}
