//! The index: which frame holds which block. A [`Table`], and while it grows, two.
//!
//! Growing never stops anybody. Whoever wants more room hangs an empty table of twice the size behind the current one;
//! from then on every insertion goes into the new table. Before, it moves the home it needs; if that was moved already, it
//! moves a few others. (Not both: to touch a huge page of the new table for the first time can take milliseconds, and no
//! insertion is to do that twice.) Lookups that meet a home marked *moved* go on in the new table; they wait for nobody and
//! write nothing. When the last home has moved, the new table becomes the current one, and the old one is freed after a
//! grace period.
//!
//! - **T6** A table grows only while it is the current one, so there is never a third.
//! - **T7** Entries never exceed nine tenths of the slots: [`Index::admit`] is asked before frames are put into
//!   circulation, and refuses when no larger table can be had. So an insertion itself cannot fail.

use std::io;
use std::ptr;
use std::sync::{Arc, OnceLock};
// Statistics and hints: std's own, also under models.
use tidelock_sync::unmodelled::{AtomicU64, AtomicUsize};

use tidelock_sync::Mutex;
use tidelock_sync::atomic::{AtomicPtr, Ordering};

use super::epoch::{Domain, Stamp};
use super::frame::FrameNo;
use super::lock;
use super::table::{Hash, Latched, Probe, SLOTS, Table};
use crate::fault::{FaultPoint, Faults};

/// Homes that an insertion moves whose own was moved already: the old table is done after about as many insertions as it has
/// homes, and half as many again at the most, long before the new one fills up.
const HOMES_A_STEP: usize = 2;

/// The block index. Every method but `admit` and `collect` wants the caller to hold a guard of the same domain.
#[derive(Debug)]
pub(crate) struct Index {
    current: AtomicPtr<Table>,
    /// Replaced tables, until no lookup can be in them.
    replaced: Mutex<Vec<(Stamp, *mut Table)>>,
    /// How many those are, so that nobody takes the mutex for nothing.
    replaced_count: AtomicUsize,
    /// Tables made, and tables that could not be had.
    grown: AtomicU64,
    growth_refused: AtomicU64,
    /// What a test may make go wrong.
    faults: OnceLock<Arc<Faults>>,
}

// SAFETY: the raw pointers are to tables that the index owns; tables are Sync, and are freed under the epoch's rule alone.
unsafe impl Sync for Index {}
// SAFETY: as above; nothing in it belongs to a thread.
unsafe impl Send for Index {}

impl Index {
    /// An index for `entries` blocks to start with.
    pub(crate) fn new(entries: usize) -> io::Result<Self> {
        let table = Table::new(buckets_for(entries))?;
        Ok(Self {
            current: AtomicPtr::new(Box::into_raw(Box::new(table))),
            replaced: Mutex::new(Vec::new()),
            replaced_count: AtomicUsize::new(0),
            grown: AtomicU64::new(0),
            growth_refused: AtomicU64::new(0),
            faults: OnceLock::new(),
        })
    }

    /// Has the faults of the cache that this is the index of refuse its growth.
    pub(crate) fn obey(&self, faults: &Arc<Faults>) {
        self.faults.get_or_init(|| faults.clone());
    }

    /// The table that lookups begin with. The caller holds a guard as long as it has this.
    #[inline(always)]
    pub(crate) fn current(&self) -> &Table {
        // Acquire: pairs with the Release in finish(); the table's homes are all there.
        let table = self.current.load(Ordering::Acquire);
        // SAFETY: never null; freed only after a grace period that the caller's guard holds up (or by `drop`).
        unsafe { &*table }
    }

    fn next_of<'a>(&'a self, table: &'a Table) -> Option<&'a Table> {
        // Acquire: pairs with the Release in grow(); the table is empty and ready.
        let next = table.next.load(Ordering::Acquire);
        // SAFETY: null, or a table that lives at least as long as this one does for the caller's guard.
        unsafe { next.as_ref() }
    }

    /// Offers `accept` the frames that may hold `hash`, one after the other, until it takes one.
    pub(crate) fn find<R>(&self, hash: Hash, accept: impl Fn(FrameNo) -> Option<R>) -> Option<R> {
        let mut table = self.current();
        // Bound: each step goes to a younger table, and each of those was current once.
        loop {
            match table.find(hash, &accept) {
                Probe::Found(found) => return Some(found),
                Probe::Absent => return None,
                Probe::Moved => table = self.next_of(table).expect("T4: a moved home has a next table"),
            }
        }
    }

    /// An insertion's share in the growth of the table, if that grows: moves the home of `hash`, or, if that was moved
    /// already, helps along.
    pub(crate) fn make_way(&self, domain: &Domain, hash: Hash, hash_of: impl Fn(FrameNo) -> Hash) {
        let table = self.current();
        if let Some(next) = self.next_of(table)
            && !self.move_home(domain, table, next, table.home(hash), &hash_of)
        {
            self.help(domain, table, next, &hash_of);
        }
    }

