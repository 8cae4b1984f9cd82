//! One hash table: buckets of a cache line, found by multiplication, probed in order.
//!
//! ```text
//!   tags                              frames                                   latch   meta
//!  [tag tag tag tag  tag tag tag tag] [ 8 x 32-bit frame number or 0 ] [ 0 ]  [ 0/1 ] [ overflow  moved ]
//! ```
//!
//! All 16-bit tags are compared at once. A tag says only "look there": the frame's own header says which block it holds, so
//! a tag that matches by chance or is out of date does no harm. (One block in 65536 has the tag 0, which empty slots have too:
//! what they lead to is nobody.)
//!
//! An entry lives in its *home* bucket, or, when that is full, in one of the next; every bucket that an entry had to pass
//! counts it in `overflow`, and a probe goes on only where that count is not zero.
//!
//! - **T1** A home is below the number of buckets; a probe wraps around.
//! - **T2** Changes of one home's entries (insert, remove, move) hold that home's latch, taken for the few dozen
//!   loads and stores of one probe, never while allocating or doing I/O. Lookups neither take nor see it. Slots
//!   in buckets further on are claimed by compare-and-swap, since other homes' entries spill there too.
//! - **T3** A slot's frame number is written before its tag is published and cleared after the tag is gone.
//! - **T4** While a table is being replaced, a home marked *moved* has all its entries in the next table, and only there do
//!   they change. They are entered there first, then the home is marked, and then they are taken out of the old table. So a
//!   lookup that finds nothing at home looks for the mark *afterwards*, and one that finds something need not look for it:
//!   the entry stood there under its guard, and that holds up the reuse of the frame as after any other removal (E1).
//!   Nothing new is entered into a table that is being replaced, so no frame stands in it twice.
//! - **T5** There are more slots than frames, so a free slot is always found.

use std::io;
use std::ptr;

use tidelock_sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};
use tidelock_sync::{hint, thread};

use super::frame::{Entry, FrameNo};
use super::region::{Region, Zeroed};
use super::tags::Tags;
use super::{prefetch, unless};

/// Entries of a bucket: as many tags as fit one register of any x86-64. (Ten would fit the line, and take six instructions
/// more, one in twenty of a hit.)
pub(crate) const SLOTS: usize = 8;

// The meta word.
const MOVED: u64 = 1;
const OVERFLOW_UNIT: u64 = 2;
const OVERFLOW_MASK: u64 = !MOVED;

/// Times to look at a taken latch before giving the processor away.
const SPINS: u32 = 64;

#[derive(Debug)]
#[repr(C, align(64))]
struct Bucket {
    tags: Tags,
    /// The frames of the slots, and one more that is nobody's for ever: a search that finds no tag ends there.
    frames: [AtomicU32; SLOTS + 1],
    /// 1 while somebody holds it. By itself, so that giving it back is a plain store.
    latch: AtomicU32,
    meta: AtomicU64,
}

const _: () = assert!(cfg!(any(tidelock_loom, tidelock_shuttle)) || size_of::<Bucket>() == 64);

// SAFETY: all fields are atomic integers, for which zero bytes are the value 0.
unsafe impl Zeroed for Bucket {
    #[cfg(any(tidelock_loom, tidelock_shuttle))]
    fn zeroed() -> Self {
        Self {
            tags: Tags(std::array::from_fn(|_| AtomicU64::new(0))),
            frames: std::array::from_fn(|_| AtomicU32::new(0)),
            latch: AtomicU32::new(0),
            meta: AtomicU64::new(0),
        }
    }
}

/// The hash of a block number: its upper end chooses the home, the lower quarter is the tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hash(pub(crate) u64);

impl Hash {
    #[inline(always)]
    const fn tag(self) -> u16 {
        self.0 as u16
    }
}

/// What a probe found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probe<R> {
    Found(R),
    Absent,
    /// Its home was moved: look in the next table.
    Moved,
}

/// One table. Lookups and changes hold a guard, since tables are replaced.
#[derive(Debug)]
pub(crate) struct Table {
    buckets: Region<Bucket>,
    /// What replaces it; null unless it is being replaced.
    pub(crate) next: AtomicPtr<Table>,
    /// The next home to be moved there by whoever helps along.
    pub(crate) cursor: AtomicUsize,
    /// Homes that were moved.
    pub(crate) moved: AtomicUsize,
}

/// The home of a hash, and what to look for there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Home<'a> {
    bucket: &'a Bucket,
    hash: Hash,
}

/// A home whose entries only the holder changes (T2).
#[derive(Debug)]
pub(crate) struct Latched<'a> {
    table: &'a Table,
    home: usize,
}

