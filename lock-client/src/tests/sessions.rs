//! What becomes of locks when the lease is over, when servers change, and at the end.

use std::time::Duration;

use tidelock_format::{Incarnation, Term};
use tidelock_lock_proto::{Change, Descent, Lost, Mode, Reason, Refused, ToClient, ToServer};

use super::scene::{PLAN, Scene, acquire, range};
use crate::{Cause, GuardError, LockError};

use Mode::{Null, Read, Write, WriteOnly};

/// Q3: a process that slept past its lease finds its guards bad before it has heard of anything.
#[test]
fn after_a_freeze_past_the_lease_guards_are_bad_and_nothing_is_taken() {
    let mut scene = Scene::new();
    scene.holds(1, Write);
    let locks = scene.locks.clone();
    let guard = locks.try_lock(&range(1), Write).unwrap();
    let coverage = guard.coverage();
    scene.freeze(PLAN.client_stops_after());
    assert_eq!(guard.check(), Err(GuardError::LeaseOver));
    assert!(locks.try_lock(&range(1), Read).is_none() && !locks.covers(&coverage));
    let waiting = locks.lock(range(1), Read).try_now().expect_err("it waits to know");
    scene.later(Duration::from_secs(10));
    scene.connect();
    let losses = locks.counters().losses;
    scene.is_expelled();
    assert_eq!(guard.check(), Err(GuardError::Lost));
    assert_eq!(locks.lost(losses).wait(), losses + 1);
    let loss = scene.loss().expect("the embedder is told");
    assert_eq!(loss.why(), Cause::Expelled);
    assert!(scene.client.next_tick().is_none(), "and nothing goes on before it has been");
    loss.handled();
    scene.connect();
    scene.is_new(2);
    assert_eq!(guard.check(), Err(GuardError::Lost), "a later session does not mend it");
    assert_eq!(scene.heard(), [acquire(1, Null, Read)], "who waits, waits on");
    scene.grants(1, Null, Read);
    let later = waiting.wait().unwrap();
    assert!(later.is_valid() && !later.is_same_lock(&guard));
    drop(guard);
    assert!(later.is_valid() && !locks.covers(&coverage));
}

#[test]
fn a_lease_that_is_renewed_in_time_makes_a_guard_good_again() {
    let mut scene = Scene::new();
    scene.holds(1, Write);
    let locks = scene.locks.clone();
    let guard = locks.try_lock(&range(1), Write).unwrap();
    scene.cut();
    scene.freeze(PLAN.client_stops_after());
    assert_eq!(guard.check(), Err(GuardError::LeaseOver));
    let waiting = locks.lock(range(1), Read).try_now().expect_err("it waits to know");
    scene.later(Duration::from_secs(1));
    scene.connect();
    scene.recovers(2);
    assert_eq!(guard.check(), Ok(()), "the server has not given it away");
    assert!(waiting.try_now().is_ok());
}

/// a new server is told the old mode, hears nothing of the old server's questions, and takes the end of an
/// old server's invalidation for a giving back.
#[test]
fn a_new_server_in_the_middle_of_an_invalidation() {
    let mut scene = Scene::new();
    scene.holds(1, Write);
    scene.holds(2, Read);
    let locks = scene.locks.clone();
    let held_token = locks.dump()[0].token;
    let descent =
        Descent { start: range(1).start(), token: held_token, change: Change { from: Write, to: Null } };
    scene.says(ToClient::Revoke(descent));
    let invalidation = scene.invalidation().unwrap();
    let waiting = locks.lock(range(1), Read).try_now().expect_err("waits");
    assert_eq!(scene.heard(), [acquire(1, Write, Read)]);
    scene.cut();
    scene.later(Duration::from_secs(1));
    scene.connect();
    scene.recovers(2);
    let said = scene.heard();
    let [ToServer::Snapshot(snapshot)] = &said[..] else { panic!("{said:?}") };
    let modes: Vec<_> = snapshot.held.iter().map(|held| (held.range, held.mode)).collect();
    assert_eq!(modes, [(range(1), Write), (range(2), Read)], "H1");
    assert!(snapshot.is_last && snapshot.wanted.is_empty(), "H2: it comes down first");
    invalidation.done();
    let release = Descent { change: Change { from: Write, to: Null }, ..descent };
    assert_eq!(scene.heard(), [ToServer::Release(release), acquire(1, Null, Read)]);
    scene.grants(1, Null, Read);
    assert!(waiting.wait().is_ok());
}

