//! One lock: its holders, and the queue for it.

use std::collections::BTreeSet;
use std::time::Duration;

use smallvec::SmallVec;
use tidelock_format::{ClientId, KeyRange, Token};
use tidelock_lock_proto::{Change, Descent, Granted, Holder, Mode, ToClient};

use super::shares::Share;
use super::turn::Turn;

/// A lock that somebody holds or wants.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Lock {
    pub(super) range: KeyRange,
    /// Few: readers of one lock, or one writer.
    pub(super) grants: SmallVec<[Grant; 2]>,
    /// In the order in which they came.
    pub(super) wants: SmallVec<[Want; 1]>,
}

/// When something began, in half the room of a [`Duration`]: as nanoseconds, which last for 584 years.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Stamp(u64);

impl From<Duration> for Stamp {
    fn from(time: Duration) -> Self {
        Self(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
    }
}

impl From<Stamp> for Duration {
    fn from(Stamp(nanos): Stamp) -> Self {
        Self::from_nanos(nanos)
    }
}

/// What one client holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Grant {
    pub(super) client: ClientId,
    pub(super) mode: Mode,
    pub(super) token: Token,
    /// Set while the client was told to come down to this and has not said that it has.
    pub(super) descends_to: Option<Mode>,
    pub(super) since: Stamp,
    /// Whether its client has said that it holds this. Until then that is the word of the last server's table, and the client
    /// may know nothing of it: it is told to come down when it has said so.
    pub(super) is_told: bool,
    pub(super) share: Share,
}

/// What one client waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Want {
    pub(super) client: ClientId,
    pub(super) mode: Mode,
    pub(super) since: Stamp,
    pub(super) share: Share,
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
        Self { range, grants: SmallVec::new(), wants: SmallVec::new() }
    }

    /// Which of the grants is the client's.
    pub(super) fn place_of(&self, client: ClientId) -> Option<usize> {
        self.grants.iter().position(|grant| grant.client == client)
    }

    pub(super) fn grant_of(&self, client: ClientId) -> Option<&Grant> {
        self.grants.iter().find(|grant| grant.client == client)
    }

    pub(super) fn want_of(&self, client: ClientId) -> Option<&Want> {
        self.wants.iter().find(|want| want.client == client)
    }

    /// The share of who holds or wants this.
    pub(super) fn share_of(&self, client: ClientId) -> Option<Share> {
        let held = self.grant_of(client).map(|grant| grant.share);
        held.or_else(|| self.want_of(client).map(|want| want.share))
    }

    /// Who holds something beside which `client` cannot have had `mode`: another with an incompatible mode, or itself.
    pub(super) fn conflicting(&self, client: ClientId, mode: Mode) -> Option<ClientId> {
        let conflicts = |grant: &&Grant| grant.client == client || !grant.is_compatible(client, mode);
        self.grants.iter().find(conflicts).map(|grant| grant.client)
    }

    pub(super) fn is_descending(&self) -> bool {
        self.grants.iter().any(|grant| grant.descends_to.is_some())
    }

    pub(super) fn is_idle(&self) -> bool {
        self.grants.is_empty() && self.wants.is_empty()
    }

    /// Everybody who holds or wants this, by their shares; who does both, twice.
    pub(super) fn shares(&self) -> impl Iterator<Item = (ClientId, Share)> {
        let held = self.grants.iter().map(|grant| (grant.client, grant.share));
        held.chain(self.wants.iter().map(|want| (want.client, want.share)))
    }

    /// Tells everybody who is in the way of `want` to come down. Whether there was anybody.
    pub(super) fn make_way(&mut self, want: Want, turn: &mut Turn<'_>) -> bool {
        let start = self.range.start();
        for grant in &mut self.grants {
            if grant.is_compatible(want.client, want.mode) {
                continue;
            }
            let to = grant.mode.made_way_for(want.mode);
            grant.descends_to = Some(to);
            let change = Change { from: grant.mode, to };
            if grant.is_told {
                turn.answer(grant.client, ToClient::Revoke(Descent { start, token: grant.token, change }));
            }
        }
        self.is_descending()
    }

    /// Gives `want` what it wants, in place of what its client held.
    pub(super) fn grant(&mut self, want: Want, token: Token, now: Duration) -> Granted {
        let Want { client, mode, share, .. } = want;
        let held = self.place_of(client).map(|place| self.grants.remove(place));
        let from = held.map_or(Mode::Null, |grant| grant.mode);
        let grant = Grant { client, mode, token, descends_to: None, since: now.into(), is_told: true, share };
        self.grants.push(grant);
        Granted { range: self.range, change: Change { from, to: mode }, token }
    }

    /// The grant at `place` has come down to `mode`. The share of its client, if that is over.
    pub(super) fn come_down(&mut self, place: usize, mode: Mode) -> Option<Share> {
        let grant = &mut self.grants[place];
        (grant.mode, grant.descends_to) = (mode, None);
        if mode != Mode::Null {
            return None;
        }
        let Grant { client, share, .. } = self.grants.remove(place);
        self.want_of(client).is_none().then_some(share)
    }

    /// A client holds and wants nothing of this any more.
    pub(super) fn forget(&mut self, client: ClientId) {
        self.grants.retain(|grant| grant.client != client);
        self.wants.retain(|want| want.client != client);
    }

    /// Gives back the memory of a crowd that is gone.
    pub(super) fn shrink(&mut self) {
        self.grants.shrink_to_fit();
        self.wants.shrink_to_fit();
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
