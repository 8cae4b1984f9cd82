//! Taking, sharing, giving back, losing.

use std::time::Duration;

use tidelock_format::{Incarnation, Term};
use tidelock_lock_proto::{Change, Descent, Lost, Mode, Reason, Refused, ToClient, ToServer};

use super::scene::{PLAN, Scene, acquire, config, range};
use crate::{Cause, Config, GuardError, LockError, Phase};

use Mode::{Null, Read, Write, WriteOnly};

fn no_time() -> Duration {
    Duration::ZERO
}

#[test]
fn a_lock_is_asked_for_once_and_then_taken_without_a_message() {
    let mut scene = Scene::new();
    let locks = scene.locks.clone();
    let first = locks.lock(range(1), Write).try_now().expect_err("it has to ask");
    let second = locks.lock(range(1), Read).try_now().expect_err("somebody has asked already");
    assert_eq!(scene.heard(), [acquire(1, Null, Write)], "H2: one question");
    scene.grants(1, Null, Write);
    let (first, second) = (first.wait().unwrap(), second.wait().unwrap());
    assert_eq!(
        (first.mode(), second.mode()),
        (Write, Read),
        "a writer's lock lets others of its client read"
    );
    assert_eq!(first.token(), scene.token());
    drop((first, second));
    assert!(locks.try_lock(&range(1), Write).is_some_and(|guard| guard.is_valid()));
    assert!(locks.lock(range(1), Read).is_ready(), "it is kept");
    assert!(locks.try_lock(&range(1), WriteOnly).is_none(), "writing alone is another thing");
    assert_eq!(scene.heard(), []);
}

///
#[test]
fn a_lock_that_is_called_back_is_drained_invalidated_and_ceded_in_this_order() {
    let mut scene = Scene::new();
    scene.holds(1, Write);
    let locks = scene.locks.clone();
    let writer = locks.try_lock(&range(1), Write).unwrap();
    writer.stamp(17);
    let coverage = writer.coverage();
    let descent = scene.revokes(1, Write, Null);
    assert!(locks.try_lock(&range(1), Read).is_none(), "nobody new gets in (A-37)");
    assert!(writer.is_valid(), "who is in stays in");
    assert!(scene.invalidation().is_none() && scene.heard().is_empty(), "it is drained first");
    assert_eq!(locks.dump()[0].phase, Phase::Draining);
    assert!(locks.covers(&coverage));
    drop(writer);
    let invalidation = scene.invalidation().expect("nobody uses it any more");
    assert_eq!((invalidation.from(), invalidation.to(), invalidation.stamp()), (Write, Null, 17));
    assert!(!locks.covers(&coverage), "A-35: what was covered is not, before caches are dropped");
    assert_eq!(scene.heard(), [], "caches are dropped first");
    invalidation.done();
    assert_eq!(scene.heard(), [ToServer::Ceded(descent)]);
    assert!(locks.dump().is_empty());
}

#[test]
fn a_writer_that_makes_way_for_readers_goes_on_reading() {
    let mut scene = Scene::new();
    scene.holds(1, Write);
    let locks = scene.locks.clone();
    let reader = locks.try_lock(&range(1), Read).unwrap();
    let generation = reader.refresh_gen();
    let coverage = reader.coverage();
    let descent = scene.revokes(1, Write, Read);
    assert!(locks.try_lock(&range(1), Read).is_some(), "readers come and go meanwhile");
    let writer = locks.lock(range(1), Write).try_now().expect_err("writers do not");
    scene.invalidation().expect("a reader is not in the way").done();
    let said = scene.heard();
    assert_eq!(said, [acquire(1, Write, Write), ToServer::Ceded(descent)], "asked while it comes down");
    assert_eq!(locks.try_lock(&range(1), Read).unwrap().refresh_gen(), generation, "the cache is kept");
    assert!(locks.covers(&coverage));
    scene.grants(1, Read, Write);
    drop(writer.wait().unwrap());
    assert_eq!(reader.refresh_gen(), generation, "A-9: reading never ended");
}

/// re-entry with a guard in hand does not wait behind the invalidation that waits for that guard.
#[test]
fn who_holds_a_lock_takes_it_again_although_it_was_called_back() {
    let mut scene = Scene::new();
    scene.holds(1, Write);
    let locks = scene.locks.clone();
    let outer = locks.try_lock(&range(1), Write).unwrap();
    scene.revokes(1, Write, Null);
    let inner = outer.again(Read).expect("writing includes reading");
    drop(outer);
    assert!(scene.invalidation().is_none(), "the second use counts");
    assert!(inner.again(Write).is_none(), "a reader cannot become a writer so");
    drop(inner);
    assert!(scene.invalidation().is_some());
}

