//! Which locks each client has something to do with: what its limit counts, and what goes when it goes.
//!
//! A share is one client's part in one lock, from the moment when it first wants it until it neither holds nor wants it any
//! more. The lock keeps the share's number beside what the client holds and wants, and the share knows its rank among the
//! client's: so that it ends without a search.

use std::collections::{BTreeMap, HashMap};
use std::hash::{Hash, Hasher};

use ahash::RandomState;
use smallvec::SmallVec;
use tidelock_format::ClientId;

use super::slab::{Place, Slab};

/// The number of a share. No part of what a machine does: any two are equal, so that machines that differ in nothing else are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share(Place);

impl PartialEq for Share {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Share {}

impl Hash for Share {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// The shares of all clients.
#[derive(Clone, Debug)]
pub(super) struct Shares {
    /// Those of each client that has any. Never gone through: what happens must not depend on the hash.
    clients: HashMap<ClientId, SmallVec<[Share; 4]>, RandomState>,
    parts: Slab<Part>,
}

/// What a share is about.
#[derive(Clone, Copy, Debug)]
struct Part {
    lock: Place,
    /// Its rank among the client's.
    rank: u32,
}

impl Shares {
    pub(super) fn new(hasher: RandomState) -> Self {
        Self { clients: HashMap::with_hasher(hasher), parts: Slab::new() }
    }

    /// Makes room for so many more.
    pub(super) fn reserve(&mut self, more: usize) {
        self.parts.reserve(more);
    }

    /// The client begins to have something to do with the lock at this place.
    pub(super) fn add(&mut self, client: ClientId, lock: Place) -> Share {
        let shares = self.clients.entry(client).or_default();
        // Places are fewer than 32 bits can tell, so ranks are.
        let share = Share(self.parts.insert(Part { lock, rank: shares.len() as u32 }));
        shares.push(share);
        share
    }

    /// The client has nothing to do with the lock of this share any more.
    pub(super) fn remove(&mut self, client: ClientId, share: Share) {
        let Part { rank, .. } = self.parts[share.0];
        self.parts.remove(share.0);
        let shares = self.clients.get_mut(&client).expect("who has a share is known");
        shares.swap_remove(rank as usize);
        if let Some(moved) = shares.get(rank as usize) {
            self.parts[moved.0].rank = rank;
        } else if shares.is_empty() {
            self.clients.remove(&client);
        }
    }

    pub(super) fn count(&self, client: ClientId) -> usize {
        self.clients.get(&client).map_or(0, SmallVec::len)
    }

    /// The share of the client with this rank, and its lock. When one ends, the last takes its rank. Which has which, follows
    /// from what happened before alone: simulations repeat themselves.
    pub(super) fn nth(&self, client: ClientId, rank: usize) -> Option<(Share, Place)> {
        let share = *self.clients.get(&client)?.get(rank)?;
        Some((share, self.parts[share.0].lock))
    }

    /// The last share of the client, and its lock.
    pub(super) fn last(&self, client: ClientId) -> Option<(Share, Place)> {
        self.nth(client, self.count(client).checked_sub(1)?)
    }

    /// See [`Grants::check`](super::Grants::check). `expected` is what the locks say: who has which share of which lock, perhaps
    /// twice.
    pub(super) fn check(&self, expected: impl Iterator<Item = (ClientId, Share, Place)>) {
        let mut clients = BTreeMap::<ClientId, BTreeMap<Place, Place>>::new();
        for (client, Share(place), lock) in expected {
            let other = clients.entry(client).or_default().insert(place, lock);
            assert!(other.is_none_or(|other| other == lock), "a share is of one lock");
        }
        assert_eq!(clients.len(), self.clients.len(), "who has nothing is not known");
        let len: usize = clients.values().map(BTreeMap::len).sum();
        assert_eq!(len, self.parts.len(), "no share is left over");
        for (client, mut expected) in clients {
            for (rank, Share(place)) in self.clients[&client].iter().enumerate() {
                let part = self.parts[*place];
                assert_eq!(expected.remove(place), Some(part.lock), "a share leads to a lock of its client");
                assert_eq!(part.rank as usize, rank, "a share knows its rank");
            }
            assert!(expected.is_empty(), "every client's shares are what it holds and wants");
        }
    }
}
