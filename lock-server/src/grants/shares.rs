//! Which locks each client has something to do with: what its limit counts, and what goes when it goes.

use std::collections::HashMap;

use indexmap::IndexSet;
use tidelock_format::{ClientId, Key};

/// The first keys of the locks that each client holds or wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Shares(HashMap<ClientId, IndexSet<Key>>);

impl Shares {
    pub(super) fn add(&mut self, client: ClientId, start: Key) {
        self.0.entry(client).or_default().insert(start);
    }

    /// The client has nothing to do with this lock any more.
    pub(super) fn remove(&mut self, client: ClientId, start: &Key) {
        let Some(share) = self.0.get_mut(&client) else { return };
        share.swap_remove(start);
        if share.is_empty() {
            self.0.remove(&client);
        }
    }

    pub(super) fn count(&self, client: ClientId) -> usize {
        self.0.get(&client).map_or(0, IndexSet::len)
    }

    /// The lock of the client at this place. Taking one out moves the last into its place.
    pub(super) fn nth(&self, client: ClientId, place: usize) -> Option<Key> {
        self.0.get(&client).and_then(|share| share.get_index(place).copied())
    }

    /// Some lock of the client. Which, follows from what happened before alone: simulations repeat themselves.
    pub(super) fn any(&self, client: ClientId) -> Option<Key> {
        self.0.get(&client).and_then(|share| share.last().copied())
    }
}