    /// Enters `frame` under `hash`, unless `taken` accepts an entry that stands there already.
    ///
    /// `hash_of` gives the hash of the block in a frame: growth needs it.
    ///
    /// # Errors
    /// What `taken` made of the entry that was there first.
    pub(crate) fn insert<T>(
        &self,
        domain: &Domain,
        hash: Hash,
        frame: FrameNo,
        hash_of: impl Fn(FrameNo) -> Hash,
        taken: impl Fn(FrameNo) -> Option<T>,
    ) -> Result<(), T> {
        let home = self.latch_newest(domain, hash, &hash_of);
        match home.find(hash, taken) {
            Some(theirs) if !cfg!(tidelock_weaken = "insert_blindly") => Err(theirs),
            _ => {
                home.insert(hash, frame);
                Ok(())
            }
        }
    }

    /// Enters `frame` under `hash` in place of every entry that `displace` gives up.
    ///
    /// # Errors
    /// What `displace` objected to, before anything was entered.
    pub(crate) fn replace<E>(
        &self,
        domain: &Domain,
        hash: Hash,
        frame: FrameNo,
        hash_of: impl Fn(FrameNo) -> Hash,
        displace: impl Fn(FrameNo) -> Result<bool, E>,
    ) -> Result<(), E> {
        let home = self.latch_newest(domain, hash, &hash_of);
        // Bound: each round takes out an entry of this home, and under the latch none is added.
        while let Some(displaced) = home.find(hash, |other| match displace(other) {
            Ok(false) => None,
            Ok(true) => Some(Ok(other)),
            Err(objection) => Some(Err(objection)),
        }) {
            let removed = home.remove(displaced?);
            debug_assert!(removed, "an entry that was just found is there");
        }
        home.insert(hash, frame);
        Ok(())
    }

