//! Whether what was read under a lock may still be relied on, asked without taking the lock.

use crate::LockId;

/// A mark made while a lock was held, good for as long as the client has gone on holding it for reading ever since. Eight words
/// long at most, tied to nothing: it may be kept in any cache, for ever, and outlive the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Coverage {
    id: LockId,
    refresh: u64,
}

impl Coverage {
    pub(crate) fn new(id: LockId, refresh: u64) -> Self {
        Self { id, refresh }
    }

    /// Where to look.
    pub(crate) fn lock(&self) -> LockId {
        self.id
    }

    /// Whether the lock's present generation is the one that it was.
    pub(crate) fn is_of(&self, refresh: u64) -> bool {
        self.refresh != 0 && self.refresh == refresh
    }
}
