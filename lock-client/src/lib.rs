//! Tidelock's cluster locks, on the side that takes them.
#![forbid(unsafe_code)]

mod carrier;
mod client;
mod clock;
mod config;
mod counters;
mod coverage;
mod desk;
mod driver;
mod error;
mod front;
mod guard;
mod holdings;
mod invalidate;
mod lock_client;
mod locks;
mod seat;
mod shared;
#[cfg(test)]
mod tests;

pub use carrier::Carrier;
pub use client::Client;
pub use clock::{BootClock, Clock, ManualClock};
pub use config::Config;
pub use counters::Counters;
pub use coverage::Coverage;
pub use driver::PoolView;
pub use error::{GuardError, LockError};
pub use guard::{Guard, OwnedGuard};
pub use holdings::{Effect, Holdings, LockId, LockView, Open, Phase, Refusal, Ticket, Violation};
pub use invalidate::{Cause, Invalidate, Invalidation, Loss, call_embedder};
pub use lock_client::{DestroyReport, Draining, LockClient, Options, StartError};
pub use locks::{LockInfo, Locks};
