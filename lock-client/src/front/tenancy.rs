//! Where a lock was found: what saves looking for it again.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::Use;
use crate::LockId;

/// A lock, as long as it has the slot in which it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tenancy {
    pub(super) id: LockId,
    pub(super) tenant: u64,
}

/// The last place where somebody found a lock. Any thread writes and reads it, half by half: halves that do not belong together
/// name a slot and a tenant that it never had.
#[derive(Debug, Default)]
pub(crate) struct LastTenancy {
    id: AtomicU32,
    /// Zero, if it was not found yet.
    tenant: AtomicU64,
}

impl LastTenancy {
    /// Where it was found last.
    #[inline]
    pub(crate) fn get(&self) -> Option<Tenancy> {
        // Relaxed: a hint, looked up in the slot by whoever is in it (J4).
        let tenant = self.tenant.load(Ordering::Relaxed);
        (tenant != 0).then(|| Tenancy { id: LockId(self.id.load(Ordering::Relaxed)), tenant })
    }

    /// It was found here.
    pub(crate) fn set(&self, usage: &Use<'_>) {
        let Tenancy { id, tenant } = usage.tenancy();
        // Relaxed: as in `get`. Who sees the one and not the other looks in a slot where that tenant never was.
        self.id.store(id.0, Ordering::Relaxed);
        self.tenant.store(tenant, Ordering::Relaxed);
    }
}
