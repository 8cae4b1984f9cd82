//! What models are made of: a core of a few frames, and images whose every byte tells which image they are.

use ahash::RandomState;
use tidelock_format::{BlockNo, BlockRef, BlockSize, Magic, Seq};
use tidelock_sync::Arc;

use crate::budget::Charge;
use crate::raw::core::{Core, NotSimple, Plan, Purpose};
use crate::raw::epoch::Guard;
use crate::raw::frame::FrameNo;
use crate::raw::orphans::KeepAlive;
use crate::raw::pages::Pages;
use crate::raw::pin::Pin;

pub(crate) const MAGIC: Magic = Magic(0x4c4f_434b);

/// Image `seq` of block `blkno`.
pub(crate) fn image(blkno: u64, seq: u64) -> BlockRef {
    BlockRef::new(BlockNo(blkno), Seq(seq))
}

/// A core of `frames` frames and a table of one bucket.
pub(crate) fn core(frames: usize) -> Arc<Core> {
    Arc::new(bare_core(frames))
}

/// The same, for a model that shares it in its own way.
pub(crate) fn bare_core(frames: usize) -> Core {
    let plan = Plan {
        size: BlockSize::MIN,
        pages: Pages::Small,
        capacity: frames,
        capacity_max: frames,
        reserve: 0,
        expected: 1,
        is_noted: false,
    };
    let core = Core::new(plan, RandomState::with_seeds(1, 2, 3, 4), Charge::default());
    core.expect("a model takes its memory from the heap")
}

/// Writes the bytes of `image` into a frame that the caller owns, or is filling, or has dirty.
pub(crate) fn write(core: &Core, frame: FrameNo, image: BlockRef) {
    // SAFETY: F4 is what the models test; an access that breaks it is found by the cell.
    let into = unsafe { core.frames.image_mut(frame) };
    into[..16].copy_from_slice(&bytes(image));
}

/// Checks the bytes of a frame that the caller may read.
pub(crate) fn check(core: &Core, frame: FrameNo, image: BlockRef) {
    assert_eq!(core.frames.image(frame)[..16], bytes(image), "the bytes of another image");
}

fn bytes(image: BlockRef) -> [u8; 16] {
    (u128::from(image.blkno.0) << 64 | u128::from(image.seq.0)).to_le_bytes()
}

/// Enters a clean image that nobody holds.
pub(crate) fn put(core: &Core, image: BlockRef) -> FrameNo {
    let frame = core.take_frame(Purpose::Read).expect("the model has a frame to spare");
    write(core, frame, image);
    core.enter_image(frame, image, MAGIC).expect("the block is not cached");
    core.let_go(frame);
    frame
}

/// Finds an image and reads it twice: as soon as it was found, and before its guard ends.
pub(crate) fn peek(core: &Core, guard: &Guard<'_>, image: BlockRef) -> Option<FrameNo> {
    let frame = core.find_image(guard, image, MAGIC)?;
    check(core, frame, image);
    check(core, frame, image);
    Some(frame)
}

/// Pins an image as a hit does: in the thread's slot, or when that is taken, by counting.
pub(crate) fn pin(core: &Core, image: BlockRef) -> Option<(FrameNo, Pin)> {
    core.pin_image_simply(image, MAGIC).unwrap_or_else(|NotSimple| core.pin_image(image, MAGIC, false))
}

/// Reads an image that was pinned, twice, and lets go of it as a block does.
pub(crate) fn check_and_let_go(core: &Core, (frame, pin): (FrameNo, Pin), image: BlockRef) {
    check(core, frame, image);
    check(core, frame, image);
    drop(let_go(core, frame, pin));
}

/// Lets go of a pin as a block does when it is dropped.
pub(crate) fn let_go(core: &Core, frame: FrameNo, pin: Pin) -> Option<KeepAlive> {
    if core.leave_simply(pin) { None } else { core.finish_leaving(frame, pin) }
}
