//! Why bytes are not a message.

use tidelock_format::{Key, TooFew};

/// What is wrong with bytes that should have been a message. Whoever sent them does not follow the protocol: its session
/// ends, and this is what it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// Fewer bytes than a header has, or than the message needs.
    #[error(transparent)]
    TooShort(#[from] TooFew),
    /// More bytes than any message has.
    #[error("{have} bytes are too many: a message has at most {max}")]
    TooLong {
        /// Bytes there are.
        have: usize,
        /// Bytes that a message may have.
        max: usize,
    },
    /// The length in the header is not that of the bytes.
    #[error("it says that it has {said} bytes, and has {have}")]
    Length {
        /// What the header says.
        said: u32,
        /// Bytes there are.
        have: usize,
    },
    /// Of a version that this one does not speak.
    #[error("version {found} of the protocol is spoken, and only {known} is known")]
    Version {
        /// What the header says.
        found: u8,
        /// What is known.
        known: u8,
    },
    /// No such message.
    #[error("there is no message of kind {found:#04x}")]
    Kind {
        /// What the header says.
        found: u8,
    },
    /// A message for the other side.
    #[error("a message of kind {found:#04x} goes the other way")]
    Direction {
        /// What the header says.
        found: u8,
    },
    /// Bytes that have to be zero are not.
    #[error("bytes that mean nothing yet are not zero")]
    NotZero,
    /// No such mode.
    #[error("there is no mode {found}")]
    Mode {
        /// Its number.
        found: u8,
    },
    /// No such reason.
    #[error("there is no reason {found}")]
    Reason {
        /// Its number.
        found: u8,
    },
    /// Something that is neither yes nor no.
    #[error("{found} is neither yes (1) nor no (0)")]
    Flag {
        /// What is there instead.
        found: u8,
    },
    /// A range that ends before it begins.
    #[error("a range from {start} ends before it begins")]
    Range {
        /// Where it begins.
        start: Key,
    },
    /// Locks of a snapshot that are not in the order of their first keys, or twice the same.
    #[error("a snapshot goes on with {start}, which does not come after the lock before it")]
    Order {
        /// The lock that is out of order.
        start: Key,
    },
}
