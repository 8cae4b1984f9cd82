//! Two readers miss one block: one of them fills it, and the other reads what the first one filled (B1).

use tidelock_sync::{model, thread};

use super::model::{check, core, image, write};
use crate::raw::core::{Claim, Core};
use crate::raw::state::Phase;

/// Claims the block and fills it if it is this caller's to fill. Tells whether it was.
fn read(core: &Core) -> bool {
    let wanted = image(1, 1);
    match core.claim(wanted.blkno).expect("there are a frame for each") {
        Claim::Fill(frame) => {
            write(core, frame, wanted);
            core.header(frame).state.advance(Phase::Filling, Phase::Loaded);
            // The fill's pin, and the reader's.
            core.let_go(frame);
            core.let_go(frame);
            true
        }
        Claim::Join(frame) => {
            if core.header(frame).state.load().phase() == Phase::Loaded {
                check(core, frame, wanted);
            }
            core.let_go(frame);
            false
        }
    }
}

#[test]
fn loom_fill_happens_once_for_two_who_miss() {
    model(|| {
        let core = core(3);
        let other = thread::spawn({
            let core = core.clone();
            move || read(&core)
        });
        let fills = usize::from(read(&core)) + usize::from(other.join().unwrap());
        assert_eq!(fills, 1, "B1: two images of one block");
    });
}
