//! What people and tests look at: who holds a lock, who waits for it, for how long, and for whom.

use std::time::Duration;

use tidelock_format::{ClientId, KeyRange, Token};
use tidelock_lock_proto::Mode;

use super::lock::{Grant, Lock, Want};

/// One lock as it is now.
#[derive(Clone, Copy, Debug)]
pub struct LockView<'a>(&'a Lock);

/// Who holds a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The client.
    pub client: ClientId,
    /// As what.
    pub mode: Mode,
    /// The grant.
    pub token: Token,
    /// What it was told to come down to, until it has.
    pub descends_to: Option<Mode>,
    /// When it was granted, as time since the server began.
    pub since: Duration,
}

/// Who waits for a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiter {
    /// The client.
    pub client: ClientId,
    /// What it wants.
    pub mode: Mode,
    /// Since when, as time since the server began.
    pub since: Duration,
    /// Whom it waits for: holders that are not compatible with it, and whoever wants the lock and came before. A client that
    /// has to give up one mode for another waits for itself, too.
    pub behind: Vec<ClientId>,
}

impl<'a> LockView<'a> {
    pub(super) fn new(lock: &'a Lock) -> Self {
        Self(lock)
    }

    /// What it covers.
    pub fn range(&self) -> KeyRange {
        self.0.range
    }

    /// Who holds it.
    pub fn holders(&self) -> impl Iterator<Item = Holder> + 'a {
        self.0.grants.iter().map(|grant| {
            let Grant { client, mode, token, descends_to, since, .. } = *grant;
            Holder { client, mode, token, descends_to, since: since.into() }
        })
    }

    /// Who waits for it, first come first.
    pub fn waiters(&self) -> impl Iterator<Item = Waiter> + 'a {
        let lock = self.0;
        lock.wants.iter().enumerate().map(move |(place, want)| {
            let Want { client, mode, since, .. } = *want;
            let holders = lock.grants.iter().filter(|grant| !grant.is_compatible(client, mode));
            let before = lock.wants.iter().take(place).map(|want| want.client);
            let behind = holders.map(|grant| grant.client).chain(before).collect();
            Waiter { client, mode, since: since.into(), behind }
        })
    }
}
