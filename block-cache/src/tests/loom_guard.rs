//! Guard and reuse: a frame is not filled again while a guard that may have seen it lives (E1, C1).

use tidelock_sync::{model, thread};

use super::model::{core, image, peek, put, write};
use crate::raw::core::Purpose;

#[test]
fn loom_guard_holds_up_the_reuse_of_what_it_saw() {
    model(|| {
        let core = core(1);
        let (old, new) = (image(1, 1), image(2, 2));
        put(&core, old);
        let reader = thread::spawn({
            let core = core.clone();
            move || {
                let guard = core.domain.guard();
                peek(&core, &guard, old);
            }
        });
        if let Ok(frame) = core.take_frame(Purpose::Read) {
            write(&core, frame, new);
        }
        reader.join().unwrap();
    });
}
