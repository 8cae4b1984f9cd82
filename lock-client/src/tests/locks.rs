//! Taking, sharing, giving back.

use std::time::Duration;

use tidelock_lock_proto::{Change, Mode, Reason, Refused, ToClient, ToServer};

use super::scene::{Scene, acquire, config, range};
use crate::{Cause, Config, LockError, Phase};

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

/// the next revocation comes as soon as the last was answered, before anything else is done about it.
#[test]
fn a_lock_that_is_called_back_again_as_soon_as_it_was_given_up_is_given_up_again() {
    let mut scene = Scene::new();
    scene.holds(1, Write);
    let locks = scene.locks.clone();
    scene.revokes(1, Write, Null);
    let waits = locks.lock(range(1), Read).try_now().expect_err("nobody new gets in");
    let invalidation = scene.invalidation().expect("nobody uses it");
    invalidation.done();
    assert!(
        matches!(scene.heard()[..], [ToServer::Acquire(_), ToServer::Ceded(_)]),
        "asked while it came down"
    );
    scene.grants(1, Null, Read);
    let again = scene.revokes(1, Read, Null);
    let guard = waits.wait().unwrap();
    assert!(guard.is_valid() && scene.invalidation().is_none(), "who waited has its turn");
    drop(guard);
    scene.invalidation().expect("and then it is given up").done();
    assert_eq!(scene.heard(), [ToServer::Ceded(again)]);
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
