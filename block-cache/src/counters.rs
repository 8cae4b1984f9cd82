//! A counter for every rare path. Hits and misses, which are not rare, are counted in each thread's own line (`raw/epoch`).

// std's own, also under models: statistics, on which nothing rests.
use tidelock_sync::unmodelled::{AtomicU64, Ordering};

use crate::raw::evict::Walked;

/// Counts events.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub(crate) fn count(&self) {
        self.add(1);
    }

    /// `many` more.
    pub(crate) fn add(&self, many: u64) {
        // Relaxed: a statistic.
        self.0.fetch_add(many, Ordering::Relaxed);
    }

    /// How many there were.
    pub(crate) fn get(&self) -> u64 {
        // Relaxed: a statistic.
        self.0.load(Ordering::Relaxed)
    }
}

/// Declares the counters once: their names, what they count, and the snapshot that users get.
macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// The counters of one cache.
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $($(#[doc = $doc])+ pub(crate) $name: Counter,)+
        }

        /// What a cache counted since it was made. All are numbers of events, and only ever grow.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Events {
            $($(#[doc = $doc])+ pub $name: u64,)+
        }

        /// Every counter's name, with what it counts.
        #[cfg(feature = "metrics")]
        pub(crate) const EVENT_DOCS: &[(&str, &str)] = &[$((stringify!($name), concat!($($doc),+)),)+];

        impl Counters {
            pub(crate) fn snapshot(&self) -> Events {
                Events { $($name: self.$name.get(),)+ }
            }
        }

        impl Events {
            /// Every counter with its name, for whoever exports them.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name),)+].into_iter()
            }
        }
    };
}

counters! {
    /// Reads that were submitted to the device.
    device_reads,
    /// Blocks that were written to the device.
    device_writes,
    /// Reads that the device failed.
    read_errors,
    /// Writes that the device failed.
    write_errors,
    /// Blocks fetched ahead of their use.
    prefetched,
    /// Reads that waited for another's read of the same block.
    joined_fills,
    /// Cached copies that did not match a reference and were dropped.
    stale_dropped,
    /// References that matched neither the cache nor the media: the reader got `Stale`.
    stale_after_reread,
    /// References that met a local writer's dirty block: `Stale` at once.
    stale_on_dirty,
    /// Images whose checksum, volume or block number was wrong.
    damaged_images,
    /// Insertions that found another thread's copy in the index and took that.
    duplicate_insert_lost,
    /// Removals that found that another thread had turned presence off already.
    remove_lost,
    /// Lookups that pinned a block while it was being removed, and let go of it again.
    resurrect_refused,
    /// Blocks dirtied.
    dirtied,
    /// Dirty blocks dropped without having been written.
    forgotten,
    /// Frames that eviction looked at.
    shrink_visited,
    /// Blocks evicted.
    shrink_freed,
    /// Blocks that eviction met and kept, because they were in use lately.
    shrink_rotated,
    /// Frames that eviction met and could not have: pinned, dirty, or under I/O.
    shrink_pinned,
    /// Calls to shrink.
    shrinks,
    /// Barriers on every processor, because frames had piled up behind a thread that did nothing.
    grace_expedited,
    /// Requests for a frame that found none.
    no_frame,
    /// Dirty blocks that took their frame from the reserve.
    reserve_used,
    /// Named faults that fired.
    faults_fired,
}

impl Counters {
    pub(crate) fn count_walk(&self, walked: Walked) {
        self.shrink_visited.add(walked.visited as u64);
        self.shrink_freed.add(walked.freed as u64);
        self.shrink_rotated.add(walked.rotated as u64);
        self.shrink_pinned.add(walked.pinned as u64);
    }
}
