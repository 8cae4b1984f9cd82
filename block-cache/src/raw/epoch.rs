//! Grace periods: when is a frame that left the table certainly out of every lookup's sight?
//!
//! Each thread has a slot of its own in the [`Domain`]. A [`Guard`] writes the current epoch and a depth of one there, and
//! takes the depth off on drop: two plain stores to the thread's own cache line, no fence ([`barrier::light`]). Whoever
//! retires frames collects them in batches; each batch gets a stamp, which moves the epoch on. A batch may be reused when
//! every thread is past its stamp, in one of three ways:
//!
//! - its slot shows a later epoch, in a guard or left from one: it has begun a guard since. Threads that use the cache get
//!   there by themselves, and nobody pays anything;
//! - it is *absent*: it has had no guard for long, or never one, and its next guard begins with a fence;
//! - it has no guard, and the stamp was *expedited*: [`barrier::heavy`] ran after it. That is a system call which stops every
//!   processor that runs a thread of this process, ten microseconds and more on some machines. It is made only when frames
//!   have piled up behind a thread that did nothing meanwhile, and makes that thread absent.
//!
//! **E1** A guard that began before a batch was stamped shows an epoch at or below the stamp, or began its lookups after the
//! batch had left the table. *Why:*
//! a slot that shows a later epoch read it from the increment, which came after the removal; so does whatever this thread
//! looks up later, and what it looked up before had come to its end when it stored that.
//! For an expedited stamp, the slot's store and the table's loads have a light barrier between them, the table's stores and
//! the look at the slots a heavy one: one side sees the other.
//! A thread that was absent, or whose number is so new that a look at the slots may miss it, has a fence between saying that
//! it is back and its lookups, and the stamp has one between the removal and the look at who is absent.
//!
//! **E4** A thread is made absent between two looks at its depth with a heavy barrier between them. *Why that is enough:* it
//! writes its depth, and after a light barrier looks whether it is absent. So it either finds that out, or the second look
//! finds its guard.
//!
//! Frames are recycled, never freed, so there is nothing to defer and no garbage list: the only question is "may anybody
//! still look at this?", and it can be asked at any time. That is why this is not crossbeam-epoch, which runs a closure
//! some time later, keeps up to 64 of them per thread for as long as that thread is idle, and fences at every pin.

use std::marker::PhantomData;
use std::ptr;
// For the statistics, which models need not explore.
use tidelock_sync::unmodelled::{AtomicU8 as PlainU8, AtomicU64 as PlainU64};

use crossbeam_utils::CachePadded;
use tidelock_sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU64, Ordering, fence};
use tidelock_sync::{Mutex, barrier, known_thread_index, thread, thread_index, thread_index_bound};

use super::frame::FrameNo;
use super::pin::{self, PinSlot};
use super::unless;

/// Threads whose slots stand in the domain itself; more get their slots in segments that are allocated when needed.
const INLINE: usize = if cfg!(any(tidelock_loom, tidelock_shuttle)) { 4 } else { 32 };

/// Segment `k` has `INLINE << k` slots: enough segments for every number a thread can have.
const SEGMENTS: usize = 24;

/// Low bits of a slot's word that count nested guards; the epoch stands above.
const DEPTH_BITS: u32 = 16;
const DEPTH_MASK: u64 = EPOCH_UNIT - 1;

/// One epoch, in a slot's word.
const EPOCH_UNIT: u64 = 1 << DEPTH_BITS;

/// The thread's next guard begins with a fence: for now nobody need wait for it.
const ABSENT: u8 = 0;
/// Somebody is about to make the thread absent.
const LEAVING: u8 = 1;
/// The thread may be in a guard without anybody seeing that yet.
const PRESENT: u8 = 2;
/// Each of the thread's guards begins with a fence, so they are all seen: where the system grants no cheap barriers, and
/// where every lookup goes the long way.
const FENCING: u8 = 3;