impl Bucket {
    /// The frames of the slots.
    fn slots(&self) -> &[AtomicU32] {
        &self.frames[..SLOTS]
    }

    /// Its meta word, for who has looked at its entries, and at those behind it, in vain.
    #[inline(always)]
    fn meta_afterwards(&self) -> u64 {
        // Acquire: pairs with the Release of withdraw(): who missed an entry because it was moved finds the mark, and in the next
        // table the entry (T4).
        if !cfg!(tidelock_weaken = "moved_unfenced") {
            fence(Ordering::Acquire);
        }
        // Acquire: pairs with the Release of leave(): a mark that is seen leads to a next table.
        self.meta.load(Ordering::Acquire)
    }

    /// Whether entries had to pass it.
    fn is_passed(&self) -> bool {
        // Relaxed: a count.
        self.meta.load(Ordering::Relaxed) & OVERFLOW_MASK != 0
    }

    /// Offers `accept` the entries whose tags match.
    ///
    /// All tags are compared before any branch: which one matches is as random as the hash, and a branch on it would be
    /// mispredicted most of the time.
    #[inline(always)]
    fn search<R>(&self, tag: u16, accept: impl Fn(Entry) -> Option<R>) -> Option<R> {
        let mut matches = self.tags.matches(tag);
        while let Some(slot) = matches.next() {
            // SAFETY: it is a slot.
            if let Some(found) = accept(Entry::from_raw(unsafe { self.frame(slot) })) {
                return Some(found);
            }
        }
        None
    }

    /// The frame number in a slot, or behind the last.
    ///
    /// # Safety
    /// `slot` is at most `SLOTS`.
    #[inline(always)]
    unsafe fn frame(&self, slot: usize) -> u32 {
        // SAFETY: the caller's promise.
        let slot = unsafe { self.frames.get_unchecked(slot) };
        // Acquire: pairs with the Release of claim_slot(); the frame's header is filled in. Here and not at the tag: the
        // slot may have been emptied and claimed anew since the tag was read.
        slot.load(unless(cfg!(tidelock_weaken = "slot_acquire"), Ordering::Acquire))
    }
}

impl Home<'_> {
    /// The first entry that may lead to the hash, without looking whether it does; nobody's if there is none.
    ///
    /// There is no branch in this. Which slot it is, and whether there is one, is as random as the hash; and of lookups whose
    /// memory is far, the more are on their way at once the fewer branches each of them leaves unresolved.
    #[inline(always)]
    pub(crate) fn candidate(self) -> Entry {
        let slot = self.bucket.tags.matches(self.hash.tag()).first_or_end();
        // SAFETY: a slot, or the one behind the last.
        Entry::from_raw(unsafe { self.bucket.frame(slot) })
    }

    /// Whether the hash stands nowhere: no tag here matches, none had to pass, and none was moved.
    #[inline(always)]
    pub(crate) fn is_without(self) -> bool {
        self.bucket.tags.matches(self.hash.tag()).first_or_end() == SLOTS
            && self.bucket.meta_afterwards() == 0
    }
}

impl Table {
    /// A table of `buckets` buckets.
    pub(crate) fn new(buckets: usize) -> io::Result<Self> {
        assert!(buckets > 0 && buckets < u32::MAX as usize, "T1: a home has 32 bits");
        Ok(Self {
            buckets: Region::reserve(buckets)?,
            next: AtomicPtr::new(ptr::null_mut()),
            cursor: AtomicUsize::new(0),
            moved: AtomicUsize::new(0),
        })
    }

    pub(crate) fn bucket_count(&self) -> usize {
        self.buckets.len()
    }

    /// Entries it can hold at the most.
    pub(crate) fn slots(&self) -> usize {
        self.bucket_count() * SLOTS
    }

    #[inline(always)]
    fn bucket(&self, index: usize) -> &Bucket {
        // SAFETY: T1.
        unsafe { self.buckets.get(index) }
    }

    /// The home of `hash`, scaled to the number of buckets (Lemire's multiply-and-shift: one multiplication, of which the upper
    /// half is all that is wanted).
    #[inline(always)]
    pub(crate) fn home(&self, hash: Hash) -> usize {
        ((u128::from(hash.0) * self.bucket_count() as u128) >> 64) as usize
    }

    #[inline(always)]
    fn after(&self, bucket: usize) -> usize {
        if bucket + 1 == self.bucket_count() { 0 } else { bucket + 1 }
    }

