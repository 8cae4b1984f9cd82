//! Grace periods: when is a frame that left the table certainly out of every lookup's sight?
//!
//! Each thread has a slot of its own in the [`Domain`]. A [`Guard`] writes the current epoch there and clears it on drop:
//! two plain stores to the thread's own cache line, no fence ([`barrier::light`]). Whoever retires frames collects them
//! in batches, and per batch calls [`barrier::heavy`] once, takes a stamp and moves the epoch on. The batch may be reused
//! when no slot shows an epoch at or below its stamp.
//!
//! **E1** A guard that began before a batch was stamped either shows an epoch at or below the stamp, or began its lookups
//! after the batch had left the table. *Why:* the slot's store and the table's loads have a light barrier between them,
//! the table's stores and the scan of the slots a heavy one; one side sees the other. A slot that shows a later epoch
//! read it from the increment, which came after the removal.
//!
//! Frames are recycled, never freed, so there is nothing to defer and no garbage list: the only question is "may anybody
//! still look at this?", and it can be asked at any time. That is why this is not crossbeam-epoch, which runs a closure
//! some time later, keeps up to 64 of them per thread for as long as that thread is idle, and fences at every pin.

use std::marker::PhantomData;
use std::ptr;
// For the statistics, which models need not explore.
use tidelock_sync::unmodelled::AtomicU64 as PlainU64;

use crossbeam_utils::CachePadded;
use tidelock_sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
use tidelock_sync::{barrier, thread, thread_index, thread_index_bound};

use super::frame::FrameNo;
use super::pin::{self, PinSlot};
use super::unless;

/// Threads whose slots stand in the domain itself; more get their slots in segments that are allocated when needed.
const INLINE: usize = if cfg!(any(tidelock_loom, tidelock_shuttle)) { 4 } else { 32 };

/// Segment `k` has `INLINE << k` slots: enough segments for every number a thread can have.
const SEGMENTS: usize = 24;

/// Low bits of a slot's word that count nested guards; the epoch stands above.
const DEPTH_BITS: u32 = 16;
const DEPTH_MASK: u64 = (1 << DEPTH_BITS) - 1;

/// One thread's own: its guard, the counters that every hit counts up, and its slotted pins. Written by that thread alone,
/// except that a pin may be given back from anywhere.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    /// `epoch << 16 | nested guards`; 0 when the thread has no guard.
    active: AtomicU64,
    /// Whether the thread is giving back what may be all that keeps this memory: see [`Domain::leave`].
    is_leaving: AtomicBool,
    /// Lookups that found their block.
    pub(crate) hits: PlainU64,
    /// Lookups that did not.
    pub(crate) misses: PlainU64,
    pins: [PinSlot; pin::SLOTS],
}

const _: () = assert!(cfg!(any(tidelock_loom, tidelock_shuttle)) || size_of::<Slot>() <= 128);

impl Slot {
    /// A free place for a pin, for the slot's own thread.
    #[inline(always)]
    pub(crate) fn free_pin(&self) -> Option<&PinSlot> {
        let first = &self.pins[0];
        if first.is_free() { Some(first) } else { self.further_free_pin() }
    }

    #[cold]
    fn further_free_pin(&self) -> Option<&PinSlot> {
        self.pins.iter().find(|pin| pin.is_free())
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

    /// Counts one up. Plain load and store: the slot has one writer.
    #[inline(always)]
    pub(crate) fn count(counter: &PlainU64) {
        // Relaxed, both: a statistic, with one writer.
        counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }
}

/// The threads that look into one cache, and the epoch.
#[derive(Debug)]
pub(crate) struct Domain {
    epoch: CachePadded<AtomicU64>,
    first: [CachePadded<Slot>; INLINE],
    /// Boxed slices of `INLINE << k` slots, null until a thread needs one.
    segments: [AtomicPtr<CachePadded<Slot>>; SEGMENTS],
}

impl Domain {
    pub(crate) fn new() -> Self {
        barrier::prepare();
        Self {
            // 1: an active slot is never 0.
            epoch: CachePadded::new(AtomicU64::new(1)),
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
        if active == 0 {
            // Acquire: pairs with the Release in stamp(): a guard that shows a later epoch sees the removal before it.
            let epoch = self.epoch.load(Ordering::Acquire);
            // The light barrier orders it before this guard's lookups. Release: pairs with the Acquire in is_clear(), which
            // may see this guard and not the end of the one before it, whose reads come before the reuse all the same.
            let release = unless(cfg!(tidelock_weaken = "next_guard_release"), Ordering::Release);
            slot.active.store((epoch << DEPTH_BITS) | 1, release);
            barrier::light();
        } else {
            assert!(active & DEPTH_MASK < DEPTH_MASK, "E1: 65535 guards of one thread at once");
            // Release: the guard stands already; otherwise as above.
            slot.active.store(active + 1, Ordering::Release);
        }
        Guard { slot, _of_one_thread: PhantomData }
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
        barrier::heavy();
        // Release: pairs with the Acquire in guard().
        Stamp(self.epoch.fetch_add(1, Ordering::AcqRel))
    }

    /// Whether nobody can see any more what was stamped so.
    pub(crate) fn is_clear(&self, stamp: Stamp) -> bool {
        if cfg!(tidelock_weaken = "no_grace") {
            return true;
        }
        self.slots().all(|slot| {
            // Acquire: pairs with the Release of the guard's drop: that thread's reads come before the reuse.
            let acquire = unless(cfg!(tidelock_weaken = "grace_acquire"), Ordering::Acquire);
            let active = slot.active.load(acquire);
            active == 0 || active >> DEPTH_BITS > stamp.0
        })
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

/// When something was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stamp(u64);

/// While it lives, nothing that its thread can find is reused.
#[derive(Debug)]
pub(crate) struct Guard<'a> {
    slot: &'a Slot,
    /// The slot belongs to the thread that began the guard.
    _of_one_thread: PhantomData<*mut ()>,
}

impl Guard<'_> {
    /// The thread's own line.
    #[inline(always)]
    pub(crate) fn slot(&self) -> &Slot {
        self.slot
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
        let is_last = active & DEPTH_MASK == 1 || cfg!(tidelock_weaken = "guard_ends_early");
        let rest = if is_last { 0 } else { active - 1 };
        // Release: pairs with the Acquire in is_clear(): what this guard read was read before the reuse.
        let release = unless(cfg!(tidelock_weaken = "guard_release"), Ordering::Release);
        self.slot.active.store(rest, release);
    }
}
