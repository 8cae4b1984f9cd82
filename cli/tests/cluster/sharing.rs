//! Clients that take locks from each other.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use tidelock_lock_client::{Invalidation, LockError, Locks};
use tidelock_lock_proto::Mode;

use crate::ground::{Cache, Ground, Handler, range};

const SOON: Duration = Duration::from_secs(10);

fn take(locks: &Locks, number: u64, mode: Mode) {
    drop(locks.lock(range(number), mode).wait_timeout(SOON).expect("in time").expect("it is to be had"));
}

/// INV-1, as threads of four processes would see it: a counter that is read and written under the lock alone.
#[test]
fn what_is_changed_under_a_write_lock_is_never_lost() {
    let ground = Ground::new();
    let clients: Vec<_> = (0..4).map(|_| ground.client()).collect();
    let counter = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for client in &clients {
            let (locks, counter) = (client.locks(), &counter);
            // The lock keeps other clients out, and this mutex this client's other threads.
            let mine = Arc::new(Mutex::new(()));
            for _ in 0..2 {
                let (locks, mine) = (locks.clone(), mine.clone());
                scope.spawn(move || {
                    for _ in 0..200 {
                        let _mine = mine.lock().unwrap();
                        let guard = locks.lock(range(1), Mode::Write).wait().unwrap();
                        let before = counter.load(Ordering::Relaxed);
                        std::thread::yield_now();
                        counter.store(before + 1, Ordering::Relaxed);
                        assert!(guard.is_valid());
                    }
                });
            }
        }
    });
    assert_eq!(counter.into_inner(), 4 * 2 * 200);
}

/// as many invalidations as there are locks, and two threads for them.
#[test]
fn ten_thousand_locks_are_called_back_at_once_from_a_client_with_two_threads() {
    const LOCKS: u64 = 10_000;
    let ground = Ground::new();
    let cache = Arc::new(Cache::default());
    let options =
        tidelock_lock_client::Options { threads_max: 2, idle_locks_max: 100_000, ..ground.options() };
    let holder = tidelock_lock_client::LockClient::start(options, cache.clone()).unwrap();
    let locks = holder.locks();
    let waiting: Vec<_> = (0..LOCKS).map(|number| locks.lock(range(number), Mode::Write)).collect();
    waiting.into_iter().for_each(|waiting| drop(waiting.wait().unwrap()));
    let taker = ground.client();
    let theirs = taker.locks();
    let waiting: Vec<_> = (0..LOCKS).map(|number| theirs.lock(range(number), Mode::Write)).collect();
    waiting.into_iter().for_each(|waiting| drop(waiting.wait_timeout(SOON * 3).expect("in time").unwrap()));
    assert_eq!(cache.invalidations.load(Ordering::SeqCst), LOCKS);
}

/// one lock's invalidation takes as long as it likes; others do not wait for it.
#[test]
fn a_slow_invalidation_holds_up_nobody_who_wants_another_lock() {
    let ground = Ground::new();
    let (send, receive) = mpsc::channel::<Invalidation>();
    let send = Mutex::new(send);
    let holder = ground.client_of(Arc::new(Handler(move |invalidation: Invalidation| {
        if invalidation.range() == range(0) {
            // Kept, and finished by somebody else.
            send.lock().unwrap().send(invalidation).unwrap();
        } else {
            invalidation.done();
        }
    })));
    let locks = holder.locks();
    (0..100).for_each(|number| take(&locks, number, Mode::Write));
    let taker = ground.client();
    let theirs = taker.locks();
    let slow = theirs.lock(range(0), Mode::Write);
    let invalidation = receive.recv_timeout(SOON).expect("it is called back");
    (1..100).for_each(|number| take(&theirs, number, Mode::Write));
    let slow = slow.try_now().expect_err("it is not done yet");
    invalidation.done();
    assert!(slow.wait_timeout(SOON).expect("in time").is_ok());
}

/// who waits for a lock inside an invalidation may wait for himself.
#[test]
fn an_invalidation_takes_no_locks() {
    let ground = Ground::new();
    let (send, receive) = mpsc::channel();
    let send = Mutex::new(send);
    let theirs: Arc<Mutex<Option<Locks>>> = Arc::default();
    let locks_inside = theirs.clone();
    let holder = ground.client_of(Arc::new(Handler(move |invalidation: Invalidation| {
        let locks = locks_inside.lock().unwrap().clone().expect("set by now");
        let answer = locks.lock(range(2), Mode::Read).wait().map(drop);
        send.lock().unwrap().send(answer).unwrap();
        invalidation.done();
    })));
    let locks = holder.locks();
    *theirs.lock().unwrap() = Some(locks.clone());
    take(&locks, 1, Mode::Write);
    let taker = ground.client();
    take(&taker.locks(), 1, Mode::Write);
    assert_eq!(receive.recv_timeout(SOON).unwrap(), Err(LockError::InsideInvalidation));
    *theirs.lock().unwrap() = None;
}

/// two that write all the time get about as often to it, also against many threads of one client.
#[test]
fn a_lock_that_two_clients_want_all_the_time_is_shared_out_between_them() {
    let ground = Ground::new();
    let clients = [ground.client(), ground.client()];
    let turns = [AtomicU64::new(0), AtomicU64::new(0)];
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for (client, threads) in [(0, 1), (1, 3)] {
            for _ in 0..threads {
                let (locks, turns, is_over) = (clients[client].locks(), &turns[client], &is_over);
                scope.spawn(move || {
                    while !is_over.load(Ordering::Relaxed) {
                        let guard = locks.lock(range(1), Mode::Write).wait().unwrap();
                        std::thread::sleep(Duration::from_micros(200));
                        drop(guard);
                        turns.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        }
        std::thread::sleep(Duration::from_secs(2));
        is_over.store(true, Ordering::Relaxed);
    });
    let [one, other] = turns.map(AtomicU64::into_inner);
    assert!(one > 20 && other > 20, "{one} and {other}");
    assert!(one * 40 > other, "one starves: {one} against {other} of three threads");
}

/// locks that are given back by the thousand are in nobody's way.
#[test]
fn taking_more_locks_than_are_kept_gives_others_back_and_starves_nobody() {
    let ground = Ground::new();
    let options = tidelock_lock_client::Options { idle_locks_max: 100, ..ground.options() };
    let hoarder = tidelock_lock_client::LockClient::start(options, Arc::new(Cache::default())).unwrap();
    let other = ground.client();
    let (many, few) = (hoarder.locks(), other.locks());
    let mut longest = Duration::ZERO;
    for number in 0..3000 {
        take(&many, number, Mode::Read);
        if number % 100 == 0 {
            let begin = Instant::now();
            take(&few, 1_000_000 + number, Mode::Write);
            longest = longest.max(begin.elapsed());
        }
    }
    let kept = many.dump().len();
    assert!((50..400).contains(&kept), "{kept} locks are kept");
    assert!(longest < SOON, "{longest:?}");
}