    /// Where `hash` would stand.
    #[inline(always)]
    pub(crate) fn home_of(&self, hash: Hash) -> Home<'_> {
        Home { bucket: self.bucket(self.home(hash)), hash }
    }

    /// The same, on its way from memory.
    #[inline(always)]
    pub(crate) fn fetch_home(&self, hash: Hash) -> Home<'_> {
        let home = self.home_of(hash);
        prefetch::read(home.bucket);
        home
    }

    /// Puts the home of `hash` on its way from memory, for whoever will change it.
    #[inline(always)]
    pub(crate) fn fetch_home_to_change(&self, hash: Hash) {
        prefetch::write(self.home_of(hash).bucket);
    }

    /// Offers `accept` the frames that may hold `hash`, one after the other, until it takes one. The caller holds a guard.
    pub(crate) fn find<R>(&self, hash: Hash, accept: impl Fn(FrameNo) -> Option<R>) -> Probe<R> {
        // An entry may be nobody's by the time it is looked at.
        let accept = |entry: Entry| entry.frame().and_then(&accept);
        let (bucket, tag) = (self.home_of(hash).bucket, hash.tag());
        let mut found = bucket.search(tag, accept);
        let early = cfg!(tidelock_weaken = "moved_early").then(|| bucket.meta_afterwards());
        if found.is_none() && bucket.is_passed() {
            found = self.find_further(self.home(hash), tag, &accept);
        }
        match found {
            Some(found) => Probe::Found(found),
            None if early.unwrap_or_else(|| bucket.meta_afterwards()) & MOVED != 0 => Probe::Moved,
            None => Probe::Absent,
        }
    }

    /// The buckets behind a home that overflowed.
    #[cold]
    fn find_further<R>(&self, home: usize, tag: u16, accept: &impl Fn(Entry) -> Option<R>) -> Option<R> {
        let mut index = self.after(home);
        // Bound: once around the table.
        while index != home {
            let bucket = self.bucket(index);
            let found = bucket.search(tag, accept);
            if found.is_some() || !bucket.is_passed() {
                return found;
            }
            index = self.after(index);
        }
        None
    }

    /// Takes the latch of a home. Waits for whoever holds it: a thread in the middle of one probe.
    pub(crate) fn latch(&self, home: usize) -> Latched<'_> {
        let latch = &self.bucket(home).latch;
        let mut tries = 0u32;
        // Acquire: pairs with the Release of the latch's drop; this holder sees what the last one did.
        // Bound: the holder does at most one probe (T2) and waits for nobody who waits for this latch.
        let acquire = unless(cfg!(tidelock_weaken = "latch_acquire"), Ordering::Acquire);
        while latch.swap(1, acquire) != 0 {
            tries += 1;
            if tries.is_multiple_of(SPINS) || cfg!(any(tidelock_loom, tidelock_shuttle)) {
                thread::yield_now();
            } else {
                hint::spin_loop();
            }
        }
        Latched { table: self, home }
    }
}

