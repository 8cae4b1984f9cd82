//! Waiting: who is told, and what becomes of a lock that comes too late.

use tidelock_sync::{Arc, model, thread};

use crate::LockId;
use crate::seat::Seat;

#[test]
fn who_waits_is_woken() {
    model(|| {
        let seat = Arc::new(Seat::default());
        let teller = seat.clone();
        let teller = thread::spawn(move || teller.tell(Ok(LockId(3))));
        assert_eq!(seat.wait(None), Some(Ok(LockId(3))));
        assert_eq!(teller.join().unwrap(), None);
    });
}

/// A lock that is handed out to somebody who leaves is in one hand afterwards: the teller's, or the leaver's.
#[test]
fn who_leaves_and_who_tells_do_not_lose_a_lock_between_them() {
    model(|| {
        let seat = Arc::new(Seat::default());
        let teller = seat.clone();
        let teller = thread::spawn(move || teller.tell(Ok(LockId(3))));
        let mine = seat.abandon();
        let theirs = teller.join().unwrap();
        assert!(mine.is_some() != theirs.is_some(), "{mine:?} {theirs:?}");
    });
}
