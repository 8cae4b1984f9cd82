//! A client as those who take its locks see it, with a server that says what the story wants. Files named `loom_*` are models,
//! run by `cargo xtask`.

#[cfg(not(any(tidelock_loom, tidelock_shuttle)))]
mod locks;
#[cfg(tidelock_loom)]
mod loom_client;
#[cfg(tidelock_loom)]
mod loom_front;
#[cfg(tidelock_loom)]
mod loom_seat;
#[cfg(tidelock_loom)]
mod loom_sleeper;
#[cfg(not(any(tidelock_loom, tidelock_shuttle)))]
mod scene;
#[cfg(not(any(tidelock_loom, tidelock_shuttle)))]
mod sessions;
