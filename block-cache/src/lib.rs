//! A lock-free hash cache of a volume's blocks.
//!
//! The blocks are those of a copy-on-write file system: fixed in size, named by a number and the random tag of one image
//! ([`BlockRef`](tidelock_format::BlockRef)), and overwritten only when no durable root leads to them any more. So a reader
//! may follow a reference that is a little too old, without locks, and the cache tells it: [`CacheError::Stale`], fetch
//! newer roots ([`with_snapshot`]).
//!
//! # Two ways to read
//!
//! - [`BlockCache::read_ref`] gives a [`Block`]: pinned, `Send + Sync + 'static`, held as long as you like. A hit costs two
//!   plain stores to the thread's own memory; beyond a handful of blocks a thread, an atomic addition on the block's own
//!   line, where the presence of a block is a bit of its reference count.
//! - [`Guard::peek`] gives a `&[u8]`: a hit writes no shared memory at all, so a hot root scales as cold leaves do. A tree
//!   descent is one guard and a peek for each level.
//!
//! # Clean is shared, dirty is owned
//!
//! A clean block is immutable. A dirty one belongs to its [`BlockWriter`]; dirtying always makes a new image, and whoever
//! reads the old one keeps its bytes. There is no way to see bytes change.
//!
//! # Memory
//!
//! Frames are counted, whatever state they are in: cached, pinned, dirty, waiting for guards. Their number never exceeds the
//! capacity (and a small reserve for commits). [`BlockCache::shrink`] gives memory back with bounded work, a
//! [`MemoryBudget`] shares a limit between caches.
//!
//! [`BudgetWatch`] lets the limit follow a cgroup or memory pressure.
//!
//! # A first look
//!
//! ```
//! use std::sync::Arc;
//! use tidelock_block_cache::BlockCache;
//! use tidelock_dev::MemDevice;
//! use tidelock_format::{BlockNo, BlockRef, Fsid, HEADER_BYTES, Magic, Seq};
//!
//! let device = Arc::new(MemDevice::new(1 << 30));
//! let cache = BlockCache::builder(device).fsid(Fsid(1)).capacity(64 << 20).build()?;
//!
//! // An image that came from elsewhere; `read_ref` would read it from the device.
//! let wanted = BlockRef::new(BlockNo(7), Seq(0xfeed));
//! drop(cache.insert(wanted, Magic(2), |image| image[HEADER_BYTES..].fill(42))?);
//!
//! // Pinned: keep it, send it, clone it.
//! let block = cache.read_ref(wanted, Magic(2)).wait()?;
//! // Borrowed: free of shared writes, for as long as the guard lives.
//! let guard = cache.guard();
//! assert_eq!(guard.peek(wanted, Magic(2)), Some(&block[..]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where to read on
//!
//! `docs/embedding.md` is one page about all that an embedder has to decide, and the examples run: `read_through`,
//! `embed_threads`, `embed_async`, `custom_device`.
//!
//! `raw/` is the dangerous half, with its invariants; `read.rs` and `writer.rs` are the two stories told above it;
//! `docs/ordering.md` lists every pair of memory orderings and the model that fails without it.
#![deny(unsafe_op_in_unsafe_fn)]

mod block;
mod budget;
mod builder;
mod cache;
mod close;
mod counters;
mod error;
mod fault;
mod flush;
mod guard;
mod many;
#[cfg(feature = "metrics")]
mod metrics;
mod raw;
mod read;
mod reads;
mod references;
mod shared;
mod snapshot;
mod stats;
mod supply;
mod taken;
mod write;
mod writer;

pub use block::Block;
pub use budget::{
    Adjustment, BudgetRule, BudgetSource, BudgetWatch, CgroupSource, Governor, MemoryBudget, PressureSource,
    Reading, Room, Shrinker, Shrunk, SourceError, WatchThread,
};
pub use builder::{BuildError, Builder};
pub use cache::BlockCache;
pub use close::{CloseReport, Leak};
pub use counters::Events;
pub use error::CacheError;
pub use fault::{ArmedFault, FaultPoint};
pub use guard::Guard;
#[cfg(feature = "metrics")]
pub use metrics::describe_metrics;
pub use reads::Reads;
pub use snapshot::{StaleRead, with_snapshot};
pub use stats::Stats;
pub use supply::{BlockSupply, SupplyError};
pub use write::{WriteError, WriteReport};
pub use writer::{BlockWriter, DirtyBlock, DirtyError};

#[cfg(test)]
mod tests;

/// The example in the README is compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

/// And those of the page about embedding.
#[cfg(doctest)]
#[doc = include_str!("../../docs/embedding.md")]
struct Embedding;
