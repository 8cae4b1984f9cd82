//! A frame that was taken for a new image and is in no table yet.

use crate::raw::core::Core;
use crate::raw::frame::FrameNo;

/// Owns a frame. Unless the frame is [entered](Taken::into_frame), it goes back by itself, whatever happens to whoever
/// fills it: an error, or a panic in code that the cache was given.
#[derive(Debug)]
pub(crate) struct Taken<'a> {
    core: &'a Core,
    frame: FrameNo,
}

impl<'a> Taken<'a> {
    /// `frame` is owned by the caller and in no table.
    pub(crate) fn new(core: &'a Core, frame: FrameNo) -> Self {
        Self { core, frame }
    }

    /// Its bytes, whatever they held before.
    pub(crate) fn image_mut(&mut self) -> &mut [u8] {
        // SAFETY: F4: the frame is owned and in no table, and `self` is borrowed for as long as the bytes are.
        unsafe { self.core.frames.image_mut(self.frame) }
    }

    /// Hands the frame on to whoever enters it.
    pub(crate) fn into_frame(self) -> FrameNo {
        let frame = self.frame;
        std::mem::forget(self);
        frame
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.core.give_back(self.frame);
    }
}
