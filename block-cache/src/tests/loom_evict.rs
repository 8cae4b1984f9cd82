//! Lookup and evict: a reader that got a pin keeps its bytes, one that did not reads nothing (B4, B5).

use tidelock_sync::{model, thread};

use super::model::{check, check_and_let_go, core, image, let_go, pin, put, write};
use crate::raw::core::Purpose;
use crate::raw::pin::Pin;

#[test]
fn loom_evict_leaves_a_pinned_block_alone() {
    model(|| {
        let core = core(1);
        let (old, new) = (image(1, 1), image(2, 2));
        put(&core, old);
        let reader = thread::spawn({
            let core = core.clone();
            move || {
                if let Some(pin) = pin(&core, old) {
                    check_and_let_go(&core, pin, old);
                }
            }
        });
        // Takes the only frame, if the reader lets it.
        if let Ok(frame) = core.take_frame(Purpose::Read) {
            write(&core, frame, new);
        }
        reader.join().unwrap();
    });
}

#[test]
fn loom_evict_leaves_a_counted_block_alone() {
    model(|| {
        let core = core(1);
        let (old, new) = (image(1, 1), image(2, 2));
        put(&core, old);
        let reader = thread::spawn({
            let core = core.clone();
            move || {
                if let Some(frame) = core.pin_block(old.blkno) {
                    check(&core, frame, old);
                    check(&core, frame, old);
                    core.let_go(frame);
                }
            }
        });
        if let Ok(frame) = core.take_frame(Purpose::Read) {
            write(&core, frame, new);
        }
        reader.join().unwrap();
    });
}

/// A clone counts up before the slot of its original is left: whoever looks at the slot and then at the count sees one of
/// them (E2).
#[test]
fn loom_evict_leaves_a_clone_alone() {
    model(|| {
        let core = core(1);
        let (old, new) = (image(1, 1), image(2, 2));
        put(&core, old);
        let reader = thread::spawn({
            let core = core.clone();
            move || {
                if let Some((frame, original)) = pin(&core, old) {
                    core.header(frame).state.pin();
                    drop(let_go(&core, frame, original));
                    check_and_let_go(&core, (frame, Pin::Counted), old);
                }
            }
        });
        if let Ok(frame) = core.take_frame(Purpose::Read) {
            write(&core, frame, new);
        }
        reader.join().unwrap();
    });
}