/// One thread's own: its guard, the counters that every hit counts up, and its slotted pins. Written by that thread alone,
/// except that a pin may be given back from anywhere.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    /// `epoch << 16 | nested guards`. The epoch is that of the thread's last outermost guard, and stays when it ends.
    active: AtomicU64,
    /// [`ABSENT`] at first.
    presence: AtomicU8,
    /// Whether the thread is giving back what may be all that keeps this memory: see [`Domain::leave`].
    is_leaving: AtomicBool,
    /// Written in place of what need not be written, where a branch would cost more. Never read.
    pub(crate) nowhere: PlainU8,
    /// Lookups that found their block.
    pub(crate) hits: PlainU64,
    /// Lookups that did not.
    pub(crate) misses: PlainU64,
    pins: [PinSlot; pin::SLOTS],
}

const _: () = assert!(cfg!(any(tidelock_loom, tidelock_shuttle)) || size_of::<Slot>() <= 128);

impl Slot {
    /// A free place for a pin, for the slot's own thread.
    pub(crate) fn free_pin(&self) -> Option<&PinSlot> {
        self.pins.iter().find(|pin| pin.is_free())
    }

    /// A free place among the first two: who walks down a tree and holds the parent until it has the child never has more.
    #[inline(always)]
    fn near_free_pin(&self) -> Option<&PinSlot> {
        self.pins.iter().take(2).find(|pin| pin.is_free())
    }

    /// The pins that hold something now.
    pub(crate) fn held_pins(&self) -> impl Iterator<Item = (&PinSlot, FrameNo)> {
        self.pins.iter().filter_map(|pin| pin.holds().map(|frame| (pin, frame)))
    }

    /// Whether somebody is giving a pin back, of this thread or in one of its slots.
    fn has_leaver(&self) -> bool {
        // Acquire: pairs with the Release of the leaver's end: its last touch comes before the memory goes.
        self.is_leaving.load(Ordering::Acquire) || self.pins.iter().any(PinSlot::is_left)
    }

    /// Begins the outermost guard of this thread. Tells whether that was all: if not, it has to [come back](Self::come_back).
    #[inline(always)]
    fn show(&self, first_guard: u64) -> bool {
        // The light barrier orders it before this guard's lookups. Release: pairs with the Acquire in is_past(), which may
        // see this guard and not the end of the one before it, whose reads come before the reuse all the same.
        let release = unless(cfg!(tidelock_weaken = "next_guard_release"), Ordering::Release);
        self.active.store(first_guard, release);
        barrier::light();
        // Relaxed: E4; the barrier stands before it.
        self.presence.load(Ordering::Relaxed) == PRESENT
    }

    /// Whether this thread's guards cannot see any more what was stamped so. `is_seen`: its depth is what it seems to be.
    fn is_past(&self, stamp: Stamp, is_seen: bool) -> bool {
        // Acquire: pairs with the Release in come_back(): if it is back, the guard it came back with is seen below.
        let presence = self.presence.load(Ordering::Acquire);
        if presence == ABSENT {
            return true;
        }
        let is_seen = is_seen || presence == FENCING;
        // Acquire: pairs with the Release of a guard's begin and end: that thread's reads come before the reuse.
        let acquire = unless(cfg!(tidelock_weaken = "grace_acquire"), Ordering::Acquire);
        let active = self.active.load(acquire);
        let has_guard = active & DEPTH_MASK != 0 && !cfg!(tidelock_weaken = "depth_ignored");
        active & !DEPTH_MASK > stamp.0 || (is_seen && !has_guard)
    }

    /// The thread, which was absent or about to be or has to fence, has begun a guard.
    #[cold]
    fn come_back(&self, may_be_present: bool) {
        // Release: pairs with the Acquire in is_past(). A swap, and Acquire: it comes after whatever made the thread absent, and
        // ends that if it is under way.
        self.presence.swap(if may_be_present { PRESENT } else { FENCING }, Ordering::AcqRel);
        // SeqCst: pairs with the fence in stamp().
        if !cfg!(tidelock_weaken = "come_back_fence") {
            fence(Ordering::SeqCst);
        }
    }