/// and what an old server, or the server of an older life, says counts for nothing.
#[test]
fn messages_of_another_term_or_session_are_dropped() {
    let mut scene = Scene::new();
    scene.holds(1, Write);
    let revoke = ToClient::Revoke(Descent {
        start: range(1).start(),
        token: scene.token(),
        change: Change { from: Write, to: Null },
    });
    scene.says_as(Incarnation(1), Term(9), &revoke);
    scene.says_as(Incarnation(2), Term(1), &revoke);
    assert!(scene.invalidation().is_none());
    assert_eq!(scene.locks.counters().messages_stale, 2);
    scene.says(revoke);
    assert!(scene.invalidation().is_some());
}

/// whatever a server says, the client neither panics nor believes it.
#[test]
fn a_server_that_breaks_the_protocol_costs_the_session_and_nothing_else() {
    let nonsense: [fn(&mut Scene); 4] = [
        |scene| scene.grants(5, Null, Write),
        |scene| scene.says_bytes(b"nonsense"),
        |scene| {
            scene.says(ToClient::Refused(Refused {
                start: range(1).start(),
                wanted: Read,
                reason: Reason::Pointless,
            }));
        },
        |scene| {
            let locks = scene.locks.clone();
            let waiting = locks.lock(range(1), WriteOnly).try_now().expect_err("asks");
            // The same token again.
            let change = Change { from: Write, to: WriteOnly };
            let granted = tidelock_lock_proto::Granted { range: range(1), change, token: scene.token() };
            scene.says(ToClient::Granted(granted));
            drop(waiting);
        },
    ];
    for say in nonsense {
        let mut scene = Scene::new();
        scene.holds(1, Write);
        let locks = scene.locks.clone();
        let guard = locks.try_lock(&range(1), Write).unwrap();
        say(&mut scene);
        assert_eq!(guard.check(), Err(GuardError::Lost));
        let loss = scene.loss().expect("the embedder is told");
        assert_eq!(loss.why(), Cause::Broken);
        loss.handled();
        scene.connect();
        scene.is_new(2);
        drop(guard);
        scene.holds(1, Write);
        scene.client.check();
    }
}

/// whoever waits is refused, others get what they call back, and the embedder is left alone.
#[test]
fn after_closing_nothing_is_taken_and_everything_is_ceded() {
    let mut scene = Scene::new();
    (1..=3).for_each(|number| scene.holds(number, Write));
    let locks = scene.locks.clone();
    let guard = locks.try_lock(&range(1), Write).unwrap();
    let waiting = locks.lock(range(4), Write).try_now().expect_err("asks");
    let in_flight = scene.revokes(3, Write, Null);
    let invalidation = scene.invalidation().expect("it began before");
    scene.heard();
    scene.client.close();
    assert_eq!(waiting.wait().map(drop).unwrap_err(), LockError::Closed);
    assert_eq!(locks.lock(range(2), Write).wait().map(drop).unwrap_err(), LockError::Closed);
    let descent = scene.revokes(2, Write, Null);
    assert_eq!(scene.heard(), [ToServer::Ceded(descent)], "without an invalidation");
    scene.grants(4, Null, Write);
    let descent = scene.revokes(4, Write, Null);
    assert_eq!(scene.heard(), [ToServer::Ceded(descent)], "also what was granted too late");
    assert!(guard.is_valid(), "who is in stays in");
    let descent = scene.revokes(1, Write, Null);
    assert_eq!(scene.heard(), []);
    drop(guard);
    assert_eq!(scene.heard(), [ToServer::Ceded(descent)]);
    invalidation.done();
    assert_eq!(scene.heard(), [ToServer::Ceded(in_flight)]);
    assert!(scene.invalidation().is_none());
    assert!(locks.dump().is_empty());
}

/// a lock that was asked for, and that nobody waits for by the time its server is gone.
#[test]
fn who_stopped_waiting_before_a_new_server_came_leaves_nothing_behind() {
    let mut scene = Scene::new();
    let locks = scene.locks.clone();
    let waiting = locks.lock(range(1), Write).try_now().expect_err("asks");
    drop(waiting);
    scene.cut();
    scene.later(Duration::from_secs(1));
    scene.connect();
    scene.recovers(2);
    scene.client.check();
    assert!(locks.dump().is_empty());
    scene.heard();
    scene.holds(1, Write);
}

