//! Where locks are found: by their first keys, in order.
//!
//! The tree holds places, not locks: a lock that comes and goes moves no others, and the next one finds its place with the
//! memory still there. (With locks in the tree, giving one back and taking it again took half as long again.)

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

use tidelock_format::{Key, KeyRange};

use super::lock::Lock;

/// Locks that somebody holds or wants.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    places: BTreeMap<Key, u32>,
    locks: Vec<Lock>,
    /// Places without a lock.
    free: Vec<u32>,
}

impl Table {
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn get_mut(&mut self, start: &Key) -> Option<&mut Lock> {
        let place = *self.places.get(start)?;
        Some(&mut self.locks[place as usize])
    }

    /// A lock that shares a key with `range`.
    pub(super) fn overlapping(&self, range: &KeyRange) -> Option<&Lock> {
        // K8: locks share no keys, so of those that begin before the range's end only the last can reach into it.
        let (_, place) = self.places.range(..=range.end()).next_back()?;
        let last = &self.locks[*place as usize];
        last.range.overlaps(range).then_some(last)
    }

    /// The lock of this range, which overlaps with no other.
    pub(super) fn get_or_insert(&mut self, range: KeyRange) -> &mut Lock {
        let Self { places, locks, free } = self;
        let place = *places.entry(range.start()).or_insert_with(|| {
            let place = free.pop().unwrap_or_else(|| {
                locks.push(Lock::new(range));
                u32::try_from(locks.len() - 1).expect("four billion locks do not fit memory")
            });
            locks[place as usize].range = range;
            place
        });
        &mut locks[place as usize]
    }

    /// Forgets a lock that nobody has anything to do with.
    pub(super) fn remove_idle(&mut self, start: &Key) {
        let place = self.places.remove(start).expect("it was there just now");
        debug_assert!(self.locks[place as usize].is_idle(), "K1, K3: somebody still holds or wants it");
        self.free.push(place);
    }

    /// All locks from the one that begins at `from` on, in order.
    pub(super) fn from(&self, from: Key) -> impl Iterator<Item = &Lock> {
        self.places.range(from..).map(|(_, place)| &self.locks[*place as usize])
    }

    /// Calls `each` with every lock, in order.
    pub(super) fn for_each_mut(&mut self, mut each: impl FnMut(&mut Lock)) {
        let Self { places, locks, .. } = self;
        places.values().for_each(|place| each(&mut locks[*place as usize]));
    }
}

/// Two tables are the same if their locks are, whatever their places.
impl PartialEq for Table {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.from(Key::MIN).eq(other.from(Key::MIN))
    }
}

impl Eq for Table {}

impl Hash for Table {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.from(Key::MIN).for_each(|lock| lock.hash(state));
    }
}
