//! Telling a new server what there is, in parts, while locks go on coming and going (H3).

use std::ops::Bound;

use tidelock_format::Key;
use tidelock_lock_proto::Snapshot;

use super::Holdings;

/// What the present server has been told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Told {
    /// There is no session.
    #[default]
    Nothing,
    /// All locks that begin before this key.
    Before(Key),
    /// Everything.
    All,
}

impl Told {
    pub(super) fn before(key: Key) -> Self {
        Told::Before(key)
    }

    /// Whether it knows of the lock that begins there.
    pub(super) fn is_told(self, start: Key) -> bool {
        match self {
            Told::Nothing => false,
            Told::Before(key) => start < key,
            Told::All => true,
        }
    }
}

impl Holdings {
    /// The next part of what a new server has to be told, of at most so many locks and wants; `None` when it knows all. What
    /// is asked for in it counts as asked.
    ///
    /// # Panics
    /// If `entries_max` is less than two: a lock may be held and wanted.
    pub fn next_part(&mut self, entries_max: usize) -> Option<Snapshot> {
        assert!(entries_max >= 2, "a lock that is held and wanted has two entries");
        let Told::Before(from) = self.told else { return None };
        let mut part = Snapshot::default();
        let places = self.by_start.range((Bound::Included(from), Bound::Unbounded));
        let places: Vec<_> = places.take(entries_max).map(|(start, id)| (*start, *id)).collect();
        let rest =
            if places.len() < entries_max { None } else { places.last().and_then(|(last, _)| last.next()) };
        for (start, id) in places {
            if part.held.len() + part.wanted.len() + 2 > entries_max {
                self.told = Told::Before(start);
                return Some(part);
            }
            let (term, is_discarding) = (self.term, self.discarding.contains_key(&start));
            let lock = self.live(id);
            part.held.extend(lock.entry());
            let usable = lock.usable();
            let question = lock
                .question(term)
                .filter(|question| !usable.satisfies(question.change.to) && !is_discarding);
            lock.asked = question.map(|question| question.change.to);
            part.wanted.extend(question);
        }
        part.is_last = rest.is_none();
        self.told = rest.map_or(Told::All, Told::Before);
        Some(part)
    }
}