    /// The latch under which `hash` may be entered: in the newest table, its home moved there if need be.
    fn latch_newest<'a>(
        &'a self,
        domain: &Domain,
        hash: Hash,
        hash_of: &impl Fn(FrameNo) -> Hash,
    ) -> Latched<'a> {
        loop {
            let table = self.newest(domain, hash, hash_of);
            let home = table.latch(table.home(hash));
            // Bound: a retry means that growth began since `newest` looked; one table grows at a time (T6).
            if self.next_of(table).is_none() || cfg!(tidelock_weaken = "insert_into_old") {
                return home;
            }
        }
    }

    /// The table to insert `hash` into. Moves its home there first if the table grows.
    fn newest<'a>(&'a self, domain: &Domain, hash: Hash, hash_of: &impl Fn(FrameNo) -> Hash) -> &'a Table {
        let mut table = self.current();
        while let Some(next) = self.next_of(table) {
            self.move_home(domain, table, next, table.home(hash), hash_of);
            table = next;
        }
        table
    }

    /// Takes out the entry of `hash` that leads to `frame`; tells whether there was one.
    pub(crate) fn remove(&self, hash: Hash, frame: FrameNo) -> bool {
        let mut table = self.current();
        // Bound: as in find().
        loop {
            let home = table.latch(table.home(hash));
            if !home.is_moved() {
                return home.remove(frame);
            }
            drop(home);
            table = self.next_of(table).expect("T4: a moved home has a next table");
        }
    }

    /// Whether `entries` blocks may be in circulation. Begins to grow in time; refuses only when it should have grown
    /// and could not.
    pub(crate) fn admit(&self, domain: &Domain, entries: usize) -> bool {
        let _guard = domain.guard();
        let table = self.current();
        let newest = self.next_of(table).unwrap_or(table);
        if entries * 4 > newest.slots() * 3 && ptr::eq(newest, table) {
            self.grow(table, entries);
        }
        let newest = self.next_of(table).unwrap_or(table);
        entries * 10 <= newest.slots() * 9
    }

    /// Hangs an empty table of twice the size, or of what `entries` need, behind the current one. Failing is allowed: the
    /// table just gets denser.
    fn grow(&self, table: &Table, entries: usize) {
        let buckets = buckets_for(entries).max(table.bucket_count() * 2);
        let Some(larger) = Table::new(buckets).ok().filter(|_| !self.is_growth_refused()) else {
            // Relaxed: a statistic.
            self.growth_refused.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let larger = Box::into_raw(Box::new(larger));
        // Release: publishes the empty table. Acquire: or see whoever was first.
        let raced = table.next.compare_exchange(ptr::null_mut(), larger, Ordering::AcqRel, Ordering::Acquire);
        if raced.is_err() {
            // SAFETY: ours, made above, and nobody saw it.
            drop(unsafe { Box::from_raw(larger) });
        } else {
            // Relaxed: a statistic.
            self.grown.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn is_growth_refused(&self) -> bool {
        self.faults.get().is_some_and(|faults| faults.fires(FaultPoint::NoGrowth))
    }

    /// Moves the next few homes.
    fn help(&self, domain: &Domain, table: &Table, next: &Table, hash_of: &impl Fn(FrameNo) -> Hash) {
        // Relaxed, both: only deals out work; a home that two are sent to is moved once, under its latch.
        if table.cursor.load(Ordering::Relaxed) >= table.bucket_count() {
            return;
        }
        let from = table.cursor.fetch_add(HOMES_A_STEP, Ordering::Relaxed);
        for home in from..(from + HOMES_A_STEP).min(table.bucket_count()) {
            self.move_home(domain, table, next, home, hash_of);
        }
    }

    /// Moves the entries of one home into the next table (T4). Tells whether that was still to be done.
    fn move_home(
        &self,
        domain: &Domain,
        table: &Table,
        next: &Table,
        home: usize,
        hash_of: &impl Fn(FrameNo) -> Hash,
    ) -> bool {
        let latched: Latched<'_> = table.latch(home);
        if latched.is_moved() {
            return false;
        }
        // The caller's guard keeps the names of all these frames as they are (F2).
        latched.frames(|frame| {
            let hash = hash_of(frame);
            if table.home(hash) == home {
                next.latch(next.home(hash)).insert(hash, frame);
            }
        });
        latched.leave(|frame| table.home(hash_of(frame)) == home);
        drop(latched);
        // AcqRel: whoever counts the last home has seen all the others' moves, and publishes them with `current`.
        if table.moved.fetch_add(1, Ordering::AcqRel) + 1 == table.bucket_count() {
            self.finish(domain, table);
        }
        true
    }

    /// All homes have moved: the next table is the table.
    fn finish(&self, domain: &Domain, table: &Table) {
        // Relaxed: set before any home was moved.
        let next = table.next.load(Ordering::Relaxed);
        // Release: pairs with the Acquire in current().
        let old = self.current.swap(next, Ordering::AcqRel);
        debug_assert!(ptr::eq(old, table), "T6: only the current table grows");
        let stamp = domain.stamp();
        domain.expedite();
        lock(&self.replaced).push((stamp, old));
        // Relaxed: a hint for collect().
        self.replaced_count.fetch_add(1, Ordering::Relaxed);
    }

    /// Frees replaced tables that no lookup can be in any more.
    pub(crate) fn collect(&self, domain: &Domain) {
        // Relaxed: a hint; the next caller sees it.
        if self.replaced_count.load(Ordering::Relaxed) == 0 {
            return;
        }
        lock(&self.replaced).retain(|&(stamp, table)| {
            if !domain.is_clear(stamp) {
                return true;
            }
            // Relaxed: as above.
            self.replaced_count.fetch_sub(1, Ordering::Relaxed);
            // SAFETY: made by Box::into_raw, taken out of `current` once, and its grace period is over (E1).
            drop(unsafe { Box::from_raw(table) });
            false
        });
    }

    /// Times it grew.
    pub(crate) fn growths(&self) -> u64 {
        self.grown.load(Ordering::Relaxed)
    }

    /// Times it should have grown and could not.
    pub(crate) fn growths_refused(&self) -> u64 {
        self.growth_refused.load(Ordering::Relaxed)
    }

    /// Bytes that the tables take.
    pub(crate) fn bytes(&self, domain: &Domain) -> usize {
        let _guard = domain.guard();
        let table = self.current();
        let next = self.next_of(table).map_or(0, Table::bucket_count);
        (table.bucket_count() + next) * 64
    }
}

/// Buckets that hold `entries` in half of their slots: then one entry in a hundred stands behind its home, and of seven tenths
/// one in twenty would. Each of those costs a lookup a mispredicted branch and one more line from memory.
fn buckets_for(entries: usize) -> usize {
    (entries * 2).div_ceil(SLOTS).max(1)
}

impl Drop for Index {
    fn drop(&mut self) {
        // Relaxed, both: `&mut self` is proof that nobody else is here.
        let current = self.current.load(Ordering::Relaxed);
        // SAFETY: as in current().
        let next = unsafe { &*current }.next.load(Ordering::Relaxed);
        let replaced = std::mem::take(&mut *lock(&self.replaced));
        let tables = replaced.into_iter().map(|(_, table)| table).chain([current, next]);
        for table in tables.filter(|table| !table.is_null()) {
            // SAFETY: each was made by Box::into_raw and stands in exactly one of these places.
            drop(unsafe { Box::from_raw(table) });
        }
    }
}
