//! Two sides store and then look: at least one sees the other.

use crate::atomic::{AtomicBool, Ordering};
use crate::{Arc, barrier, model, thread};

/// Fails when either half is left out: weakenings `light_barrier` and `heavy_barrier`.
#[test]
fn loom_barrier_one_side_sees_the_other() {
    model(|| {
        let flags = Arc::new((AtomicBool::new(false), AtomicBool::new(false)));
        let frequent = thread::spawn({
            let flags = flags.clone();
            move || {
                flags.0.store(true, Ordering::Relaxed);
                barrier::light();
                flags.1.load(Ordering::Relaxed)
            }
        });
        flags.1.store(true, Ordering::Relaxed);
        barrier::heavy();
        let rare_saw = flags.0.load(Ordering::Relaxed);
        assert!(frequent.join().unwrap() || rare_saw, "both sides missed the other's store");
    });
}
