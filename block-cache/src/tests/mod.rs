//! What the cache promises, test by test. Files named `loom_*` and `shuttle_*` are models, run by `cargo xtask`.

#[cfg(not(any(tidelock_loom, tidelock_shuttle)))]
mod basics;
#[cfg(not(any(tidelock_loom, tidelock_shuttle)))]
mod budget_rule;
#[cfg(not(any(tidelock_loom, tidelock_shuttle)))]
mod budget_watch;
#[cfg(not(any(tidelock_loom, tidelock_shuttle)))]
mod campaign;
#[cfg(not(any(tidelock_loom, tidelock_shuttle)))]
mod closing;
#[cfg(not(any(tidelock_loom, tidelock_shuttle)))]
mod corruption;
#[cfg(tidelock_loom)]
mod desk;
#[cfg(not(any(tidelock_loom, tidelock_shuttle)))]
mod dirtying;
#[cfg(not(any(tidelock_loom, tidelock_shuttle)))]
mod faults;
#[cfg(not(any(tidelock_loom, tidelock_shuttle)))]
mod growth;
#[cfg(tidelock_loom)]
mod loom_close;
#[cfg(tidelock_loom)]
mod loom_epoch;
#[cfg(tidelock_loom)]
mod loom_evict;
#[cfg(tidelock_loom)]
mod loom_fill;
#[cfg(tidelock_loom)]
mod loom_guard;
#[cfg(tidelock_loom)]
mod loom_index;
#[cfg(tidelock_loom)]
mod loom_read;
#[cfg(tidelock_loom)]
mod loom_remove;
#[cfg(tidelock_loom)]
mod loom_replace;
#[cfg(tidelock_loom)]
mod loom_state;
#[cfg(tidelock_loom)]
mod loom_table;
#[cfg(not(any(tidelock_loom, tidelock_shuttle)))]
mod memory;
#[cfg(tidelock_loom)]
mod model;
#[cfg(not(tidelock_loom))]
mod rig;
#[cfg(not(any(tidelock_loom, tidelock_shuttle)))]
mod sharing;
#[cfg(tidelock_shuttle)]
mod shuttle_cache;
#[cfg(not(any(tidelock_loom, tidelock_shuttle)))]
mod snapshot;
#[cfg(not(any(tidelock_loom, tidelock_shuttle)))]
mod stress;
#[cfg(not(any(tidelock_loom, tidelock_shuttle)))]
mod waiting;