/// What it remembers is a place, and another lock may be there by now.
#[test]
fn a_named_lock_is_the_same_lock_wherever_it_is() {
    let mut scene = Scene::new();
    let locks = scene.locks.clone();
    let named = locks.named(range(1));
    let waits = named.lock(Read).try_now().expect_err("it has to ask");
    assert_eq!(scene.heard(), [acquire(1, Null, Read)]);
    scene.grants(1, Null, Read);
    drop(waits.wait().unwrap());
    assert!(named.lock(Read).is_ready(), "looked for");
    assert!(named.try_lock(Read).is_some_and(|guard| guard.range() == range(1)), "and found again");
    scene.revokes(1, Read, Null);
    assert!(named.try_lock(Read).is_none(), "nobody new gets in (A-37)");
    scene.invalidation().expect("nobody uses it").done();
    assert!(named.try_lock(Read).is_none());
    scene.heard();
    scene.holds(2, Read);
    assert!(named.try_lock(Read).is_none(), "that is another");
    scene.holds(1, Read);
    assert_eq!(named.try_lock(Read).unwrap().range(), range(1));
    assert_eq!(locks.dump().iter().map(|lock| lock.readers).sum::<u64>(), 0);
}

/// Readers that meet get words of their own. A revocation waits for all of them, whatever threads they leave on.
#[test]
fn readers_in_a_crowd_are_all_waited_for() {
    let mut scene = Scene::new();
    scene.holds(1, Read);
    let locks = scene.locks.clone();
    let crowd = || -> Vec<_> {
        let taken = (0..50).map(|_| locks.own(locks.try_lock(&range(1), Read).unwrap()));
        taken.collect()
    };
    let threads = || {
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(crowd)).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        })
    };
    let (before, mut after) = (threads(), threads());
    assert_eq!(locks.dump()[0].readers, 400);
    scene.revokes(1, Read, Null);
    assert!(locks.try_lock(&range(1), Read).is_none());
    let last = after.pop();
    drop((before, after));
    assert!(scene.invalidation().is_none(), "one is left");
    drop(last);
    scene.invalidation().expect("nobody is").done();
    assert!(locks.dump().is_empty());
}

#[test]
fn a_guard_that_is_downgraded_lets_the_lock_come_down() {
    let mut scene = Scene::new();
    scene.holds(1, Write);
    let locks = scene.locks.clone();
    let mut guard = locks.try_lock(&range(1), Write).unwrap();
    scene.revokes(1, Write, Read);
    assert!(scene.invalidation().is_none());
    guard.downgrade();
    assert_eq!(guard.mode(), Read);
    assert!(scene.invalidation().is_some());
}

/// there is nothing to be remembered of it.
#[test]
fn a_lock_that_is_not_held_is_ceded_at_once() {
    let mut scene = Scene::new();
    let descent = scene.revokes(9, Read, Null);
    assert_eq!(scene.heard(), [ToServer::Ceded(descent)]);
    assert!(scene.locks.dump().is_empty());
}

/// who waited gets the lock when it comes, not a chance to ask again.
#[test]
fn two_local_waiters_of_conflicting_modes_both_get_their_turn() {
    let mut scene = Scene::new();
    let locks = scene.locks.clone();
    let blind = locks.lock(range(1), WriteOnly).try_now().expect_err("asks");
    let reader = locks.lock(range(1), Read).try_now().expect_err("waits");
    assert_eq!(scene.heard(), [acquire(1, Null, WriteOnly)]);
    scene.grants(1, Null, WriteOnly);
    assert_eq!(scene.heard(), [acquire(1, WriteOnly, Read)], "the next is asked for at once");
    let descent = scene.revokes(1, WriteOnly, Null);
    assert!(scene.invalidation().is_none(), "it was handed out to the first, who has not looked yet");
    drop(blind.wait().unwrap());
    scene.invalidation().unwrap().done();
    assert_eq!(scene.heard(), [ToServer::Ceded(descent)]);
    scene.grants(1, Null, Read);
    assert_eq!(reader.wait().unwrap().mode(), Read);
}

