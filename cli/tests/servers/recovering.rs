//! A server that is killed under eight processes which hold a hundred thousand locks, and is started again.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use tidelock_lock_client::LockClient;
use tidelock_lock_proto::Mode;
use tidelock_lock_server::admin::{AdminClient, LockRow, Question, Report};
use tidelock_net::TimeoutPlan;

use crate::alone;
use crate::holder::Holder;
use crate::serving::{PATIENCE, Place, Serving, range};

const CLIENTS: u64 = 8;
/// More than a client keeps that it does not use. It uses these, so that limit is not for them.
const LOCKS: u64 = 12_500;
/// Locks that nobody has had before, and the processes do not take.
const FRESH: u64 = 9 << 40;
/// How long the server stays away, each time that it is killed: clients seek it again and again, less and less often.
const AWAY_MS: [u64; 5] = [0, 100, 400, 1000, 2500];

/// K5, Y1, A-96: nobody has lost anything, nobody waits for a lease, and who waited for a lock still does.
#[test]
fn a_server_that_is_killed_under_a_hundred_thousand_locks_is_back_with_all_of_them() {
    let _alone = alone();
    let place = Place::new();
    let mut server = place.serve();
    let mut holders = Holder::start_all(&place.socket(), place.folder.path(), CLIENTS, LOCKS);
    let ninth = place.client(CLIENTS.into());
    let locks = ninth.locks();
    let mut wanted = locks.lock(range(0), Mode::Write);
    let before = grants(&place);
    assert_eq!(before.len() as u64, CLIENTS * LOCKS);
    for (kill, away) in AWAY_MS.into_iter().enumerate() {
        server.kill();
        thread::sleep(Duration::from_millis(away));
        let back;
        (server, back) = start_again(&place, &ninth, FRESH + kill as u64);
        wanted = wanted.try_now().expect_err("it is held");
        assert!(
            back.open.max(back.granted) < TimeoutPlan::DEFAULT.grace,
            "somebody was waited for: {back:?}"
        );
        let longest = holders.iter_mut().map(|holder| holder.goes_on(kill as u64 + 1)).max().unwrap();
        let Back { open, granted } = back;
        println!(
            "away for {away} ms: {} locks back {open:.0?} after the start, a new one granted after {granted:.0?}, \
             longest wait for any {longest:.0?}",
            CLIENTS * LOCKS
        );
    }
    assert!(grants(&place) == before, "the server knows what it knew");
    assert!(holders.iter_mut().all(|holder| holder.tell().given_back > 0), "of what they do not use");
    holders[0].give_up_the_first();
    drop(wanted.wait_timeout(PATIENCE).expect("in time").expect("a lock"));
    Holder::end_all(holders);
}

/// From the start of the process on: how long it took.
#[derive(Debug)]
struct Back {
    /// Until it said that it serves, and had all sessions with all their locks.
    open: Duration,
    /// Until a client had a lock that nobody had had before.
    granted: Duration,
}

fn start_again(place: &Place, client: &LockClient, fresh: u64) -> (Serving, Back) {
    let since = Instant::now();
    let server = place.begin(&["--listen", &place.socket().to_string()]);
    let (open, granted) = thread::scope(|scope| {
        let granted = scope.spawn(|| {
            let locks = client.locks();
            let taken = locks.lock(range(fresh), Mode::Write).wait_timeout(PATIENCE);
            drop(taken.expect("in time").expect("a lock"));
            since.elapsed()
        });
        assert!(server.expect("listening on ").contains(&format!("asking {} sessions", CLIENTS + 1)));
        while !has_recovered(place) {
            thread::sleep(Duration::from_millis(5));
        }
        (since.elapsed(), granted.join().unwrap())
    });
    (server, Back { open, granted })
}

fn admin(place: &Place) -> AdminClient {
    AdminClient::connect(place.folder.path().join("locks.db.admin")).expect("it serves")
}

/// Whether the server grants, and has everything from everybody.
fn has_recovered(place: &Place) -> bool {
    let mut admin = admin(place);
    let Ok(Report::Grace(grace)) = admin.ask(&Question::Grace {}) else { panic!("another answer") };
    let Ok(Report::Sessions(told)) = admin.ask(&Question::Sessions { limit: None }) else {
        panic!("another answer")
    };
    let is_whole = |locks: &usize| *locks as u64 >= LOCKS;
    let whole = told.sessions.iter().map(|session| session.locks).filter(is_whole).count();
    grace.phase == "serving" && whole as u64 == CLIENTS
}

/// Who holds which of the processes' own locks, by which token, as the server lists it.
fn grants(place: &Place) -> BTreeMap<String, (String, String)> {
    let question =
        Question::Locks { from: None, waiting: false, limit: Some((CLIENTS * LOCKS) as usize), scan: None };
    let Ok(Report::Locks(told)) = admin(place).ask(&question) else { panic!("another answer") };
    let grant = |mut lock: LockRow| {
        assert_eq!(lock.holders.len(), 1, "one has it for writing: {lock:?}");
        let holder = lock.holders.remove(0);
        assert_eq!(holder.mode, "write");
        (lock.start, (holder.client, holder.token))
    };
    told.locks.into_iter().map(grant).collect()
}
