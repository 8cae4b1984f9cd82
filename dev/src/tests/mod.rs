//! What devices promise. One suite runs against every backend and every decorator that changes nothing; the rest tests
//! what only one of them does. The files named `loom_*` are models, run by `cargo xtask loom`.

#[cfg(not(any(tidelock_loom, tidelock_shuttle)))]
mod collector;
#[cfg(not(any(tidelock_loom, tidelock_shuttle)))]
mod counted;
#[cfg(not(any(tidelock_loom, tidelock_shuttle)))]
mod faulty;
#[cfg(any(tidelock_loom, tidelock_shuttle))]
mod kernel;
#[cfg(tidelock_loom)]
mod loom_driver;
#[cfg(not(any(tidelock_loom, tidelock_shuttle)))]
mod mem;
#[cfg(not(any(tidelock_loom, tidelock_shuttle)))]
mod open;
#[cfg(tidelock_shuttle)]
mod shuttle_driver;
#[cfg(not(any(tidelock_loom, tidelock_shuttle)))]
mod subjects;
#[cfg(not(any(tidelock_loom, tidelock_shuttle)))]
mod suite;
#[cfg(not(any(tidelock_loom, tidelock_shuttle)))]
mod torn;
