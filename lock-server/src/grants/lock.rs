//! One lock: its holders, and the queue for it.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use tidelock_format::{ClientId, KeyRange, Token};
use tidelock_lock_proto::{Change, Descent, Granted, Holder, Mode, ToClient};

use super::Answer;

/// A lock that somebody holds or wants.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Lock {
    pub(super) range: KeyRange,
    /// Few: readers of one lock, or one writer.
    pub(super) grants: Vec<Grant>,
    /// In the order in which they came.
    pub(super) wants: VecDeque<Want>,
}

/// What one client holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Grant {
    pub(super) client: ClientId,
    pub(super) mode: Mode,
    pub(super) token: Token,
    /// Set while the client was told to come down to this and has not said that it has.
    pub(super) descends_to: Option<Mode>,
    pub(super) since: Duration,
}

/// What one client waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Want {
    pub(super) client: ClientId,
    pub(super) mode: Mode,
    pub(super) since: Duration,
}

impl Grant {
    /// Whether this can stay while `want` is granted.
    pub(super) fn is_compatible(&self, client: ClientId, mode: Mode) -> bool {
        let holder = if self.client == client { Holder::Same } else { Holder::Another };
        self.mode.is_compatible(holder, mode)
    }
}

impl Lock {
    pub(super) fn new(range: KeyRange) -> Self {
        Self { range, grants: Vec::new(), wants: VecDeque::new() }
    }

    pub(super) fn grant_of(&self, client: ClientId) -> Option<&Grant> {
        self.grants.iter().find(|grant| grant.client == client)
    }

    pub(super) fn grant_of_mut(&mut self, client: ClientId) -> Option<&mut Grant> {
        self.grants.iter_mut().find(|grant| grant.client == client)
    }

    /// Who holds something beside which `client` cannot have had `mode`: another with an incompatible mode, or itself.
    pub(super) fn conflicting(&self, client: ClientId, mode: Mode) -> Option<ClientId> {
        let conflicts = |grant: &&Grant| grant.client == client || !grant.is_compatible(client, mode);
        self.grants.iter().find(conflicts).map(|grant| grant.client)
    }

    pub(super) fn is_wanted_by(&self, client: ClientId) -> bool {
        self.wants.iter().any(|want| want.client == client)
    }

    /// Whether `client` holds or wants this.
    pub(super) fn concerns(&self, client: ClientId) -> bool {
        self.grant_of(client).is_some() || self.is_wanted_by(client)
    }

    pub(super) fn is_descending(&self) -> bool {
        self.grants.iter().any(|grant| grant.descends_to.is_some())
    }

    pub(super) fn is_idle(&self) -> bool {
        self.grants.is_empty() && self.wants.is_empty()
    }

    /// Everybody who holds or wants this.
    pub(super) fn clients(&self) -> BTreeSet<ClientId> {
        let holders = self.grants.iter().map(|grant| grant.client);
        holders.chain(self.wants.iter().map(|want| want.client)).collect()
    }

    /// Tells everybody who is in the way of `want` to come down. Whether there was anybody.
    pub(super) fn make_way(&mut self, want: Want, answers: &mut Vec<Answer>) -> bool {
        let start = self.range.start();
        for grant in &mut self.grants {
            if grant.is_compatible(want.client, want.mode) {
                continue;
            }
            let to = grant.mode.made_way_for(want.mode);
            grant.descends_to = Some(to);
            let change = Change { from: grant.mode, to };
            answers.push((grant.client, ToClient::Revoke(Descent { start, token: grant.token, change })));
        }
        self.is_descending()
    }

    /// Gives `want` what it wants, in place of what its client held.
    pub(super) fn grant(&mut self, want: Want, token: Token, now: Duration) -> Granted {
        let Want { client, mode, .. } = want;
        let from = self.grant_of(client).map_or(Mode::Null, |grant| grant.mode);
        self.grants.retain(|grant| grant.client != client);
        self.grants.push(Grant { client, mode, token, descends_to: None, since: now });
        Granted { range: self.range, change: Change { from, to: mode }, token }
    }

    /// See [`Grants::check`](super::Grants::check).
    pub(super) fn check(&self) {
        for (i, grant) in self.grants.iter().enumerate() {
            assert!(grant.mode != Mode::Null, "K1: who holds nothing is no holder");
            for other in &self.grants[i + 1..] {
                assert!(other.client != grant.client, "K3: a client has one grant of a lock");
                assert!(
                    grant.mode.is_compatible(Holder::Another, other.mode),
                    "K1: {} and {} of one lock",
                    grant.mode,
                    other.mode
                );
            }
        }
        let wanting: BTreeSet<ClientId> = self.wants.iter().map(|want| want.client).collect();
        assert_eq!(wanting.len(), self.wants.len(), "K3: a client has one want for a lock");
        assert!(!self.is_idle(), "a lock exists while somebody holds or wants it");
    }
}
