//! Replacing a block: whoever reads the old image keeps it, whoever finds the new one finds all of it (B2, B3, S-27).
//!
//! Where a reader could be hurt in the middle of its reading, it is the model's first thread: loom then tries that first.

use tidelock_sync::{model, thread};

use super::model::{MAGIC, check_and_let_go, core, image, peek, pin, put, write};
use crate::raw::core::{Core, Purpose};
use crate::raw::state::Phase;

/// Puts image 2 of block 1 in place of image 1, writes it, and then wants the old frame for block 2.
fn replace_and_reuse(core: &Core) {
    let new = image(1, 2);
    let frame = core.take_frame(Purpose::Write).expect("there are two frames");
    write(core, frame, new);
    core.enter_dirty(frame, new, MAGIC).expect("it is not dirty yet");
    // The writer changes its image until it writes it.
    write(core, frame, new);
    core.settle_written(frame);
    if let Ok(frame) = core.take_frame(Purpose::Read) {
        write(core, frame, image(2, 3));
    }
}

#[test]
fn loom_replace_leaves_a_guarded_reader_its_image() {
    model(|| {
        let core = core(2);
        put(&core, image(1, 1));
        let writer = thread::spawn({
            let core = core.clone();
            move || replace_and_reuse(&core)
        });
        let guard = core.domain.guard();
        peek(&core, &guard, image(1, 1));
        drop(guard);
        writer.join().unwrap();
    });
}

#[test]
fn loom_replace_leaves_a_pinned_reader_its_image() {
    model(|| {
        let core = core(2);
        put(&core, image(1, 1));
        let writer = thread::spawn({
            let core = core.clone();
            move || replace_and_reuse(&core)
        });
        if let Some(pin) = pin(&core, image(1, 1)) {
            check_and_let_go(&core, pin, image(1, 1));
        }
        writer.join().unwrap();
    });
}

#[test]
fn loom_replace_shows_the_new_image_complete_or_not_at_all() {
    model(|| {
        let core = core(2);
        put(&core, image(1, 1));
        let reader = thread::spawn({
            let core = core.clone();
            move || {
                let guard = core.domain.guard();
                peek(&core, &guard, image(1, 2));
            }
        });
        let frame = core.take_frame(Purpose::Write).expect("there are two frames");
        write(&core, frame, image(1, 2));
        core.enter_dirty(frame, image(1, 2), MAGIC).expect("it is not dirty yet");
        write(&core, frame, image(1, 2));
        core.settle_written(frame);
        reader.join().unwrap();
        let guard = core.domain.guard();
        assert!(peek(&core, &guard, image(1, 2)).is_some());
        assert!(peek(&core, &guard, image(1, 1)).is_none(), "B1: two images of one block");
    });
}

#[test]
fn loom_replace_of_one_block_by_two_writers_succeeds_once() {
    model(|| {
        let core = core(3);
        put(&core, image(1, 1));
        let enter = |core: &Core, seq| {
            let frame = core.take_frame(Purpose::Write).expect("there are three frames");
            let entered = core.enter_dirty(frame, image(1, seq), MAGIC);
            entered.map_err(|frame| core.give_back(frame)).is_ok()
        };
        let other = thread::spawn({
            let core = core.clone();
            move || enter(&core, 2)
        });
        let entered = usize::from(enter(&core, 3)) + usize::from(other.join().unwrap());
        assert_eq!(entered, 1, "W2: one block dirtied by two");
        let found = core.pin_block(image(1, 1).blkno).expect("one of them is there");
        assert_eq!(core.header(found).state.load().phase(), Phase::Dirty);
    });
}