    /// E4: the first look. The caller holds the domain's mutex, here and below.
    fn begin_leaving(&self) {
        // Relaxed, both: the heavy barrier comes after.
        if self.active.load(Ordering::Relaxed) & DEPTH_MASK == 0 {
            let _ = self.presence.compare_exchange(PRESENT, LEAVING, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// E4: the second look.
    fn end_leaving(&self) {
        // Acquire: pairs with the Release of the guard's end. Whoever relies on the absence gets it from there (Release below).
        let has_guard = self.active.load(Ordering::Acquire) & DEPTH_MASK != 0;
        let presence =
            if has_guard && !cfg!(tidelock_weaken = "dismissed_in_guard") { PRESENT } else { ABSENT };
        // Release: as said. Relaxed: it came back meanwhile, and is present.
        let _ = self.presence.compare_exchange(LEAVING, presence, Ordering::AcqRel, Ordering::Relaxed);
    }

    /// Counts one up.
    #[inline(always)]
    pub(crate) fn count(counter: &PlainU64) {
        Self::add(counter, 1);
    }

    /// Counts several up. Plain load and store: the slot has one writer.
    #[inline(always)]
    pub(crate) fn add(counter: &PlainU64, more: u64) {
        // Relaxed, both: a statistic, with one writer.
        counter.store(counter.load(Ordering::Relaxed) + more, Ordering::Relaxed);
    }
}

/// The threads that look into one cache, and the epoch.
#[derive(Debug)]
pub(crate) struct Domain {
    /// As the first guard of a thread that begins now writes it to its slot.
    first_guard: CachePadded<AtomicU64>,
    /// Stamps below this are expedited.
    expedited: AtomicU64,
    /// One at a time makes threads absent.
    dismissing: Mutex<()>,
    /// Whether the system grants cheap barriers, and lookups may go the simple way.
    may_be_present: bool,
    first: [CachePadded<Slot>; INLINE],
    /// Boxed slices of `INLINE << k` slots, null until a thread needs one.
    segments: [AtomicPtr<CachePadded<Slot>>; SEGMENTS],
}

impl Domain {
    /// `is_simple`: lookups may go the [simple way](Self::simple_guard). Where they may not, no thread is ever present, so that
    /// those who may need not ask.
    pub(crate) fn new(is_simple: bool) -> Self {
        Self {
            may_be_present: barrier::prepare() && is_simple,
            first_guard: CachePadded::new(AtomicU64::new(EPOCH_UNIT | 1)),
            expedited: AtomicU64::new(0),
            dismissing: Mutex::new(()),
            first: std::array::from_fn(|_| CachePadded::default()),
            segments: std::array::from_fn(|_| AtomicPtr::new(ptr::null_mut())),
        }
    }

    /// The calling thread's slot.
    #[inline(always)]
    pub(crate) fn slot(&self) -> &Slot {
        let index = thread_index();
        match self.first.get(index) {
            Some(slot) => slot,
            None => self.segment_slot(index),
        }
    }

    #[cold]
    fn segment_slot(&self, index: usize) -> &Slot {
        // Index INLINE is the first of segment 0, which has INLINE slots; 2 * INLINE the first of segment 1, and so on.
        let k = (index / INLINE).ilog2() as usize;
        let len = INLINE << k;
        let segment = &self.segments[k];
        // Acquire: pairs with the Release below; the slots are initialised.
        let mut start = segment.load(Ordering::Acquire);
        if start.is_null() {
            let made: Box<[CachePadded<Slot>]> = (0..len).map(|_| CachePadded::default()).collect();
            let made = Box::into_raw(made).cast();
            // Release: publishes the slots. Acquire: or those of whoever was first.
            match segment.compare_exchange(ptr::null_mut(), made, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => start = made,
                Err(theirs) => {
                    drop_segment(made, len);
                    start = theirs;
                }
            }
        }
        // SAFETY: `start` is the first of `len` slots, and `index` lies in `len..2 * len`.
        let slot = unsafe { start.add(index - len) };
        // SAFETY: segments live as long as the domain.
        unsafe { &*slot }
    }

    /// Every slot that a thread can have used so far.
    pub(crate) fn slots(&self) -> impl Iterator<Item = &Slot> {
        let bound = thread_index_bound();
        let grown = self.segments.iter().enumerate().flat_map(|(k, segment)| {
            // Acquire: pairs with the Release in segment_slot().
            let start = segment.load(Ordering::Acquire);
            let len = if start.is_null() { 0 } else { INLINE << k };
            (0..len).map(move |i| {
                // SAFETY: i < len, the number of slots in this segment.
                let slot = unsafe { start.add(i) };
                // SAFETY: segments live as long as the domain, which `self` borrows.
                let slot: &CachePadded<Slot> = unsafe { &*slot };
                &**slot
            })
        });
        self.first.iter().map(|slot| &**slot).chain(grown).take(bound)
    }

    /// Every slotted pin and the frame that it holds.
    pub(crate) fn held_pins(&self) -> impl Iterator<Item = (&PinSlot, FrameNo)> {
        self.slots().flat_map(Slot::held_pins)
    }

    /// Begins a guard. Nested ones only count.
    #[inline(always)]
    pub(crate) fn guard(&self) -> Guard<'_> {
        let slot = self.slot();
        // Relaxed: this thread's own word.
        let active = slot.active.load(Ordering::Relaxed);
        if active & DEPTH_MASK == 0 {
            if !slot.show(self.first_guard()) {
                slot.come_back(self.may_be_present);
            }
        } else {
            assert!(active & DEPTH_MASK < DEPTH_MASK, "E1: 65535 guards of one thread at once");
            // Release: the guard stands already; otherwise as in show().
            slot.active.store(active + 1, Ordering::Release);
        }
        Guard { slot, _of_one_thread: PhantomData }
    }

    /// As [`guard`](Self::guard), with a free place for a pin, if that is as simple as it mostly is: the outermost guard of a
    /// thread that is present and holds little else.
    ///
    /// Who has a way of its own for the other cases keeps the simple one free of calls, and so of saving and restoring
    /// registers around them: a fifth of a hit's instructions.
    #[inline(always)]
    pub(crate) fn simple_guard(&self) -> Option<(Guard<'_>, &PinSlot)> {
        let slot = &**self.first.get(known_thread_index()?)?;
        // Relaxed: this thread's own word.
        if slot.active.load(Ordering::Relaxed) & DEPTH_MASK != 0 {
            return None;
        }
        let pin = slot.near_free_pin()?;
        let is_present = slot.show(self.first_guard());
        let guard = Guard { slot, _of_one_thread: PhantomData };
        is_present.then_some((guard, pin))
    }

    #[inline(always)]
    fn first_guard(&self) -> u64 {
        // Acquire: pairs with the Release in stamp(): a guard that shows a later epoch sees the removal before it.
        self.first_guard.load(Ordering::Acquire)
    }

    /// Announces that the calling thread gives a counted pin back, which may be all that keeps the domain's owner alive, and
    /// touches it a little longer: until the announcement ends, [`wait_for_leavers`](Self::wait_for_leavers) waits. Does not
    /// nest.
    #[inline(always)]
    pub(crate) fn leave(&self) -> Leaving<'_> {
        let slot = self.slot();
        // Relaxed: published by the Release with which the caller gives its pin back.
        slot.is_leaving.store(true, Ordering::Relaxed);
        Leaving { slot, _of_one_thread: PhantomData }
    }

    /// Waits until nobody who gave a pin back before touches this any more: a few instructions, or as long as such a thread
    /// is kept from running.
    pub(crate) fn wait_for_leavers(&self) {
        for slot in self.slots() {
            while slot.has_leaver() && !cfg!(tidelock_weaken = "forget_leavers") {
                thread::yield_now();
            }
        }
    }

    /// Stamps what the caller has removed from the table so far.
    pub(crate) fn stamp(&self) -> Stamp {
        // SeqCst: pairs with the fence in come_back(): whoever was absent finds the removal, or is found to be back.
        if !cfg!(tidelock_weaken = "stamp_fence") {
            fence(Ordering::SeqCst);
        }
        // Release: pairs with the Acquire in guard().
        Stamp(self.first_guard.fetch_add(EPOCH_UNIT, Ordering::AcqRel))
    }

    /// Sees to it that threads which do nothing do not hold up what was stamped before.
    pub(crate) fn expedite(&self) {
        // Acquire: what was stamped below this is removed.
        let upto = self.first_guard();
        // Whoever else is at it makes them absent.
        let dismissing = self.dismissing.try_lock();
        if dismissing.is_ok() {
            self.slots().for_each(Slot::begin_leaving);
        }
        if !cfg!(tidelock_weaken = "dismissed_unseen") {
            barrier::heavy();
        }
        if dismissing.is_ok() {
            self.slots().for_each(Slot::end_leaving);
        }
        // Release: pairs with the Acquire in is_expedited(): whoever relies on it looks at the slots after the barrier.
        self.expedited.fetch_max(upto, Ordering::Release);
    }

    /// Whether expediting would be in vain: it was done since the stamp.
    pub(crate) fn is_expedited(&self, stamp: Stamp) -> bool {
        // Acquire: pairs with the Release in expedite().
        self.expedited.load(Ordering::Acquire) > stamp.0
    }

    /// Whether nobody can see any more what was stamped so.
    pub(crate) fn is_clear(&self, stamp: Stamp) -> bool {
        if cfg!(tidelock_weaken = "no_grace") {
            return true;
        }
        let is_expedited = self.is_expedited(stamp);
        let mine = ptr::from_ref(self.slot());
        // A thread knows its own guard without barriers.
        self.slots().all(|slot| slot.is_past(stamp, is_expedited || ptr::eq(slot, mine)))
    }
}

fn drop_segment(start: *mut CachePadded<Slot>, len: usize) {
    let slots = ptr::slice_from_raw_parts_mut(start, len);
    // SAFETY: made by Box::into_raw from a slice of this length, and dropped once.
    drop(unsafe { Box::from_raw(slots) });
}

impl Drop for Domain {
    fn drop(&mut self) {
        for (k, segment) in self.segments.iter().enumerate() {
            // Relaxed: `&mut self` is proof that nobody else is here.
            let start = segment.load(Ordering::Relaxed);
            if !start.is_null() {
                drop_segment(start, INLINE << k);
            }
        }
    }
}

/// When something was removed: what [`Domain::first_guard`] was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stamp(u64);

/// While it lives, nothing that its thread can find is reused.
#[derive(Debug)]
pub(crate) struct Guard<'a> {
    slot: &'a Slot,
    /// The slot belongs to the thread that began the guard.
    _of_one_thread: PhantomData<*mut ()>,
}