/// who stops waiting leaves nothing behind, whenever that is.
#[test]
fn who_waits_no_longer_gives_up_what_came_too_late() {
    let mut scene = Scene::new();
    let locks = scene.locks.clone();
    let waiting = locks.lock(range(1), Write).wait_timeout(no_time()).expect_err("it takes longer");
    drop(waiting);
    assert_eq!(scene.heard().len(), 1);
    scene.grants(1, Null, Write);
    let info = locks.dump()[0].clone();
    assert_eq!((info.held, info.writers, info.waiters), (Write, 0, 0), "it is kept, and nobody uses it");
    let waiting = locks.lock(range(2), Write).try_now().expect_err("asks");
    scene.grants(2, Null, Write);
    drop(waiting);
    assert_eq!(locks.dump()[1].writers, 0);
    scene.revokes(2, Write, Null);
    assert!(scene.invalidation().is_some(), "nobody is in the way");
}

///
#[test]
fn ranges_that_share_keys_with_another_lock_are_refused_here_and_by_the_server() {
    let mut scene = Scene::new();
    scene.holds(1, Read);
    let locks = scene.locks.clone();
    let wide = tidelock_format::KeyRange::new(range(1).start(), range(2).end()).unwrap();
    let error = locks.lock(wide, Read).wait().map(drop).unwrap_err();
    assert_eq!(error, LockError::Overlaps { range: wide.into() });
    let waiting = locks.lock(range(3), Read).try_now().expect_err("asks");
    scene.says(ToClient::Refused(Refused {
        start: range(3).start(),
        wanted: Read,
        reason: Reason::Overlaps,
    }));
    assert_eq!(waiting.wait().map(drop).unwrap_err(), LockError::Overlaps { range: range(3).into() });
    assert_eq!(locks.dump().len(), 1, "nothing is left of it");
}

/// one is given back for one that is taken, and not before its cache is dropped.
#[test]
fn beyond_the_limit_idle_locks_are_given_back_as_others_are_taken() {
    let mut scene = Scene::with(Config { idle_locks_max: 3, ..config() });
    (1..=3).for_each(|number| scene.holds(number, Read));
    assert!(scene.invalidation().is_none());
    let locks = scene.locks.clone();
    let used = locks.try_lock(&range(1), Read).unwrap();
    for number in 4..=8 {
        scene.holds(number, Read);
        while let Some(invalidation) = scene.invalidation() {
            assert_ne!(invalidation.range(), range(1), "it is in use");
            let start = invalidation.range().start();
            invalidation.done();
            let said = scene.heard();
            let [ToServer::Release(release)] = said[..] else { panic!("{said:?}") };
            assert_eq!((release.start, release.change), (start, Change { from: Read, to: Null }));
        }
    }
    assert!((3..=5).contains(&locks.dump().len()), "{} locks", locks.dump().len());
    assert!(used.is_valid());
}

#[test]
fn several_locks_are_taken_in_order_or_not_at_all() {
    let mut scene = Scene::new();
    let locks = scene.locks.clone();
    let all = locks.lock_all([(range(3), Read), (range(1), Read), (range(3), Write), (range(2), Write)]);
    let all = all.try_now().expect_err("asks");
    assert_eq!(scene.heard(), [acquire(1, Null, Read)], "the first of them first");
    scene.grants(1, Null, Read);
    let all = all.try_now().expect_err("asks for the next");
    assert_eq!(scene.heard(), [acquire(2, Null, Write)]);
    scene.grants(2, Null, Write);
    let all = all.try_now().expect_err("asks for the last");
    assert_eq!(scene.heard(), [acquire(3, Null, Write)], "twice named, taken once");
    let refused = Refused { start: range(3).start(), wanted: Write, reason: Reason::TooMany };
    scene.says(ToClient::Refused(refused));
    assert_eq!(all.wait().map(drop).unwrap_err(), LockError::TooMany);
    assert!(locks.dump().iter().all(|info| (info.readers, info.writers) == (0, 0)), "nothing is kept in use");
}

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

/// K3: a server that calls a lock back again and again makes nothing grow; its session is given up.
#[test]
fn a_lock_that_is_called_back_twice_is_called_back_by_no_server_of_ours() {
    let mut scene = Scene::new();
    scene.holds(1, Write);
    scene.revokes(1, Write, Null);
    assert!(scene.loss().is_none());
    scene.revokes(1, Write, Null);
    assert_eq!(scene.loss().expect("nothing can be relied on").why(), Cause::Broken);
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
