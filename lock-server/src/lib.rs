//! The server's side of Tidelock's locks, as state machines: no I/O, no clock, no thread. Whoever drives them brings messages
//! and the time, and carries out what they answer.
//!
//! [`Grants`] decides who gets which lock and who has to make way. It is whole as it stands: a test drives it through every
//! order of events up to a bound.
//!
//! ```
//! use std::time::Duration;
//! use tidelock_format::{ClientId, Key, KeyRange, Term};
//! use tidelock_lock_proto::{Acquire, Change, Mode, ToClient, ToServer};
//! use tidelock_lock_server::{Grants, Limits};
//!
//! let mut grants = Grants::new(Term(1), Limits::default());
//! let (now, mut answers) = (Duration::ZERO, Vec::new());
//! let client = ClientId::new(7).unwrap();
//! let range = KeyRange::new(Key::from_u64(1024), Key::from_u64(2047)).unwrap();
//! let change = Change { from: Mode::Null, to: Mode::Write };
//! grants.step(client, ToServer::Acquire(Acquire { range, change }), now, &mut answers)?;
//! assert!(matches!(answers[..], [(to, ToClient::Granted(granted))] if to == client && granted.range == range));
//! # Ok::<(), tidelock_lock_server::Violation>(())
//! ```
#![forbid(unsafe_code)]

#[cfg(feature = "daemon")]
mod daemon;
mod grants;
mod service;

#[cfg(feature = "daemon")]
pub use daemon::{
    Beginning, Bounds, Daemon, DaemonOptions, HandoverFileError, Handle, HasStopped, Look, StartError, Stopped, Tally,
    wait_to_lead,
};
pub use grants::{Answer, Grants, Holder, Limits, LockView, RestoreError, Violation, Waiter};
pub use service::{
    Connection, Counters, Effect, Expulsion, GraceView, Handover, HandoverError, Input, LockEntry,
    LockHolder, LockWaiter, Missing, Notice, Offence, Party, Phase, Quotas, Records, Server, ServerConfig,
    SessionView, Standing, StopReason, TakeOverError, Ticket,
};
