//! Messages as bytes.
//!
//! Each message is one run of bytes that begins with its own length; whoever carries it keeps its borders. Encoding is
//! canonical: one message has one run of bytes.

mod decode;
mod encode;
mod layout;
mod malformed;

pub use malformed::Malformed;

use self::layout::{RawHeader, RawHeld, RawSnapshot};

/// The version that is spoken here.
pub const VERSION: u8 = 1;

/// Bytes of the longest message.
pub const MESSAGE_BYTES_MAX: usize = 64 << 10;

/// Locks and wants that fit one part of a snapshot, together.
pub const ENTRIES_MAX: usize =
    (MESSAGE_BYTES_MAX - size_of::<RawHeader>() - size_of::<RawSnapshot>()) / size_of::<RawHeld>();
