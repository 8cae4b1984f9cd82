//! The one place that chooses between the real machine and a model of it.
//!
//! Every other crate takes its atomics, cells, locks and threads from here. An ordinary build gets `std`; with
//! `--cfg tidelock_loom` it gets [loom](https://docs.rs/loom), which tries every interleaving and every value that the
//! memory model allows; with `--cfg tidelock_shuttle` it gets [shuttle](https://docs.rs/shuttle), which tries many
//! random schedules of larger programs. The choice is a cfg, never a feature: it must hold for the whole build.
//!
//! On top of that stand the few primitives that the rest of the house shares:
//! - [`word`]: several fields in one atomic word, their bit positions derived, never typed twice;
//! - [`Event`]: waiting that serves a thread and a future alike;
//! - [`Op`]: the result of a call that may have to wait: `.await` it, or `.wait()` for it;
//! - [`barrier`]: a store-load barrier whose price is paid by the side that runs rarely;
//! - [`Snapshot`] and [`ColdSnapshot`]: things read all the time and changed seldom;
//! - [`thread_index`]: a small number for the calling thread.

#[cfg(tidelock_loom)]
#[path = "backend_loom.rs"]
mod backend;
#[cfg(tidelock_shuttle)]
#[path = "backend_shuttle.rs"]
mod backend;
#[cfg(not(any(tidelock_loom, tidelock_shuttle)))]
#[path = "backend_std.rs"]
mod backend;

pub mod barrier;
mod event;
mod op;
mod snapshot;
mod thread_index;
pub mod word;

pub use backend::{Arc, Condvar, Mutex, MutexGuard, UnsafeCell, atomic, hint, model, thread};
pub use event::{Event, Listener};
pub use op::{Op, Pending};
pub use snapshot::{ColdSnapshot, Snapshot};
pub use thread_index::{known_thread_index, thread_index, thread_index_bound};

/// Atomics that models do not explore: statistics, and numbers to steer by, on which no correctness rests. Always `std`'s; a
/// model of the real ones would take for ever, and find nothing.
pub mod unmodelled {
    pub use std::sync::atomic::{
        AtomicBool, AtomicIsize, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering,
    };
}

#[cfg(test)]
mod tests;
