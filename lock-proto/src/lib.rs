//! What clients and the server of Tidelock's locks say to each other: modes, tokens, messages and their bytes. Data only: no
//! I/O, no clock, no state.
//!
//! A lock covers a range of keys and is named by the first of them. A client acquires it in a [`Mode`], keeps it when it is
//! done, and gives it back when another client wants it. [`Mode::is_compatible`] says who can share; a [`Token`] orders
//! grants so that a store can refuse a writer who slept too long; [`ToServer`] and [`ToClient`] are the messages. Every
//! message says which life of the client and which term of the server it belongs to ([`Envelope`]), so that one that was
//! overtaken by a restart is noticed and dropped.
//!
//! ```
//! use tidelock_format::{Key, KeyRange};
//! use tidelock_lock_proto::{Acquire, Change, Envelope, Mode, ToServer};
//!
//! let range = KeyRange::new(Key::from_u64(1024), Key::from_u64(2047)).unwrap();
//! let wanted = ToServer::Acquire(Acquire { range, change: Change { from: Mode::Null, to: Mode::Read } });
//! let mut bytes = Vec::new();
//! wanted.encode(Envelope::default(), &mut bytes);
//! assert_eq!(ToServer::decode(&bytes)?, (Envelope::default(), wanted));
//! # Ok::<(), tidelock_lock_proto::Malformed>(())
//! ```
//!
//! How bytes travel, in which order, and how often, is another crate's business: nothing here assumes more than that a
//! message arrives whole. `docs/wire.md` draws every message.
#![forbid(unsafe_code)]

#[cfg(doc)]
use tidelock_format::Token;

mod message;
mod mode;
mod wire;

#[cfg(test)]
mod tests;

pub use message::{
    Acquire, Descent, Envelope, Granted, Held, Lost, Reason, Refused, Snapshot, ToClient, ToServer,
};
pub use mode::{Change, Holder, Mode};
pub use wire::{ENTRIES_MAX, MESSAGE_BYTES_MAX, Malformed, VERSION};
