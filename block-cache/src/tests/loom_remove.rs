//! Removing and letting go: the entry goes first, then the frame is retired, once (B5, S-31).

use tidelock_sync::{model, thread};

use super::model::{core, image, put};

#[test]
fn loom_remove_and_the_last_unpin_retire_once() {
    model(|| {
        let core = core(2);
        let block = image(1, 1);
        put(&core, block);
        let [mine, theirs] = [(); 2].map(|()| core.pin_block(block.blkno).unwrap());
        let other = thread::spawn({
            let core = core.clone();
            move || core.let_go(theirs)
        });
        assert!(core.remove(mine));
        core.let_go(mine);
        other.join().unwrap();
        assert_eq!(core.pool.limbo.len(), 1, "B5: retired exactly once");
    });
}

#[test]
fn loom_remove_by_two_removes_once() {
    model(|| {
        let core = core(2);
        let block = image(1, 1);
        put(&core, block);
        let [mine, theirs] = [(); 2].map(|()| core.pin_block(block.blkno).unwrap());
        let remove = move |core: &crate::raw::core::Core, frame| {
            let removed = core.remove(frame);
            core.let_go(frame);
            usize::from(removed)
        };
        let other = thread::spawn({
            let core = core.clone();
            move || remove(&core, theirs)
        });
        assert_eq!(remove(&core, mine) + other.join().unwrap(), 1, "B5: removing twice is removing once");
        assert_eq!(core.pool.limbo.len(), 1, "B5: retired exactly once");
    });
}

#[test]
fn loom_remove_and_a_lookup_that_comes_too_late_retire_once() {
    model(|| {
        let core = core(2);
        let block = image(1, 1);
        put(&core, block);
        let mine = core.pin_block(block.blkno).unwrap();
        let late = thread::spawn({
            let core = core.clone();
            move || {
                if let Some(frame) = core.pin_block(block.blkno) {
                    core.let_go(frame);
                }
            }
        });
        assert!(core.remove(mine));
        assert_eq!(core.pin_block(block.blkno), None, "S-31: found after it was removed");
        core.let_go(mine);
        late.join().unwrap();
        assert_eq!(core.pool.limbo.len(), 1, "B5: retired exactly once");
    });
}
