//! The fast path against the desk: who gets in, who is waited for, and what they have seen by then (J1 to J5).

use tidelock_format::{GrantSeq, Key, KeyRange, Term, Token};
use tidelock_lock_proto::Mode;
use tidelock_sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tidelock_sync::{Arc, Mutex, model, thread};

use crate::front::{Entered, Front, LastTenancy};
use crate::{LockId, Open};

const LOCK: LockId = LockId(0);

fn range(number: u64) -> KeyRange {
    KeyRange::of(Key::from_u64(number))
}

fn open(number: u64, mode: Mode, seq: u64) -> Open {
    let token = Token { term: Term(1), seq: GrantSeq(seq) };
    Open { lock: LOCK, range: range(number), mode, token, refresh: seq }
}

/// One lock, what is cached under it, and the little of a desk that these races need.
struct World {
    front: Front,
    /// Written by whoever uses the lock, read when it is invalidated. Relaxed: it is the front that has to put it in order.
    written: AtomicU64,
    cached: AtomicU64,
    /// Whether the lock comes down, and how often it has.
    desk: Mutex<(bool, u32)>,
}

impl World {
    fn with(open: Open) -> Arc<Self> {
        let front = Front::new(1);
        let written = AtomicU64::new(0);
        let cached = AtomicU64::new(7);
        cached.store(7, Ordering::Relaxed);
        assert!(front.open(&open));
        Arc::new(Self { front, written, cached, desk: Mutex::new((false, 0)) })
    }

    /// Uses the lock if it is to be had. Tells whether it was.
    fn use_it(&self, mode: Mode) -> bool {
        match self.front.enter(&range(1), mode) {
            Entered::In(usage) | Entered::Crowd(usage) => {
                assert_eq!(usage.range(), range(1), "J1");
                assert_eq!(self.cached.load(Ordering::Relaxed), 7, "J1: nobody drops what is in use");
                self.written.store(1, Ordering::Relaxed);
                if usage.leave() {
                    self.report();
                }
                true
            }
            Entered::Drained(_) => {
                self.report();
                false
            }
            Entered::Not => false,
        }
    }

    fn revoke(&self, to: Mode) {
        let mut desk = self.desk.lock().unwrap();
        desk.0 = true;
        self.front.narrow(LOCK, to);
        self.look(&mut desk);
    }

    fn report(&self) {
        self.look(&mut self.desk.lock().unwrap());
    }

    /// Invalidates, once nobody is in the way.
    fn look(&self, desk: &mut (bool, u32)) {
        if desk.0 && self.front.is_drained(LOCK) {
            *desk = (false, desk.1 + 1);
            self.front.uncover(LOCK);
            self.cached.store(0, Ordering::Release);
        }
    }

    fn has_come_down(&self) -> bool {
        self.desk.lock().unwrap().1 == 1
    }
}

/// J1, J3: the user is waited for or does not get in; and what it did is seen.
#[test]
fn a_user_and_a_revocation() {
    model(|| {
        let world = World::with(open(1, Mode::Write, 1));
        let user = world.clone();
        let user = thread::spawn(move || user.use_it(Mode::Write));
        world.revoke(Mode::Null);
        let seen = world.has_come_down().then(|| world.written.load(Ordering::Relaxed));
        let was_in = user.join().unwrap();
        assert!(world.has_come_down(), "J3: the last one out reports it");
        assert!(!was_in || seen != Some(0), "J1: who was in is seen by whoever invalidates");
    });
}

/// J3: of two who leave at once, one is the last.
#[test]
fn two_users_and_a_drain() {
    model(|| {
        let world = World::with(open(1, Mode::Write, 1));
        let users: Vec<_> = [Mode::Read, Mode::Write]
            .into_iter()
            .map(|mode| {
                let world = world.clone();
                thread::spawn(move || world.use_it(mode))
            })
            .collect();
        world.revoke(Mode::Null);
        for user in users {
            user.join().unwrap();
        }
        assert!(world.has_come_down(), "J3");
    });
}

/// J2: what it comes down to goes on being used, and is not waited for.
#[test]
fn a_reader_and_a_writer_that_makes_way_for_readers() {
    model(|| {
        let world = World::with(open(1, Mode::Write, 1));
        let reader = world.clone();
        let reader =
            thread::spawn(move || matches!(reader.front.enter(&range(1), Mode::Read), Entered::In(_)));
        let Entered::In(mut writer) = world.front.enter(&range(1), Mode::Write) else { panic!("it is open") };
        world.revoke(Mode::Read);
        assert!(!world.has_come_down(), "the writer is still in");
        assert!(matches!(world.front.enter(&range(1), Mode::Write), Entered::Not), "J2: no other gets in");
        assert!(writer.downgrade(), "it is the last in the way");
        world.report();
        assert!(reader.join().unwrap());
        assert!(world.has_come_down());
    });
}

