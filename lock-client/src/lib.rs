//! Tidelock's cluster locks, on the side that takes them.
//!
//! A [`LockClient`] talks to a lock server. [`Locks`] takes locks on ranges of keys; a [`Guard`] is the proof that one is
//! held, and keeps other clients out. A lock that nobody uses any more stays with the client, and what was read under it may
//! stay in the embedder's caches, until another client wants it: then [`Invalidate`] is called. A lock that the client has is
//! taken again without a lock and without a message: one atomic addition.
//!
//! ```no_run
//! use std::sync::Arc;
//! use std::time::Duration;
//! use tidelock_format::{Key, KeyRange};
//! use tidelock_lock_client::{Cause, Invalidate, Invalidation, LockClient, Options};
//! use tidelock_lock_proto::Mode;
//!
//! struct Cache;
//!
//! impl Invalidate for Cache {
//!     fn invalidate(&self, invalidation: Invalidation) {
//!         // Write back, drop what `invalidation.to()` does not allow to keep, and then:
//!         invalidation.done();
//!     }
//!
//!     fn lost(&self, _why: Cause) {
//!         // Drop everything, and write nothing.
//!     }
//! }
//!
//! let client = LockClient::start(Options::new("unix:/run/tidelock.sock".parse()?), Arc::new(Cache))?;
//! let locks = client.locks();
//! let range = KeyRange::new(Key::from_u64(1024), Key::from_u64(2047)).unwrap();
//! let guard = locks.lock(range, Mode::Write).wait()?;
//! guard.check()?; // before whatever must not happen without the lock
//! drop(guard);
//! let limit = Duration::from_secs(5);
//! println!("{}", client.shutdown(limit).destroy(limit));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it is made of
//! `front` is the fast path: words that count users, found by an index that is only a hint. [`Holdings`] is what the client
//! holds, wants and has to give up, as a machine without I/O. The desk joins it with the session and with those who wait,
//! behind one mutex. [`Client`] is all of that without a thread or a socket, for whoever drives it otherwise by a
//! [`Carrier`]; [`LockClient`] drives it with both.
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
mod named_lock;
mod seat;
mod shared;
mod sleeper;
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
pub use named_lock::NamedLock;
