//! What a client can do wrong.

use tidelock_format::{ClientId, Key, Token};
use tidelock_lock_proto::{Change, Mode};

/// A client does not follow the protocol: its session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// It says that it came down, and was not told to, or to something else.
    #[error("lock {start}: it cedes grant {token} as it was not told to")]
    Unasked {
        /// The lock.
        start: Key,
        /// The grant that it names.
        token: Token,
    },
    /// It gives back what it does not have, or what is not less than before.
    #[error("lock {start}: it cannot give back {change}")]
    NoDescent {
        /// The lock.
        start: Key,
        /// What it says.
        change: Change,
    },
    /// A message that belongs elsewhere: part of a recovery, say, when there is none.
    #[error("a message that has no place here")]
    OutOfPlace,
}

/// A lock that a client says it held, and that it does not hold any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// Locks are granted already, perhaps this one.
    #[error("lock {start} is restored too late: locks are granted again")]
    TooLate {
        /// The lock.
        start: Key,
    },
    /// A client has no more locks than one may have.
    #[error("lock {start} is one more than one client may have")]
    TooMany {
        /// The lock.
        start: Key,
    },
    /// No server granted this.
    #[error("lock {start} was never granted as {mode} with token {token}")]
    NeverGranted {
        /// The lock.
        start: Key,
        /// The mode that it names.
        mode: Mode,
        /// The grant that it names.
        token: Token,
    },
    /// It shares keys with a lock of another range.
    #[error("lock {start} shares keys with lock {other}, or is of another length")]
    Overlaps {
        /// The lock.
        start: Key,
        /// The one that is there.
        other: Key,
    },
    /// Somebody restored an incompatible one first; perhaps the same client.
    #[error("lock {start} cannot be held as {mode} beside what client {holder} restored")]
    Conflict {
        /// The lock.
        start: Key,
        /// The mode that it names.
        mode: Mode,
        /// Who was first.
        holder: ClientId,
    },
}
