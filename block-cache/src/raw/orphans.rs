//! Giving back the last pins, and what becomes of a cache whose last handle is gone while blocks of it are out (B8).
//!
//! It is *abandoned*: every frame with counted pins is marked as an orphan, held slots are noted, and the memory is kept by a
//! reference in itself. Whoever gives back the last pin gets that reference and drops it when nothing here is touched any
//! more.

use std::any::Any;
use std::collections::{HashMap, HashSet};
use std::ptr;

use tidelock_sync::atomic::{AtomicU8, Ordering, fence};
use tidelock_sync::{Mutex, MutexGuard, barrier};

use super::core::Core;
use super::frame::FrameNo;
use super::lock;
use super::pin::{Pin, PinSlot};
use super::state::Orphaned;

/// What the sweep over a cache that was abandoned counts for, next to the frames that it finds held.
const SWEEP: usize = if cfg!(tidelock_weaken = "sweep_uncounted") { 0 } else { 1 };

/// Nothing to look at.
const NONE: u8 = 0;
/// The system grants no cheap barriers.
const FENCE: u8 = 1;
/// The cache was abandoned.
const ABANDONED: u8 = 2;

/// What keeps the memory of a closed cache while blocks of it are still held. Given out with the last of them; whoever gets
/// it drops it when it does not touch the cache any more.
pub(crate) type KeepAlive = std::sync::Arc<dyn Any + Send + Sync>;

/// What is still held of a cache whose last handle is gone.
#[derive(Default)]
struct Orphans {
    /// Frames with counted pins, and slotted pins.
    left: usize,
    /// The addresses of the slots that count.
    slots: HashSet<usize>,
    keep_alive: Option<KeepAlive>,
}

impl std::fmt::Debug for Orphans {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} orphans", self.left)
    }
}

/// What a core knows of its end.
#[derive(Debug)]
pub(crate) struct Orphanage {
    /// What whoever gives back a slotted pin has to look at.
    attention: AtomicU8,
    orphans: Mutex<Orphans>,
}

impl Orphanage {
    pub(super) fn new() -> Self {
        let attention = if barrier::prepare() { NONE } else { FENCE };
        Self { attention: AtomicU8::new(attention), orphans: Mutex::default() }
    }
}

impl Core {
    /// Gives a block's pin back, which may be all that keeps this core alive (B8), if that is as simple as it mostly is. If
    /// not, [`finish_leaving`](Self::finish_leaving) has to do the rest. Others may retire the frame, abandon the cache and
    /// free it as soon as the pin is gone, but not before this has ended.
    #[inline(always)]
    pub(crate) fn leave_simply(&self, pin: Pin) -> bool {
        let Some(slot) = pin.slot() else { return false };
        slot.leave();
        barrier::light();
        // Relaxed: ordered by the barriers, see abandon().
        let may_leave = self.orphanage.attention.load(Ordering::Relaxed) == NONE;
        if may_leave {
            slot.vacate();
        }
        may_leave
    }

    /// The rest of [`leave_simply`](Self::leave_simply).
    pub(crate) fn finish_leaving(&self, frame: FrameNo, pin: Pin) -> Option<KeepAlive> {
        match pin.slot() {
            Some(slot) => self.leave_slot(slot),
            None => {
                let leaving = self.domain.leave();
                let keep_alive = self.unpin(frame);
                drop(leaving);
                keep_alive
            }
        }
    }

    /// The end of a slotted pin that was left, for an abandoned cache, and where there are no cheap barriers.
    fn leave_slot(&self, slot: &PinSlot) -> Option<KeepAlive> {
        // SeqCst: the barrier, where the system grants none.
        fence(Ordering::SeqCst);
        // Relaxed: as above.
        let is_abandoned = self.orphanage.attention.load(Ordering::Relaxed) == ABANDONED;
        let keep_alive = if is_abandoned { self.release_orphan(slot) } else { None };
        slot.vacate();
        keep_alive
    }

    /// Takes every block out of sight. No claim succeeds any more when this is called.
    ///
    /// Each is looked up by the name that stands in its frame, as any block is. A frame that is not entered is nobody's
    /// business here: its owner may be about to enter it, and sees then that the cache was closed; or has found another there,
    /// and makes it free again without looking for pins.
    pub(crate) fn hide_all(&self) {
        for index in 0..self.pool.used() {
            let named = self.frames.number(index);
            let blkno = self.header(named).blkno();
            let is_looked_up = !cfg!(tidelock_weaken = "hide_unentered");
            let found = if is_looked_up { self.pin_block(blkno) } else { self.try_pin(named, blkno) };
            if let Some(frame) = found {
                // B5: as every other removal, so that a frame that is used again after this stands nowhere.
                self.remove(frame);
                self.let_go(frame);
            }
        }
    }

    /// Every frame that somebody holds, and how many references there are to it. What others do meanwhile may be missed.
    pub(crate) fn held(&self) -> Vec<(FrameNo, u64)> {
        let mut slotted = HashMap::<FrameNo, u64>::new();
        self.domain.held_pins().for_each(|(_, frame)| *slotted.entry(frame).or_default() += 1);
        let frames = (0..self.pool.used()).map(|index| self.frames.number(index));
        frames
            .map(|frame| {
                let counted = self.header(frame).state.load().pins();
                (frame, counted + slotted.get(&frame).copied().unwrap_or(0))
            })
            .filter(|(_, references)| *references > 0)
            .collect()
    }

    /// The last handle is gone, so nobody looks anything up any more: keeps `keep_alive` until the last frame that is still
    /// held is let go.
    pub(crate) fn abandon(&self, keep_alive: KeepAlive) {
        // E2 for slots: a slotted pin is given back by a plain store. Either its holder sees that the cache was abandoned
        // (a light barrier after that store), or the look at the slots below sees the store (a heavy one before it).
        // SeqCst: cold.
        self.orphanage.attention.store(ABANDONED, Ordering::SeqCst);
        barrier::heavy();
        let mut orphans = self.orphans();
        orphans.keep_alive = Some(keep_alive);
        orphans.slots = self.domain.held_pins().map(|(slot, _)| ptr::from_ref(slot) as usize).collect();
        // One more until the sweep is over, so that the count does not run out too early.
        let slotted = if cfg!(tidelock_weaken = "slots_uncounted") { 0 } else { orphans.slots.len() };
        orphans.left = slotted + SWEEP;
        drop(orphans);
        for index in 0..self.pool.used() {
            // Counted before it is marked, for the same reason.
            self.orphans().left += 1;
            match self.header(self.frames.number(index)).state.orphan() {
                Orphaned::Held(_) => {}
                Orphaned::Empty => drop(self.count_orphan_out()),
            }
        }
        if SWEEP > 0 {
            drop(self.count_orphan_out());
        }
    }

    /// A slotted pin was given back. What an abandoned cache has to do then.
    fn release_orphan(&self, slot: &PinSlot) -> Option<KeepAlive> {
        let was_counted = self.orphans().slots.remove(&(ptr::from_ref(slot) as usize));
        if was_counted { self.count_orphan_out() } else { None }
    }

    fn orphans(&self) -> MutexGuard<'_, Orphans> {
        lock(&self.orphanage.orphans)
    }

    /// One orphan less. With the last one goes what kept the memory.
    pub(super) fn count_orphan_out(&self) -> Option<KeepAlive> {
        let mut orphans = self.orphans();
        orphans.left -= 1;
        if orphans.left == 0 { orphans.keep_alive.take() } else { None }
    }
}
