//! From a lock's first key to its slot, without a lock: a hint, and never more.
//!
//! Entries are a tag and a slot's number in one word, in a table that is probed in a straight line. Whoever finds one enters
//! the slot and looks whether it is the one that was meant; whoever finds none asks the desk, which knows. So an entry may be
//! out of date, moved while somebody looks, or missing, and nothing is wrong but a detour (J4). That is why there is no
//! latch, no epoch, and no version: only the desk writes, and growing makes a second table, twice as large, that
//! readers come to see when they do. The tables that were outgrown stay, as a half, a quarter ... of the last.

use std::sync::OnceLock;

use tidelock_sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::LockId;

/// The smallest table has two to the power of this entries.
const SMALLEST: usize = if cfg!(tidelock_loom) { 2 } else { 10 };
/// Tables that there can be: the largest has four thousand million entries.
const TABLES: usize = 33 - SMALLEST;
/// Entries that are looked at for one lock.
const PROBES: usize = 16;

#[derive(Debug)]
pub(super) struct Index {
    tables: [OnceLock<Box<[AtomicU64]>>; TABLES],
    /// The table that is used.
    newest: AtomicUsize,
    /// Entries in it. Only the desk looks.
    count: AtomicUsize,
}

impl Index {
    pub(super) fn new() -> Self {
        let index = Self {
            tables: std::array::from_fn(|_| OnceLock::new()),
            newest: AtomicUsize::new(0),
            count: AtomicUsize::new(0),
        };
        index.make(0);
        index
    }

    fn make(&self, which: usize) -> &[AtomicU64] {
        let entries = 1usize << (SMALLEST + which);
        self.tables[which].get_or_init(|| (0..entries).map(|_| AtomicU64::new(0)).collect())
    }

    fn table(&self) -> &[AtomicU64] {
        // Acquire: pairs with the Release in `grow`; whoever sees the new table sees its entries.
        let newest = self.newest.load(Ordering::Acquire);
        self.tables[newest].get().expect("a table is made before it is used")
    }

    /// Slots that may hold the lock with this hash, most likely one or none.
    #[inline]
    pub(super) fn find(&self, hash: u64) -> impl Iterator<Item = LockId> + '_ {
        let table = self.table();
        // Acquire: pairs with the Release in `insert`. Nothing rests on it but that the slot exists: whoever enters it
        // synchronises there.
        let entries = probe(table, hash).map(|entry| entry.load(Ordering::Acquire));
        let tag = tag(hash);
        entries.take_while(|entry| *entry != 0).filter(move |entry| entry >> 32 == tag).map(id)
    }

    /// Enters a lock. Whoever calls has the desk's mutex.
    pub(super) fn insert(&self, hash: u64, lock: LockId, hash_of: impl Fn(LockId) -> u64) {
        let count = self.count.load(Ordering::Relaxed);
        if count * 2 >= self.table().len() {
            self.grow(&hash_of);
        }
        // Not entered is not lost: the desk knows. It takes a run of sixteen in a table half empty.
        if enter(self.table(), hash, lock) {
            self.count.store(count + 1, Ordering::Relaxed);
        }
    }

    /// Takes a lock out. Whoever calls has the desk's mutex.
    pub(super) fn remove(&self, hash: u64, lock: LockId, hash_of: impl Fn(LockId) -> u64) {
        let table = self.table();
        let value = entry_of(hash, lock);
        let mask = table.len() - 1;
        let Some(mut hole) = (0..PROBES)
            .map(|step| (home(hash) + step) & mask)
            .find(|place| table[*place].load(Ordering::Relaxed) == value)
        else {
            return;
        };
        self.count.store(self.count.load(Ordering::Relaxed) - 1, Ordering::Relaxed);
        // Entries behind a hole would not be found any more: those that may move up do. Whoever looks meanwhile may miss them.
        let mut place = hole;
        loop {
            place = (place + 1) & mask;
            let entry = table[place].load(Ordering::Relaxed);
            if entry == 0 {
                break;
            }
            let wanted = home(hash_of(id(entry))) & mask;
            let is_between = (place.wrapping_sub(wanted) & mask) >= (place.wrapping_sub(hole) & mask);
            if is_between {
                // Release: as in `enter`.
                table[hole].store(entry, Ordering::Release);
                hole = place;
            }
        }
        table[hole].store(0, Ordering::Relaxed);
    }

    #[cold]
    fn grow(&self, hash_of: &impl Fn(LockId) -> u64) {
        let newest = self.newest.load(Ordering::Relaxed);
        if newest + 1 == TABLES {
            return;
        }
        let larger = self.make(newest + 1);
        let mut count = 0;
        for entry in self.table() {
            let entry = entry.load(Ordering::Relaxed);
            if entry != 0 {
                count += usize::from(enter(larger, hash_of(id(entry)), id(entry)));
            }
        }
        self.count.store(count, Ordering::Relaxed);
        // Release: pairs with the Acquire in `table`.
        self.newest.store(newest + 1, Ordering::Release);
    }
}

