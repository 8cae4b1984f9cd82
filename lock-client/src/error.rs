//! How taking and using a lock can fail.

use tidelock_format::KeyRange;

/// A lock is not to be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// The client has been shut down, or is being.
    #[error("the lock client is shut down")]
    Closed,
    /// The range shares keys with a lock of another range, here or at another client: they disagree about what locks there are.
    #[error(
        "the range {range} shares keys with a lock of another range: lock names and ranges have to agree everywhere"
    )]
    Overlaps {
        /// The range.
        range: Box<KeyRange>,
    },
    /// The server gives this client no more locks.
    #[error(
        "this client has as many locks as the server allows: lower its idle limit, or raise the server's"
    )]
    TooMany,
    /// Taken from inside an invalidation, which may not wait for locks: it could be waited for by one.
    #[error(
        "a lock was asked for inside an invalidation: finish the invalidation first, elsewhere if need be"
    )]
    InsideInvalidation,
    /// The server and this client cannot talk.
    #[error("the server at this address is not ours to talk to: {0}")]
    Mismatch(Box<str>),
}

/// A guard is good for nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GuardError {
    /// The lease is over, and the server has not been heard of: it may give the lock away. Should it be heard of in time, the
    /// guard is good again.
    #[error("the lease is over: the lock may be somebody else's by now")]
    LeaseOver,
    /// The lock is lost for good: the session that it was held under is over.
    #[error("the lock is lost: the session that it was held under is over")]
    Lost,
}
