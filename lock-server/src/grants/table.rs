//! Where locks stand, and how they are found.
//!
//! A lock keeps its place while it exists. It is found there by its first key ([`Index`]), or as the neighbour of a key
//! ([`Order`]): locks share no keys (K8), so whether a new one meets another can be seen from one neighbour.

use std::hash::{Hash, Hasher};
use std::ops::{Index as At, IndexMut as AtMut};

use ahash::RandomState;
use tidelock_format::{Key, KeyRange};

use super::index::Index;
use super::lock::Lock;
use super::order::{Gap, Order};
use super::slab::{Place, Slab};

/// Locks that somebody holds or wants.
#[derive(Clone, Debug)]
pub(super) struct Table {
    locks: Slab<Lock>,
    index: Index,
    order: Order,
}

/// Where a range is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Spot {
    /// There is a lock.
    Lock(Place),
    /// There could be one. Until any other comes or goes.
    Gap(Gap),
}

impl Table {
    pub(super) fn new(hasher: RandomState) -> Self {
        Self { locks: Slab::new(), index: Index::new(hasher), order: Order::default() }
    }

    /// Makes room for so many more.
    pub(super) fn reserve(&mut self, more: usize) {
        self.locks.reserve(more);
        self.index.reserve(more, &self.locks);
        self.order.reserve(more);
    }

    pub(super) fn len(&self) -> usize {
        self.locks.len()
    }

    /// The lock that begins at `start`.
    pub(super) fn find(&self, start: &Key) -> Option<Place> {
        self.index.find(start, &self.locks)
    }

    /// The lock of this range, or the gap where it would be.
    ///
    /// # Errors
    /// If there is a lock of another range that shares a key with this: with that.
    pub(super) fn find_range(&self, range: &KeyRange) -> Result<Spot, Place> {
        if let Some(place) = self.find(&range.start())
            && self[place].range == *range
        {
            return Ok(Spot::Lock(place));
        }
        self.find_new_range(range)
    }

    /// The same for a range of which there is no lock, most probably: with one look less.
    ///
    /// # Errors
    /// As [`find_range`](Self::find_range).
    pub(super) fn find_new_range(&self, range: &KeyRange) -> Result<Spot, Place> {
        match self.order.seek(range.start(), &self.locks) {
            Ok(place) if self[place].range == *range => Ok(Spot::Lock(place)),
            Err(gap) if self.order.is_apart(&gap, range) => Ok(Spot::Gap(gap)),
            Err(gap) => self.overlapping(range).map_or(Ok(Spot::Gap(gap)), Err),
            Ok(_) => Err(self.overlapping(range).expect("a lock that begins there is one")),
        }
    }

    fn overlapping(&self, range: &KeyRange) -> Option<Place> {
        // K8: locks share no keys, so of those that begin before the range's end only the last can reach into it.
        let last = self.order.last_to(range.end(), &self.locks)?;
        self[last].range.overlaps(range).then_some(last)
    }

    /// The lock of this range, which is made if it is not there.
    pub(super) fn at(&mut self, spot: Spot, range: KeyRange) -> Place {
        match spot {
            Spot::Lock(place) => place,
            Spot::Gap(gap) => {
                let place = match self.locks.reuse() {
                    Some((place, lock)) => {
                        lock.range = range;
                        place
                    }
                    None => self.locks.insert(Lock::new(range)),
                };
                self.index.insert(&range.start(), place, &self.locks);
                self.order.insert(place, &range, gap);
                place
            }
        }
    }

    /// A new lock behind all others.
    ///
    /// # Errors
    /// If it is not behind all: with the last one.
    pub(super) fn append(&mut self, range: KeyRange) -> Result<Place, Place> {
        let last = self.order.last();
        // K8: of locks that share no keys, the last to begin is the last to end.
        if let Some(last) = last.filter(|last| self[*last].range.end() >= range.start()) {
            return Err(last);
        }
        let gap = self.order.gap_behind(last, range.start(), &self.locks);
        Ok(self.at(Spot::Gap(gap), range))
    }

    /// Forgets a lock that nobody has anything to do with.
    pub(super) fn remove_idle(&mut self, place: Place) {
        let lock = &mut self[place];
        debug_assert!(lock.is_idle(), "K1, K3: somebody still holds or wants it");
        lock.shrink();
        let start = lock.range.start();
        self.index.remove(&start, place);
        self.order.remove(place);
        self.locks.remove(place);
    }

    /// All locks from the one that begins at `from` on, in order.
    pub(super) fn from(&self, from: Key) -> impl Iterator<Item = &Lock> {
        self.order.from(from, &self.locks).map(|place| &self[place])
    }

    /// All locks, in order, and where they are.
    pub(super) fn places(&self) -> impl Iterator<Item = (Place, &Lock)> {
        self.order.from(Key::MIN, &self.locks).map(|place| (place, &self[place]))
    }

    /// Calls `each` with every lock, in order.
    pub(super) fn for_each_mut(&mut self, mut each: impl FnMut(&mut Lock)) {
        let places: Vec<Place> = self.places().map(|(place, _)| place).collect();
        places.into_iter().for_each(|place| each(&mut self[place]));
    }

    /// See [`Grants::check`](super::Grants::check).
    pub(super) fn check(&self) {
        let mut last: Option<KeyRange> = None;
        let mut len = 0;
        for (place, lock) in self.places() {
            len += 1;
            assert!(last.is_none_or(|last| last.end() < lock.range.start()), "K8: locks share no key");
            assert_eq!(self.find(&lock.range.start()), Some(place), "a lock is found by its first key");
            last = Some(lock.range);
            lock.check();
        }
        assert_eq!([len, self.index.len()], [self.locks.len(); 2], "every lock is found, and nothing else");
        self.order.check(self.places());
    }
}

impl At<Place> for Table {
    type Output = Lock;

    fn index(&self, place: Place) -> &Lock {
        &self.locks[place]
    }
}

impl AtMut<Place> for Table {
    fn index_mut(&mut self, place: Place) -> &mut Lock {
        &mut self.locks[place]
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
