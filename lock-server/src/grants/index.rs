//! Which lock begins at a key: the way that almost every message takes.
//!
//! A table of places, found by the hash of the first key; the key itself is read in the lock, which is wanted next anyhow.
//! The table is never gone through, so what happens never depends on the hash, and a simulation repeats itself whatever the
//! seed.

use ahash::RandomState;
use hashbrown::HashTable;
use tidelock_format::Key;

use super::lock::Lock;
use super::slab::{Place, Slab};

/// The places of locks, by their first keys.
#[derive(Clone, Debug)]
pub(super) struct Index {
    places: HashTable<Place>,
    hasher: RandomState,
}

impl Index {
    pub(super) fn new(hasher: RandomState) -> Self {
        Self { places: HashTable::new(), hasher }
    }

    /// Makes room for so many more: a table that grows by itself enters all that it has anew, again and again.
    pub(super) fn reserve(&mut self, more: usize, locks: &Slab<Lock>) {
        let Self { places, hasher } = self;
        places.reserve(more, |place| hasher.hash_one(start_of(locks, *place).0));
    }

    pub(super) fn find(&self, start: &Key, locks: &Slab<Lock>) -> Option<Place> {
        let is_it = |place: &Place| start_of(locks, *place) == *start;
        self.places.find(self.hasher.hash_one(start.0), is_it).copied()
    }

    /// Enters a lock that is not there.
    pub(super) fn insert(&mut self, start: &Key, place: Place, locks: &Slab<Lock>) {
        let Self { places, hasher } = self;
        let hash = |place: &Place| hasher.hash_one(start_of(locks, *place).0);
        places.insert_unique(hasher.hash_one(start.0), place, hash);
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Forgets a lock that is there.
    pub(super) fn remove(&mut self, start: &Key, place: Place) {
        let found = self.places.find_entry(self.hasher.hash_one(start.0), |other| *other == place);
        found.expect("it was there just now").remove();
    }
}

fn start_of(locks: &Slab<Lock>, place: Place) -> Key {
    locks[place].range.start()
}