/// That there is a guard, for functions that need it and not the guard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guarded<'g>(PhantomData<&'g ()>);

impl Guard<'_> {
    /// The thread's own line.
    #[inline(always)]
    pub(crate) fn slot(&self) -> &Slot {
        self.slot
    }

    /// Costs nothing to pass on, so that the guard itself can stay in registers.
    #[inline(always)]
    pub(crate) fn proof(&self) -> Guarded<'_> {
        Guarded(PhantomData)
    }
}

/// While it lives, the domain's owner is not freed.
#[derive(Debug)]
pub(crate) struct Leaving<'a> {
    slot: &'a Slot,
    /// As with a guard.
    _of_one_thread: PhantomData<*mut ()>,
}

impl Drop for Leaving<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        // Release: pairs with the Acquire in wait_for_leavers(). Nothing is touched after this.
        let release = unless(cfg!(tidelock_weaken = "leave_release"), Ordering::Release);
        self.slot.is_leaving.store(false, release);
    }
}

impl Drop for Guard<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        // Relaxed: this thread's own word.
        let active = self.slot.active.load(Ordering::Relaxed);
        let rest = if cfg!(tidelock_weaken = "guard_ends_early") { active & !DEPTH_MASK } else { active - 1 };
        // Release: pairs with the Acquire in is_clear(): what this guard read was read before the reuse.
        let release = unless(cfg!(tidelock_weaken = "guard_release"), Ordering::Release);
        self.slot.active.store(rest, release);
    }
}