fn home(hash: u64) -> usize {
    hash as usize
}

fn tag(hash: u64) -> u64 {
    hash >> 32
}

fn entry_of(hash: u64, lock: LockId) -> u64 {
    tag(hash) << 32 | (u64::from(lock.0) + 1)
}

fn id(entry: u64) -> LockId {
    LockId(entry as u32 - 1)
}

fn probe(table: &[AtomicU64], hash: u64) -> impl Iterator<Item = &AtomicU64> {
    let mask = table.len() - 1;
    (0..PROBES.min(table.len())).map(move |step| &table[(home(hash) + step) & mask])
}

fn enter(table: &[AtomicU64], hash: u64, lock: LockId) -> bool {
    let free = probe(table, hash).find(|entry| entry.load(Ordering::Relaxed) == 0);
    // Release: pairs with the Acquire in `find`.
    free.inspect(|entry| entry.store(entry_of(hash, lock), Ordering::Release)).is_some()
}

#[cfg(all(test, not(any(tidelock_loom, tidelock_shuttle))))]
mod tests {
    use proptest::prelude::*;
    use std::collections::HashMap;

    use super::*;

    proptest! {
        #[test]
        fn whatever_was_entered_is_found_until_it_is_removed(
            steps in prop::collection::vec((0u32..600, any::<bool>()), 1..3000),
        ) {
            // Few homes, so that runs grow together.
            let hash_of = |lock: LockId| u64::from(lock.0 % 40) << 4 | u64::from(lock.0) << 33;
            let (index, mut model) = (Index::new(), HashMap::new());
            for (lock, is_insert) in steps {
                let lock = LockId(lock);
                if is_insert {
                    if model.insert(lock, ()).is_none() {
                        index.insert(hash_of(lock), lock, hash_of);
                    }
                } else if model.remove(&lock).is_some() {
                    index.remove(hash_of(lock), lock, hash_of);
                }
            }
            let is_found = |lock: LockId| index.find(hash_of(lock)).any(|found| found == lock);
            let missed = model.keys().filter(|lock| !is_found(**lock)).count();
            // A run may be full: then the desk is asked.
            prop_assert!(missed <= model.len() / 4, "{missed} of {}", model.len());
            prop_assert!((0..600).map(LockId).all(|lock| model.contains_key(&lock) || !is_found(lock)));
        }
    }

    #[test]
    fn growing_keeps_what_was_entered() {
        let hash_of = |lock: LockId| u64::from(lock.0).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let index = Index::new();
        for lock in (0..100_000).map(LockId) {
            index.insert(hash_of(lock), lock, hash_of);
        }
        let is_found = |lock: &LockId| index.find(hash_of(*lock)).any(|found| found == *lock);
        let found = (0..100_000).map(LockId).filter(is_found).count();
        assert!(found > 99_000, "{found} of 100000");
    }
}
