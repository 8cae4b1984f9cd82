//! A lock that is taken again and again by those who keep it at hand.

use std::fmt;

use tidelock_format::KeyRange;
use tidelock_lock_proto::Mode;
use tidelock_sync::Op;

use crate::front::LastTenancy;
use crate::{Guard, LockError, Locks};

/// One lock, to be kept beside what it protects: an inode, say. It does what [`Locks::lock`] does with its range, and remembers
/// where the lock was found last. That is faster wherever the lock is still there, and right wherever it is not; keeping it
/// keeps nothing of the lock.
pub struct NamedLock {
    locks: Locks,
    range: KeyRange,
    last: LastTenancy,
}

impl NamedLock {
    pub(crate) fn new(locks: Locks, range: KeyRange) -> Self {
        Self { locks, range, last: LastTenancy::default() }
    }

    /// The keys that it covers.
    pub fn range(&self) -> KeyRange {
        self.range
    }

    /// As [`Locks::lock`].
    ///
    /// # Panics
    /// As [`Locks::lock`].
    #[inline]
    pub fn lock(&self, mode: Mode) -> Op<'_, Result<Guard<'_>, LockError>> {
        match self.try_lock(mode) {
            Some(guard) => Op::ready(Ok(guard)),
            None => self.locks.wait_for(self.range, mode),
        }
    }

    /// As [`Locks::try_lock`].
    ///
    /// # Panics
    /// As [`Locks::try_lock`].
    #[inline]
    pub fn try_lock(&self, mode: Mode) -> Option<Guard<'_>> {
        assert!(mode != Mode::Null, "H5: nobody waits for nothing");
        let shared = self.locks.shared();
        match self.last.get().and_then(|tenancy| shared.take_again(tenancy, mode)) {
            Some(usage) => Some(Guard::new(shared, usage)),
            None => self.find(mode),
        }
    }

    /// Looks for it by its name.
    #[cold]
    fn find(&self, mode: Mode) -> Option<Guard<'_>> {
        let guard = self.locks.try_lock(&self.range, mode)?;
        self.last.set(guard.usage());
        Some(guard)
    }
}

impl fmt::Debug for NamedLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NamedLock").field("range", &self.range).finish_non_exhaustive()
    }
}
