//! Memory for things that come and go, refer to each other, and never move.
//!
//! What is removed stays where it is until its place is needed again, and the next one finds memory that was touched a moment
//! ago. (The crate of this name keeps a mark in each entry, which makes the small ones here twice as large, and moves what it
//! takes out: locks are not small.)

use std::ops::{Index, IndexMut};

/// The number of an entry of one slab, in half the space of a pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place(u32);

impl Place {
    /// The first to be given out.
    pub(super) const FIRST: Self = Self(0);

    /// Places are fewer than this, so that whoever packs one has a bit to spare.
    const END: u32 = 1 << 31;

    /// 31 bits.
    pub(super) const fn bits(self) -> u32 {
        self.0
    }

    pub(super) const fn from_bits(bits: u32) -> Self {
        debug_assert!(bits < Self::END);
        Self(bits)
    }

    pub(super) const fn number(self) -> usize {
        self.0 as usize
    }
}

/// Entries, by their places.
#[derive(Clone, Debug)]
pub(super) struct Slab<T> {
    entries: Vec<T>,
    /// Places without an entry. The last is the next to be given out: what happens depends on nothing but what was before.
    free: Vec<Place>,
}

impl<T> Slab<T> {
    pub(super) const fn new() -> Self {
        Self { entries: Vec::new(), free: Vec::new() }
    }

    /// Makes room for so many more.
    pub(super) fn reserve(&mut self, more: usize) {
        self.entries.reserve(more.saturating_sub(self.free.len()));
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// A place whose entry was removed, and what was there.
    pub(super) fn reuse(&mut self) -> Option<(Place, &mut T)> {
        let place = self.free.pop()?;
        Some((place, &mut self[place]))
    }

    pub(super) fn insert(&mut self, entry: T) -> Place {
        if let Some((place, old)) = self.reuse() {
            *old = entry;
            return place;
        }
        let place = u32::try_from(self.entries.len()).ok().filter(|number| *number < Place::END);
        self.entries.push(entry);
        Place(place.expect("two billion locks do not fit memory"))
    }

    /// The entry at `place` is not looked at any more.
    pub(super) fn remove(&mut self, place: Place) {
        self.free.push(place);
    }
}

impl<T> Index<Place> for Slab<T> {
    type Output = T;

    fn index(&self, place: Place) -> &T {
        &self.entries[place.number()]
    }
}

impl<T> IndexMut<Place> for Slab<T> {
    fn index_mut(&mut self, place: Place) -> &mut T {
        &mut self.entries[place.number()]
    }
}