impl Latched<'_> {
    /// Whether this home's entries live in the next table (T4).
    pub(crate) fn is_moved(&self) -> bool {
        // Relaxed: the latch orders it.
        self.table.bucket(self.home).meta.load(Ordering::Relaxed) & MOVED != 0
    }

    /// Marks this home as moved, and then takes its entries out (T4). They stand in the next table. `is_own` tells those of this
    /// home from the others.
    pub(crate) fn leave(&self, is_own: impl Fn(FrameNo) -> bool) {
        let take_out = |bucket: &Bucket, slot, frame| {
            if is_own(frame) {
                withdraw(bucket, slot);
            }
        };
        if cfg!(tidelock_weaken = "moved_late") {
            self.entries(take_out);
        }
        // Release: pairs with the Acquire in meta_afterwards().
        let release = unless(cfg!(tidelock_weaken = "moved_release"), Ordering::Release);
        if !cfg!(tidelock_weaken = "moved_unmarked") {
            self.table.bucket(self.home).meta.fetch_or(MOVED, release);
        }
        self.entries(take_out);
    }

    /// Looks for an entry as a lookup does.
    pub(crate) fn find<R>(&self, hash: Hash, accept: impl Fn(FrameNo) -> Option<R>) -> Option<R> {
        match self.table.find(hash, accept) {
            Probe::Found(found) => Some(found),
            Probe::Absent | Probe::Moved => None,
        }
    }

    /// Enters `frame` under `hash`, whose home this is.
    ///
    /// # Panics
    /// T5, if there is no free slot in the whole table.
    pub(crate) fn insert(&self, hash: Hash, frame: FrameNo) {
        let mut index = self.home;
        // Bound: T5, once around the table.
        for _ in 0..self.table.bucket_count() {
            let bucket = self.table.bucket(index);
            if let Some(slot) = claim_slot(bucket, frame) {
                publish(bucket, slot, hash.tag());
                return;
            }
            // Relaxed: counted before the tag further on is published with Release.
            bucket.meta.fetch_add(OVERFLOW_UNIT, Ordering::Relaxed);
            index = self.table.after(index);
        }
        panic!("T5: a table of {} slots is full", self.table.slots());
    }

    /// Takes out the entry of this home that leads to `frame`; tells whether there was one.
    pub(crate) fn remove(&self, frame: FrameNo) -> bool {
        let mut index = self.home;
        let mut passed = 0;
        // Bound: once around the table.
        while passed < self.table.bucket_count() {
            let bucket = self.table.bucket(index);
            if let Some(slot) = slot_of(bucket, frame) {
                withdraw(bucket, slot);
                self.uncount(passed);
                return true;
            }
            // Relaxed: the latch orders this home's own overflow.
            if bucket.meta.load(Ordering::Relaxed) & OVERFLOW_MASK == 0 {
                return false;
            }
            index = self.table.after(index);
            passed += 1;
        }
        false
    }

    /// An entry that had to pass `passed` buckets is gone.
    fn uncount(&self, passed: usize) {
        let mut index = self.home;
        for _ in 0..passed {
            // Relaxed: a probe that still sees the old count only goes on for nothing.
            let before = self.table.bucket(index).meta.fetch_sub(OVERFLOW_UNIT, Ordering::Relaxed);
            debug_assert!(before & OVERFLOW_MASK != 0, "an entry was counted where it passed");
            index = self.table.after(index);
        }
    }

    /// Every frame that an entry of this home can stand for. Among them may be entries of other homes.
    pub(crate) fn frames(&self, mut each: impl FnMut(FrameNo)) {
        self.entries(|_, _, frame| each(frame));
    }

    /// The entries in the home, and, as far as it overflowed, behind it.
    fn entries(&self, mut each: impl FnMut(&Bucket, usize, FrameNo)) {
        let mut index = self.home;
        // Bound: once around the table.
        for _ in 0..self.table.bucket_count() {
            let bucket = self.table.bucket(index);
            for (slot, frame) in bucket.slots().iter().enumerate() {
                // Acquire: pairs with the Release of claim_slot(); the header is filled in.
                if let Some(frame) = Entry::from_raw(frame.load(Ordering::Acquire)).frame() {
                    each(bucket, slot, frame);
                }
            }
            // Relaxed: the latch orders this home's own overflow.
            if bucket.meta.load(Ordering::Relaxed) & OVERFLOW_MASK == 0 {
                return;
            }
            index = self.table.after(index);
        }
    }
}

impl Drop for Latched<'_> {
    fn drop(&mut self) {
        // Release: pairs with the Acquire in latch().
        let release = unless(cfg!(tidelock_weaken = "latch_release"), Ordering::Release);
        let latch = &self.table.bucket(self.home).latch;
        if cfg!(any(tidelock_loom, tidelock_shuttle)) {
            // Loom lets the exchanges of whoever waits overlook a plain store for ever.
            latch.swap(0, release);
        } else {
            latch.store(0, release);
        }
    }
}

/// A free slot of `bucket`, now taken by `frame`.
fn claim_slot(bucket: &Bucket, frame: FrameNo) -> Option<usize> {
    bucket.slots().iter().position(|slot| {
        // Relaxed: a look before the exchange. AcqRel: Release pairs with search() and frames(), the frame's header is
        // filled in; Acquire: after the last entry's clearing.
        let both = unless(cfg!(tidelock_weaken = "slot_release"), Ordering::AcqRel);
        slot.load(Ordering::Relaxed) == 0
            && slot.compare_exchange(0, frame.entry().raw(), both, Ordering::Relaxed).is_ok()
    })
}

/// Makes a claimed slot visible to lookups (T3).
fn publish(bucket: &Bucket, slot: usize, tag: u16) {
    // Relaxed: a tag says only "look there"; what is there was published by claim_slot().
    bucket.tags.set(slot, tag, Ordering::Relaxed);
}

/// Takes a slot's entry away (T3).
fn withdraw(bucket: &Bucket, slot: usize) {
    // Release, both: pairs with the Acquire in meta_afterwards(), whoever misses it sees why; and with claim_slot(), the slot is
    // free only after its tag is gone. A lookup that saw the tag finds a frame that refuses it, or nobody.
    let release = unless(cfg!(tidelock_weaken = "withdraw_release"), Ordering::Release);
    bucket.tags.clear(slot, release);
    bucket.slots()[slot].store(0, release);
}

/// The slot of `bucket` that leads to `frame`.
fn slot_of(bucket: &Bucket, frame: FrameNo) -> Option<usize> {
    // Relaxed: whoever removes a frame's entry was told of it, or inserted it, under the same latch.
    bucket.slots().iter().position(|slot| slot.load(Ordering::Relaxed) == frame.entry().raw())
}
