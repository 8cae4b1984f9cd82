//! Memory that several caches share, and where its limit comes from.
//!
//! A [`MemoryBudget`] is a limit in bytes. Every cache that was built with it asks before it puts frames into circulation
//! and gives back what it withdraws, so the caches' frames together never exceed the limit. When the limit is lowered,
//! each cache is asked to shrink by its share of the difference; when a cache that has less than its fair share finds the
//! budget used up, the largest one is asked to make room.
//!
//! The limit is fixed, or set by hand ([`MemoryBudget::set_limit`]), or follows the system:
//!
//! ```text
//!   CgroupSource   room below the cgroup's limit --.
//!   PressureSource time lost waiting for memory ---+--> Reading --> Governor --> new limit --> MemoryBudget
//!   the embedder's own BudgetSource ---------------'    (a rule without clock or I/O)
//!   '----------------- BudgetWatch: a thread of its own, or polled by the embedder -------------------------'
//! ```
//!
//! Sources only read, the [`Governor`] only computes, the [`BudgetWatch`] only connects: each can be tested, or replaced,
//! by itself.

mod cgroup;
mod charge;
mod governor;
mod memory;
mod mounts;
mod pressure;
mod shrinker;
mod source;
mod watch;

pub use cgroup::CgroupSource;
pub(crate) use charge::Charge;
pub use governor::{BudgetRule, Governor};
pub use memory::MemoryBudget;
pub use pressure::PressureSource;
pub use shrinker::{Shrinker, Shrunk};
pub use source::{BudgetSource, Reading, Room, SourceError};
pub use watch::{Adjustment, BudgetWatch, WatchThread};
