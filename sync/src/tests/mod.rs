//! What the primitives promise; the files named `loom_*` are models, run by `cargo xtask loom`.

#[cfg(not(any(tidelock_loom, tidelock_shuttle)))]
mod event;
#[cfg(tidelock_loom)]
mod loom_barrier;
#[cfg(tidelock_loom)]
mod loom_event;
#[cfg(not(any(tidelock_loom, tidelock_shuttle)))]
mod op;
#[cfg(not(any(tidelock_loom, tidelock_shuttle)))]
mod snapshot;
#[cfg(not(any(tidelock_loom, tidelock_shuttle)))]
mod thread_index;
#[cfg(not(any(tidelock_loom, tidelock_shuttle)))]
mod word;