/// J1, J4: a slot is given to another lock while somebody looks the first one up.
#[test]
fn a_lookup_and_a_slot_that_is_given_on() {
    model(|| {
        let world = World::with(open(1, Mode::Read, 1));
        let user = world.clone();
        let user = thread::spawn(move || user.use_it(Mode::Read));
        world.front.narrow(LOCK, Mode::Null);
        if world.front.is_drained(LOCK) {
            world.front.forget(LOCK);
            world.front.open(&open(2, Mode::Read, 2));
            // Whoever was there for the first lock may still be on its way out.
            let Entered::In(usage) = world.front.enter(&range(2), Mode::Read) else { panic!("it is open") };
            usage.leave();
        }
        user.join().unwrap();
        assert_eq!(world.front.users_of(LOCK), (0, 0));
    });
}

/// J1, J3: readers in lanes of their own, and in none: whoever is there is waited for, and whoever is last reports.
#[test]
fn a_reader_a_slot_that_is_widened_and_a_revocation() {
    model(|| {
        let world = World::with(open(1, Mode::Read, 1));
        let user = world.clone();
        let user =
            thread::spawn(move || u32::from(user.use_it(Mode::Read)) + u32::from(user.use_it(Mode::Read)));
        {
            let _desk = world.desk.lock().unwrap();
            world.front.widen(LOCK);
        }
        world.revoke(Mode::Null);
        user.join().unwrap();
        assert_eq!(world.desk.lock().unwrap().1, 1, "J3: it has come down, once");
    });
}

/// A slot that is widened while the lock comes down lets nobody in by a lane.
#[test]
fn a_revocation_and_a_slot_that_is_widened_behind_it() {
    model(|| {
        let world = World::with(open(1, Mode::Read, 1));
        let user = world.clone();
        let user = thread::spawn(move || user.use_it(Mode::Read));
        world.revoke(Mode::Null);
        {
            let _desk = world.desk.lock().unwrap();
            world.front.widen(LOCK);
        }
        assert!(!world.use_it(Mode::Read), "J2");
        user.join().unwrap();
        assert_eq!(world.desk.lock().unwrap().1, 1, "J3: it has come down, once");
    });
}

/// J4: the same for one who remembers where it found the lock.
#[test]
fn a_memory_and_a_slot_that_is_given_on() {
    model(|| {
        let world = World::with(open(1, Mode::Read, 1));
        let last = LastTenancy::default();
        let Entered::In(usage) = world.front.enter(&range(1), Mode::Read) else { panic!("it is open") };
        last.set(&usage);
        usage.leave();
        let user = world.clone();
        let user = thread::spawn(move || {
            let entered = user.front.enter_again(last.get().expect("it was set"), Mode::Read);
            let Entered::In(usage) = entered else { return };
            assert_eq!(usage.range(), range(1), "J1");
            usage.leave();
        });
        world.front.narrow(LOCK, Mode::Null);
        if world.front.is_drained(LOCK) {
            world.front.forget(LOCK);
            world.front.open(&open(2, Mode::Read, 2));
        }
        user.join().unwrap();
        assert_eq!(world.front.users_of(LOCK), (0, 0));
    });
}

/// What was done before the lock was opened is seen by whoever gets in.
#[test]
fn a_user_and_a_lock_that_is_opened() {
    model(|| {
        let world = World::with(open(1, Mode::Read, 1));
        world.front.narrow(LOCK, Mode::Null);
        world.cached.store(0, Ordering::Relaxed);
        let user = world.clone();
        let user = thread::spawn(move || user.use_it(Mode::Read));
        world.cached.store(7, Ordering::Relaxed);
        world.front.open(&open(1, Mode::Read, 2));
        user.join().unwrap();
    });
}

/// J5: a lock that is lost while it is used: the user can find out, and its leaving disturbs nobody.
#[test]
fn a_user_and_a_loss() {
    model(|| {
        let world = World::with(open(1, Mode::Write, 1));
        let user = world.clone();
        let is_lost = Arc::new(AtomicBool::new(false));
        let knows = is_lost.clone();
        let user = thread::spawn(move || {
            let Entered::In(usage) = user.front.enter(&range(1), Mode::Write) else { return true };
            let was_lost = knows.load(Ordering::Acquire);
            assert!(!was_lost || usage.is_void(), "J5");
            usage.leave() || !usage.is_void()
        });
        world.front.void(LOCK);
        is_lost.store(true, Ordering::Release);
        let is_empty = world.front.is_drained(LOCK);
        let has_reported = user.join().unwrap();
        assert!(is_empty || has_reported, "J3");
        assert!(world.front.is_drained(LOCK));
        assert!(!matches!(world.front.enter(&range(1), Mode::Read), Entered::In(_)));
    });
}

/// Whoever sees that a cache was dropped is not told that it is covered.
#[test]
fn a_question_and_an_invalidation() {
    model(|| {
        let world = World::with(open(1, Mode::Read, 1));
        let reader = world.clone();
        let reader = thread::spawn(move || {
            let cached = reader.cached.load(Ordering::Acquire);
            let is_covered = reader.front.refresh(LOCK) == 1;
            assert!(cached == 7 || !is_covered, "covered, and dropped");
        });
        world.revoke(Mode::Null);
        reader.join().unwrap();
    });
}
