//! The state word by itself, and the bytes it speaks for: who may touch them, and what they have seen by then (B4, F4).
//!
//! In the whole cache other orderings stand around these and would hide a missing one: each has to carry its own weight.

use tidelock_sync::{Arc, UnsafeCell, model, thread};

use crate::raw::state::{Evicted, Phase, Retired, State, Unpinned, Word};

/// A frame: its word and its bytes.
struct Small {
    state: State,
    bytes: UnsafeCell<u64>,
}

// SAFETY: who may touch the bytes when is what the models test.
unsafe impl Sync for Small {}
// SAFETY: as above.
unsafe impl Send for Small {}

fn small(word: Word) -> Arc<Small> {
    let small = Small { state: State::new(), bytes: UnsafeCell::new(1) };
    small.state.claim(word);
    Arc::new(small)
}

impl Small {
    fn read(&self) -> u64 {
        // SAFETY: as above.
        self.bytes.with(|bytes| unsafe { *bytes })
    }

    fn write(&self, value: u64) {
        // SAFETY: as above.
        self.bytes.with_mut(|bytes| unsafe { *bytes = value });
    }

    /// Reads under a pin that the caller has, and gives it back.
    fn read_and_unpin(&self) {
        assert_eq!(self.read(), 1);
        if self.state.unpin() == Unpinned::LastOfHidden && self.state.retire() == Retired::Mine {
            self.write(2);
        }
    }
}

#[test]
fn loom_state_evicting_comes_after_the_last_read() {
    model(|| {
        let small = small(Word::present(Phase::Clean, 1));
        let reader = thread::spawn({
            let small = small.clone();
            move || small.read_and_unpin()
        });
        if small.state.evict() == Evicted::Mine {
            small.write(2);
        }
        reader.join().unwrap();
    });
}

#[test]
fn loom_state_retiring_comes_after_the_last_read() {
    model(|| {
        let small = small(Word::present(Phase::Clean, 2));
        let reader = thread::spawn({
            let small = small.clone();
            move || small.read_and_unpin()
        });
        assert!(small.state.hide());
        small.read_and_unpin();
        reader.join().unwrap();
        assert_eq!(small.read(), 2, "B5: retired exactly once");
    });
}

#[test]
fn loom_state_a_pin_sees_what_was_filled_in() {
    model(|| {
        let small = small(Word::present(Phase::Filling, 1));
        let reader = thread::spawn({
            let small = small.clone();
            move || {
                if small.state.pin().phase() == Phase::Loaded {
                    assert_eq!(small.read(), 2);
                }
                assert_eq!(small.state.unpin(), Unpinned::Held);
            }
        });
        small.write(2);
        small.state.advance(Phase::Filling, Phase::Loaded);
        reader.join().unwrap();
    });
}

#[test]
fn loom_state_a_look_sees_what_was_filled_in() {
    model(|| {
        let small = small(Word::present(Phase::Filling, 1));
        let reader = thread::spawn({
            let small = small.clone();
            move || {
                if small.state.load().phase() == Phase::Loaded {
                    assert_eq!(small.read(), 2);
                }
            }
        });
        small.write(2);
        small.state.advance(Phase::Filling, Phase::Loaded);
        reader.join().unwrap();
    });
}

/// Two readers verify one image, and a third looks: who sees it clean sees what was noted of it.
#[test]
fn loom_state_a_look_sees_what_was_verified() {
    model(|| {
        let small = small(Word::present(Phase::Loaded, 1));
        let reader = thread::spawn({
            let small = small.clone();
            move || {
                if small.state.load().is_readable() {
                    assert_eq!(small.read(), 2);
                }
            }
        });
        small.write(2);
        assert!(small.state.exchange_phase(Phase::Loaded, Phase::Clean));
        reader.join().unwrap();
    });
}
