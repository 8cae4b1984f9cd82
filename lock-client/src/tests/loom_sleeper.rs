//! Sleeping by a bell, and waiting for something that does not ring by itself.

use tidelock_sync::{Arc, model, thread};

use crate::LockId;
use crate::seat::Seat;
use crate::sleeper::Sleeper;

/// R3. The bell is a seat of its own: rung once, it stays so.
#[test]
fn who_sleeps_by_a_bell_is_woken_when_it_is_told_otherwise() {
    model(|| {
        let all = Arc::new((Sleeper::new(), Seat::default(), Seat::default()));
        let theirs = all.clone();
        let teller = thread::spawn(move || {
            let (sleeper, seat, bell) = &*theirs;
            assert_eq!(seat.tell(Ok(LockId(3))), None);
            if sleeper.is_asleep() {
                bell.tell(Ok(LockId(0)));
            }
        });
        let (sleeper, seat, bell) = &*all;
        let nap = sleeper.nap();
        if !seat.is_told() {
            bell.wait(None);
        }
        drop(nap);
        assert_eq!(seat.take(), Some(Ok(LockId(3))));
        teller.join().unwrap();
    });
}
