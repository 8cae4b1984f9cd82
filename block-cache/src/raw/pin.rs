//! The two kinds of references to a frame.
//!
//! A *counted* pin is one more in the frame's state word: an atomic addition on a line that every reader of that block
//! writes. A *slotted* pin is the frame's number in a slot of the thread that looked it up: a plain store to a line that
//! no other thread writes. It costs next to nothing, and a hot block's readers do not disturb each other. The idea is that
//! of hazard pointers (Michael, 2004), in the time of a guard.
//!
//! Each thread has a few slots; who needs more gets counted pins, and so does every clone.
//!
//! - **E2** A slot is filled under a guard that saw the frame present. So once a frame is hidden and the guards of that
//!   time are gone (E1), no slot can begin to name it: who then looks at all slots, and after them at the count, knows
//!   whether it is held. (In this order: a clone counts up before its original can leave its slot.)
//! - **E3** A frame that is found held then *lingers*: it is out of the index, its bytes stay, and it is looked at again
//!   later. Eviction passes over slotted frames as far as it knows of them, so lingering is rare.

use std::ptr::NonNull;

use tidelock_sync::atomic::{AtomicU32, Ordering};

use super::frame::{Entry, FrameNo};
use super::unless;

/// Slots of a thread.
pub(crate) const SLOTS: usize = if cfg!(any(tidelock_loom, tidelock_shuttle)) { 1 } else { 24 };

/// In place of a frame's number: nothing is held any more, but whoever held it has not left yet.
const LEFT: u32 = u32::MAX;

/// A place for one slotted pin: a frame's number, [`LEFT`], or 0 when free.
#[derive(Debug, Default)]
#[repr(transparent)]
pub(crate) struct PinSlot(AtomicU32);

impl PinSlot {
    /// The frame that is held here.
    #[inline(always)]
    pub(crate) fn holds(&self) -> Option<FrameNo> {
        // Acquire: pairs with the Release of leave(): whoever sees the frame gone comes after the last read of the bytes.
        let acquire = unless(cfg!(tidelock_weaken = "holds_acquire"), Ordering::Acquire);
        match self.0.load(acquire) {
            LEFT => None,
            held => Entry::from_raw(held).frame(),
        }
    }

    /// Holds `frame`. Only the slot's own thread fills it, when it is free.
    #[inline(always)]
    pub(crate) fn hold(&self, frame: FrameNo) {
        // Release: whoever sees this number, and not the one before, comes after that one's end.
        self.0.store(frame.entry().raw(), Ordering::Release);
    }

    /// Lets go. Any thread may. The slot itself is used a little longer, up to [`vacate`](Self::vacate), and the memory stays
    /// until then.
    #[inline(always)]
    pub(crate) fn leave(&self) {
        // Release: pairs with the Acquire of holds(): this reader's reads come before the reuse.
        self.0.store(if cfg!(tidelock_weaken = "vacate_early") { 0 } else { LEFT }, Ordering::Release);
    }

    /// The end of a pin that was left. Nothing is touched after this.
    #[inline(always)]
    pub(crate) fn vacate(&self) {
        // Release: pairs with the Acquire of is_left().
        self.0.store(0, Ordering::Release);
    }

    /// Whether a new pin may stand here.
    #[inline(always)]
    pub(crate) fn is_free(&self) -> bool {
        // Acquire: pairs with the Release of vacate(), so that what its leaver stored comes before the next pin.
        self.0.load(Ordering::Acquire) == 0
    }

    /// Whether somebody is giving back the pin that stood here.
    pub(crate) fn is_left(&self) -> bool {
        // Acquire: pairs with the Release of vacate(): the leaver's last touch comes before the memory goes.
        self.0.load(Ordering::Acquire) == LEFT
    }
}

/// A reference to a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pin {
    /// One in the frame's state word.
    Counted,
    /// In a thread's slot, which lives as long as the cache's memory.
    Slotted(NonNull<PinSlot>),
}

impl Pin {
    /// The slot of a slotted pin.
    #[inline(always)]
    pub(crate) fn slot(&self) -> Option<&PinSlot> {
        match self {
            Pin::Counted => None,
            // SAFETY: slots live in the domain, and that as long as any frame is held (B8); this pin holds one.
            Pin::Slotted(slot) => Some(unsafe { slot.as_ref() }),
        }
    }
}
