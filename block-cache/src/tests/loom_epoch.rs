//! Grace periods by themselves: one thing that can be found, one reader, and one who removes it and uses it again (E1).

use tidelock_sync::atomic::{AtomicBool, Ordering};
use tidelock_sync::{Arc, UnsafeCell, model, thread};

use crate::raw::epoch::{Domain, Stamp};

struct Small {
    domain: Domain,
    /// Stands for the entry in the table.
    is_there: AtomicBool,
    bytes: UnsafeCell<u64>,
}

// SAFETY: who may touch the bytes when is what the models test.
unsafe impl Sync for Small {}
// SAFETY: as above.
unsafe impl Send for Small {}

fn small() -> Arc<Small> {
    Arc::new(Small { domain: Domain::new(true), is_there: AtomicBool::new(true), bytes: UnsafeCell::new(1) })
}

impl Small {
    fn look(&self) {
        let _guard = self.domain.guard();
        self.look_under_a_guard();
    }

    fn look_under_a_guard(&self) {
        // Acquire: as a lookup does.
        if self.is_there.load(Ordering::Acquire) {
            // SAFETY: what the models test.
            assert_eq!(self.bytes.with(|bytes| unsafe { *bytes }), 1);
        }
    }

    fn remove_and_reuse(&self) {
        // Release: as a removal does.
        self.is_there.store(false, Ordering::Release);
        let stamp = self.domain.stamp();
        self.reuse_if_clear(stamp);
    }

    fn reuse_if_clear(&self, stamp: Stamp) -> bool {
        let is_clear = self.domain.is_clear(stamp);
        if is_clear {
            // SAFETY: what the models test.
            self.bytes.with_mut(|bytes| unsafe { *bytes = 2 });
        }
        is_clear
    }

    /// As whoever does not want to wait for a thread that does nothing.
    fn remove_and_reuse_soon(&self) {
        // Release: as a removal does.
        self.is_there.store(false, Ordering::Release);
        let stamp = self.domain.stamp();
        if !self.reuse_if_clear(stamp) {
            self.domain.expedite();
            self.reuse_if_clear(stamp);
        }
    }
}

#[test]
fn loom_epoch_nothing_is_reused_under_a_guard_that_saw_it() {
    model(|| {
        let small = small();
        let reader = thread::spawn({
            let small = small.clone();
            move || small.look()
        });
        small.remove_and_reuse();
        reader.join().unwrap();
    });
}

/// The second guard begins in another epoch than the first.
#[test]
fn loom_epoch_a_thread_that_looks_again_holds_it_up_again() {
    model(|| {
        let small = small();
        let reader = thread::spawn({
            let small = small.clone();
            move || {
                small.look();
                small.look();
            }
        });
        small.domain.stamp();
        small.remove_and_reuse();
        reader.join().unwrap();
    });
}

#[test]
fn loom_epoch_a_nested_guard_does_not_end_the_outer_one() {
    model(|| {
        let small = small();
        let reader = thread::spawn({
            let small = small.clone();
            move || {
                let _outer = small.domain.guard();
                drop(small.domain.guard());
                small.look_under_a_guard();
            }
        });
        small.remove_and_reuse_soon();
        reader.join().unwrap();
    });
}

/// The reader has had a guard, and begins another when its stamp is expedited.
#[test]
fn loom_epoch_an_expedited_stamp_waits_for_guards_all_the_same() {
    model(|| {
        let small = small();
        let reader = thread::spawn({
            let small = small.clone();
            move || {
                drop(small.domain.guard());
                small.look();
            }
        });
        small.remove_and_reuse_soon();
        reader.join().unwrap();
    });
}

/// E4: the reader has had a guard, and begins another while it is made absent, or comes back while somebody relies on that.
#[test]
fn loom_epoch_a_thread_is_made_absent_between_its_guards_only() {
    model(|| {
        let small = small();
        let reader = thread::spawn({
            let small = small.clone();
            move || {
                drop(small.domain.guard());
                small.look();
            }
        });
        small.domain.expedite();
        small.remove_and_reuse();
        reader.join().unwrap();
    });
}