/// The server gives away what a leaver held when it hears the farewell, which is before it answers.
#[test]
fn who_has_said_farewell_may_not_use_what_it_holds() {
    let mut scene = Scene::new();
    scene.holds(1, Write);
    let locks = scene.locks.clone();
    let guard = locks.try_lock(&range(1), Write).unwrap();
    scene.client.leave();
    assert_eq!(guard.check(), Err(GuardError::LeaseOver));
    assert_eq!(scene.client.lease_ends(), None);
    assert_eq!(locks.lock(range(1), Write).wait().map(drop).unwrap_err(), LockError::Closed);
    scene.later(Duration::from_secs(8));
    assert!(!guard.is_valid(), "whatever the server still answers");
    drop(guard);
    scene.client.check();
}

/// whatever a client is at, ending it leaves nothing behind but guards that say so.
#[test]
fn a_client_is_ended_in_whatever_state() {
    let mut scene = Scene::new();
    (1..=3).for_each(|number| scene.holds(number, Write));
    let locks = scene.locks.clone();
    let guard = locks.try_lock(&range(1), Write).unwrap();
    let waiting = locks.lock(range(4), Write).try_now().expect_err("asks");
    scene.revokes(3, Write, Null);
    let invalidation = scene.invalidation().unwrap();
    scene.heard();
    scene.client.abandon();
    assert_eq!(waiting.wait().map(drop).unwrap_err(), LockError::Closed);
    assert_eq!(guard.check(), Err(GuardError::Lost));
    assert_eq!(scene.heard(), []);
    drop(guard);
    invalidation.done();
    assert!(locks.dump().is_empty());
    scene.client.check();
}

/// Whoever handles the loss comes too late to open another session, which nobody would end.
#[test]
fn a_client_that_is_abandoned_while_a_loss_is_handled_stays_so() {
    let mut scene = Scene::new();
    scene.holds(1, Write);
    scene.cut();
    scene.later(PLAN.backoff);
    scene.connect();
    scene.is_expelled();
    let loss = scene.loss().expect("it is told");
    scene.client.abandon();
    loss.handled();
    assert_eq!(scene.client.next_tick(), None, "it is over");
    let refused = scene.locks.lock(range(1), Read).try_now().expect("at once");
    assert_eq!(refused.map(drop).unwrap_err(), LockError::Closed);
    scene.client.check();
}

/// A server that knows nothing of a lock says so: whoever uses it finds out, and nobody takes it anew before its cache is
/// dropped (P-12).
#[test]
fn a_lock_that_a_new_server_does_not_know_is_discarded_before_it_is_asked_for_again() {
    let mut scene = Scene::new();
    scene.holds(1, Write);
    scene.holds(2, Write);
    let locks = scene.locks.clone();
    let (guard, other) =
        (locks.try_lock(&range(1), Write).unwrap(), locks.try_lock(&range(2), Write).unwrap());
    let token = guard.token();
    scene.cut();
    scene.later(Duration::from_secs(1));
    scene.connect();
    scene.recovers(2);
    scene.heard();
    scene.says(ToClient::Lost(Lost { start: range(1).start(), token }));
    assert_eq!(guard.check(), Err(GuardError::Lost));
    assert_eq!(other.check(), Ok(()), "only this one");
    let waiting = locks.lock(range(1), Write).try_now().expect_err("waits");
    assert_eq!(scene.heard(), [], "H7");
    let discard = scene.invalidation().expect("what was cached is dropped");
    assert!(discard.is_lost() && discard.to() == Null);
    discard.done();
    assert_eq!(scene.heard(), [acquire(1, Null, Write)]);
    scene.grants(1, Null, Write);
    assert!(waiting.wait().unwrap().is_valid());
    scene.says(ToClient::Lost(Lost { start: range(1).start(), token }));
    assert!(scene.invalidation().is_none(), "of an older grant: it has been given up already");
    drop(guard);
    scene.client.check();
}

/// Of one session: were the second handled last, it would open a session while the loss of another one is not handled.
#[test]
fn a_loss_is_told_once_however_much_else_comes_with_it() {
    let mut scene = Scene::new();
    scene.holds(1, Write);
    scene.says_bytes_at_once(&[b"nothing", b"that makes sense"]);
    assert_eq!(scene.loss().expect("it is told").why(), Cause::Broken);
    assert!(scene.loss().is_none());
}
