//! Ending: in order, out of order, with others ending at the same time, with a server that is not there or says nothing.

use std::os::unix::net::UnixListener;
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use tidelock_lock_client::{Draining, GuardError, Invalidation, LockClient, LockError, Options};
use tidelock_lock_proto::Mode;
use tidelock_net::transport::Address;

use crate::ground::{Cache, Ground, Handler, plan, range};

const SOON: Duration = Duration::from_secs(10);
const LIMIT: Duration = Duration::from_millis(500);

/// How long something took.
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let begin = Instant::now();
    let result = work();
    (result, begin.elapsed())
}

/// five clients that want each other's locks end at once, and each waits for the others' answers only.
#[test]
fn five_clients_that_hold_what_others_want_end_at_the_same_time() {
    let ground = Ground::new();
    let clients: Vec<LockClient> = (0..5).map(|_| ground.client()).collect();
    for (number, client) in clients.iter().enumerate() {
        drop(client.locks().lock(range(number as u64), Mode::Write).wait().unwrap());
    }
    std::thread::scope(|scope| {
        for (number, client) in clients.into_iter().enumerate() {
            scope.spawn(move || {
                let locks = client.locks();
                // Its neighbour's, which is ending too.
                let wanted = locks.lock(range((number as u64 + 1) % 5), Mode::Write);
                let _ = wanted.wait_timeout(Duration::from_millis(number as u64));
                let report = client.shutdown(SOON).destroy(SOON);
                assert!(report.has_left, "{report}");
            });
        }
    });
}

/// who waits is told, whatever the server does.
#[test]
fn whoever_waits_is_refused_when_the_client_ends() {
    let ground = Ground::new();
    let holder = ground.client();
    let locks = holder.locks();
    let guard = locks.lock(range(1), Mode::Write).wait().unwrap();
    let client = ground.client();
    let theirs = client.locks();
    let waiter = std::thread::spawn(move || theirs.lock(range(1), Mode::Write).wait().map(drop));
    while client.locks().dump().iter().all(|info| info.waiters == 0) {
        std::thread::yield_now();
    }
    let report = client.shutdown(SOON).destroy(SOON);
    assert_eq!(waiter.join().unwrap(), Err(LockError::Closed));
    assert!(report.has_left && guard.is_valid());
}

/// no server, or one that never says a word.
#[test]
fn a_client_without_a_server_ends_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let nobody = Address::Unix(folder.path().join("nobody"));
    let silent = folder.path().join("silent");
    let _listener = UnixListener::bind(&silent).unwrap();
    for address in [nobody, Address::Unix(silent)] {
        let options = Options { plan: plan(), ..Options::new(address) };
        let client = LockClient::start(options, Arc::new(Cache::default())).unwrap();
        let locks = client.locks();
        assert!(locks.lock(range(1), Mode::Read).wait_timeout(LIMIT).is_err(), "nobody grants it");
        let (report, took) = timed(|| client.shutdown(LIMIT).destroy(LIMIT));
        assert!(took < LIMIT * 2 + SOON / 5, "{took:?}");
        assert_eq!((report.locks_held, report.guards_left), (0, 0));
    }
}

/// an invalidation that is never finished, and a guard that nobody drops. Others get both locks when the
/// lease is over.
#[test]
fn what_is_left_over_is_reported_and_goes_with_the_lease() {
    let ground = Ground::new();
    let (send, receive) = mpsc::channel::<Invalidation>();
    let send = Mutex::new(send);
    let handler = Handler(move |invalidation| send.lock().unwrap().send(invalidation).unwrap());
    let client = ground.client_of(Arc::new(handler));
    let locks = client.locks();
    let guard = locks.lock(range(1), Mode::Write).wait().unwrap();
    drop(locks.lock(range(2), Mode::Write).wait().unwrap());
    let other = ground.client();
    let theirs = other.locks();
    let wanted = [1, 2].map(|number| theirs.lock(range(number), Mode::Write));
    let invalidation = receive.recv_timeout(SOON).expect("the second is called back");
    let (draining, took) = timed(|| client.shutdown(LIMIT));
    assert!(took >= LIMIT && took < SOON, "it waits for the invalidation, and no longer: {took:?}");
    assert!(guard.is_valid(), "a guard is good until the end");
    let (report, took) = timed(|| draining.destroy(LIMIT));
    assert!(took < SOON);
    assert_eq!((report.guards_left, report.invalidations_left, report.has_left), (1, 1, false));
    assert_eq!(guard.check(), Err(GuardError::Lost));
    drop(guard);
    // Too late, and harmless.
    invalidation.done();
    for wanted in wanted {
        assert!(wanted.wait_timeout(SOON).expect("when the lease is over").is_ok());
    }
}

/// between the two ends what others want is given up, without asking the embedder.
#[test]
fn a_client_that_is_shut_down_still_gives_up_what_others_want() {
    let ground = Ground::new();
    let cache = Arc::new(Cache::default());
    let client = ground.client_of(cache.clone());
    let locks = client.locks();
    drop(locks.lock(range(1), Mode::Write).wait().unwrap());
    let draining: Draining = client.shutdown(SOON);
    assert_eq!(locks.lock(range(1), Mode::Read).wait().map(drop).unwrap_err(), LockError::Closed);
    let other = ground.client();
    let theirs = other.locks();
    assert!(theirs.lock(range(1), Mode::Write).wait_timeout(SOON).expect("in time").is_ok());
    assert_eq!(cache.invalidations.load(std::sync::atomic::Ordering::SeqCst), 0);
    assert!(draining.destroy(SOON).has_left);
}

/// P-01: locks are kept over a restart of the server, and who waits goes on waiting.
#[test]
fn a_server_that_is_begun_again_finds_what_its_clients_hold() {
    let mut ground = Ground::new();
    let [one, two] = [ground.client(), ground.client()];
    let (ours, theirs) = (one.locks(), two.locks());
    let guard = ours.lock(range(1), Mode::Write).wait().unwrap();
    drop(theirs.lock(range(2), Mode::Write).wait().unwrap());
    let waiting = theirs.lock(range(1), Mode::Write);
    ground.stop();
    ground.start();
    assert!(guard.is_valid());
    drop(theirs.lock(range(3), Mode::Write).wait_timeout(SOON).expect("in time").unwrap());
    assert!(guard.is_valid(), "it was not lost");
    let waiting = waiting.try_now().expect_err("it is held");
    drop(guard);
    assert!(waiting.wait_timeout(SOON).expect("in time").is_ok());
    assert_eq!([ours.counters().losses, theirs.counters().losses], [0, 0]);
}
