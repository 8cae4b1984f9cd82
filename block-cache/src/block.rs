//! A block that somebody holds.

use std::fmt;
use std::ops::Deref;
use std::panic::Location;
use std::ptr::NonNull;

use tidelock_format::{BlockRef, Magic};

use crate::raw::frame::FrameNo;
use crate::raw::pin::Pin;
use crate::references::Ticket;
use crate::shared::Shared;

/// A counted reference to an immutable, verified image. May be held for ever and anywhere: while it lives, the bytes stay.
///
/// The first blocks that a thread holds cost it a store to its own memory each; further ones, and clones, an atomic addition
/// on the block's own cache line. Nothing is shared between different blocks.
pub struct Block {
    shared: NonNull<Shared>,
    pin: Pin,
    frame: FrameNo,
    ticket: Ticket,
}

// SAFETY: the bytes are immutable while the pin lasts (B2), and the pin can be given back from any thread.
unsafe impl Send for Block {}
// SAFETY: as above; a shared `Block` only reads.
unsafe impl Sync for Block {}

impl Block {
    /// Makes a block of a pin that the caller has on a clean frame.
    #[inline(always)]
    pub(crate) fn from_pin(
        shared: &Shared,
        frame: FrameNo,
        pin: Pin,
        site: &'static Location<'static>,
    ) -> Self {
        let ticket = match pin {
            Pin::Counted => shared.references.note(frame, site),
            // Never noted: see pin_image().
            Pin::Slotted(_) => Ticket::NONE,
        };
        Self { shared: NonNull::from(shared), pin, frame, ticket }
    }

    #[inline(always)]
    fn shared(&self) -> &Shared {
        // SAFETY: B8: a cache's memory lives as long as a frame of it is pinned (`Core::abandon`), and this is a pin.
        unsafe { self.shared.as_ref() }
    }

    /// The reference that this image satisfies.
    #[inline(always)]
    pub fn block_ref(&self) -> BlockRef {
        self.shared().core.header(self.frame).block_ref()
    }

    /// The kind of block.
    pub fn magic(&self) -> Magic {
        self.shared().core.header(self.frame).magic()
    }
}

impl Deref for Block {
    type Target = [u8];

    /// The whole image, header included.
    #[inline(always)]
    fn deref(&self) -> &[u8] {
        self.shared().core.frames.image(self.frame)
    }
}

impl Clone for Block {
    #[track_caller]
    fn clone(&self) -> Self {
        // The phase does not matter: this pin keeps the image, even when lookups cannot find it any more. Counted, not
        // slotted: E2.
        self.shared().core.header(self.frame).state.pin();
        Self::from_pin(self.shared(), self.frame, Pin::Counted, Location::caller())
    }
}

impl Drop for Block {
    #[inline(always)]
    fn drop(&mut self) {
        if !self.shared().core.leave_simply(self.pin) {
            finish_dropping(self.shared, self.frame, self.pin, self.ticket);
        }
    }
}

/// What dropping a block comes to for a counted pin, and in an abandoned cache. Takes its fields one by one, so that a block
/// which is dropped the simple way can live in registers.
#[cold]
#[inline(never)]
fn finish_dropping(shared: NonNull<Shared>, frame: FrameNo, pin: Pin, ticket: Ticket) {
    // SAFETY: B8, up to the end of finish_leaving().
    let shared = unsafe { shared.as_ref() };
    shared.references.forget(ticket);
    // The last block of an abandoned cache: its memory goes now that nothing here refers to it any more.
    let keep_alive = shared.core.finish_leaving(frame, pin);
    drop(keep_alive);
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Block({}, {})", self.block_ref(), self.magic())
    }
}
