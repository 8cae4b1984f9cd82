//! The machine, one event at a time: what is answered, exactly.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use tidelock_format::{ClientId, GrantSeq, Key, KeyRange, Term, Token};
use tidelock_lock_proto::{
    Acquire, Change, Descent, Granted, Held, Mode, Reason, Refused, Snapshot, ToClient, ToServer,
};

use crate::grants::{Answer, Grants, Limits, RestoreError, Violation};

const NOW: Duration = Duration::ZERO;
const TERM: Term = Term(5);

fn client(bits: u128) -> ClientId {
    ClientId::new(bits).unwrap()
}

fn range(start: u64, end: u64) -> KeyRange {
    KeyRange::new(Key::from_u64(start), Key::from_u64(end)).unwrap()
}

/// The lock that most stories are about.
fn lock() -> KeyRange {
    range(100, 199)
}

fn token(seq: u64) -> Token {
    Token { term: TERM, seq: GrantSeq(seq) }
}

fn change(from: Mode, to: Mode) -> Change {
    Change { from, to }
}

fn acquire(range: KeyRange, to: Mode) -> ToServer {
    ToServer::Acquire(Acquire { range, change: change(Mode::Null, to) })
}

fn descent(seq: u64, from: Mode, to: Mode) -> Descent {
    Descent { start: lock().start(), token: token(seq), change: change(from, to) }
}

fn granted(bits: u128, seq: u64, from: Mode, to: Mode) -> Answer {
    (client(bits), ToClient::Granted(Granted { range: lock(), change: change(from, to), token: token(seq) }))
}

fn revoke(bits: u128, seq: u64, from: Mode, to: Mode) -> Answer {
    (client(bits), ToClient::Revoke(descent(seq, from, to)))
}

fn refused(bits: u128, start: u64, wanted: Mode, reason: Reason) -> Answer {
    (client(bits), ToClient::Refused(Refused { start: Key::from_u64(start), wanted, reason }))
}

/// A machine whose invariants are looked at after each step.
struct Scene(Grants);

impl Scene {
    fn new() -> Self {
        Self(Grants::new(TERM, Limits::default()))
    }

    fn try_step(&mut self, bits: u128, message: ToServer) -> Result<Vec<Answer>, Violation> {
        let mut answers = Vec::new();
        self.0.step(client(bits), message, NOW, &mut answers)?;
        self.0.check();
        Ok(answers)
    }

    fn step(&mut self, bits: u128, message: ToServer) -> Vec<Answer> {
        self.try_step(bits, message).unwrap()
    }

    fn wants(&mut self, bits: u128, to: Mode) -> Vec<Answer> {
        self.step(bits, acquire(lock(), to))
    }

    fn cedes(&mut self, bits: u128, seq: u64, from: Mode, to: Mode) -> Vec<Answer> {
        self.step(bits, ToServer::Ceded(descent(seq, from, to)))
    }

    fn releases(&mut self, bits: u128, seq: u64, from: Mode, to: Mode) -> Vec<Answer> {
        self.step(bits, ToServer::Release(descent(seq, from, to)))
    }

    fn departs(&mut self, bits: u128) -> Vec<Answer> {
        let mut answers = Vec::new();
        assert!(self.0.depart(client(bits), usize::MAX, NOW, &mut answers));
        self.0.check();
        answers
    }
}

use Mode::{Null, Read, Write, WriteOnly};

#[test]
fn a_free_lock_is_granted_at_once() {
    let mut scene = Scene::new();
    assert_eq!(scene.wants(1, Write), [granted(1, 1, Null, Write)]);
    assert_eq!(scene.0.len(), 1);
}

#[test]
fn readers_share_and_so_do_blind_writers() {
    for mode in [Read, WriteOnly] {
        let mut scene = Scene::new();
        assert_eq!(scene.wants(1, mode), [granted(1, 1, Null, mode)]);
        assert_eq!(scene.wants(2, mode), [granted(2, 2, Null, mode)]);
    }
}

#[test]
fn a_writer_makes_way_for_a_reader_and_goes_on_reading() {
    let mut scene = Scene::new();
    scene.wants(1, Write);
    assert_eq!(scene.wants(2, Read), [revoke(1, 1, Write, Read)]);
    assert_eq!(scene.cedes(1, 1, Write, Read), [granted(2, 2, Null, Read)]);
    assert_eq!(scene.0.locks_from(Key::MIN).next().unwrap().holders().count(), 2);
}

/// K2: nothing is granted while anybody is still coming down.
#[test]
fn a_writer_waits_until_the_last_reader_has_ceded() {
    let mut scene = Scene::new();
    scene.wants(1, Read);
    scene.wants(2, Read);
    assert_eq!(scene.wants(3, Write), [revoke(1, 1, Read, Null), revoke(2, 2, Read, Null)]);
    assert_eq!(scene.cedes(2, 2, Read, Null), []);
    assert_eq!(scene.cedes(1, 1, Read, Null), [granted(3, 3, Null, Write)]);
}

#[test]
fn whoever_reads_and_wants_to_write_keeps_reading_while_others_make_way() {
    let mut scene = Scene::new();
    scene.wants(1, Read);
    scene.wants(2, Read);
    assert_eq!(scene.wants(1, Write), [revoke(2, 2, Read, Null)]);
    assert_eq!(scene.cedes(2, 2, Read, Null), [granted(1, 3, Read, Write)]);
}

#[test]
fn two_readers_who_both_want_to_write_get_it_one_after_the_other() {
    let mut scene = Scene::new();
    scene.wants(1, Read);
    scene.wants(2, Read);
    assert_eq!(scene.wants(1, Write), [revoke(2, 2, Read, Null)]);
    assert_eq!(scene.wants(2, Write), []);
    let first = scene.cedes(2, 2, Read, Null);
    assert_eq!(first, [granted(1, 3, Read, Write), revoke(1, 3, Write, Null)]);
    assert_eq!(scene.cedes(1, 3, Write, Null), [granted(2, 4, Null, Write)]);
}

#[test]
fn whoever_goes_from_reading_to_blind_writing_gives_up_its_cache_first() {
    let mut scene = Scene::new();
    scene.wants(1, Read);
    assert_eq!(scene.wants(1, WriteOnly), [revoke(1, 1, Read, Null)]);
    assert_eq!(scene.cedes(1, 1, Read, Null), [granted(1, 2, Null, WriteOnly)]);
}

#[test]
fn a_reader_behind_a_waiting_writer_waits_too_and_neighbours_are_granted_together() {
    let mut scene = Scene::new();
    scene.wants(1, Read);
    assert_eq!(scene.wants(2, Write), [revoke(1, 1, Read, Null)]);
    assert_eq!((scene.wants(3, Read), scene.wants(4, Read)), (vec![], vec![]));
    let first = scene.cedes(1, 1, Read, Null);
    assert_eq!(first, [granted(2, 2, Null, Write), revoke(2, 2, Write, Read)]);
    let then = scene.cedes(2, 2, Write, Read);
    assert_eq!(then, [granted(3, 3, Null, Read), granted(4, 4, Null, Read)]);
}

/// giving a lock back is one message, and nobody else hears of it.
#[test]
fn a_lock_that_is_given_back_disturbs_nobody() {
    let mut scene = Scene::new();
    scene.wants(1, Read);
    scene.wants(2, Read);
    assert_eq!(scene.releases(1, 1, Read, Null), []);
    assert_eq!(scene.releases(2, 2, Read, Null), []);
    assert!(scene.0.is_empty());
}

#[test]
fn a_writer_who_comes_down_to_reading_by_itself_lets_readers_in() {
    let mut scene = Scene::new();
    scene.wants(1, Write);
    assert_eq!(scene.releases(1, 1, Write, Read), []);
    assert_eq!(scene.wants(2, Read), [granted(2, 2, Null, Read)]);
}

#[test]
fn a_release_that_crosses_a_revocation_counts_for_nothing() {
    let mut scene = Scene::new();
    scene.wants(1, Write);
    assert_eq!(scene.wants(2, Read), [revoke(1, 1, Write, Read)]);
    assert_eq!(scene.releases(1, 1, Write, Null), []);
    assert_eq!(scene.cedes(1, 1, Write, Read), [granted(2, 2, Null, Read)]);
}

#[test]
fn a_release_of_a_grant_that_is_gone_counts_for_nothing() {
    let mut scene = Scene::new();
    scene.wants(1, Write);
    scene.releases(1, 1, Write, Null);
    scene.wants(1, Write);
    assert_eq!(scene.releases(1, 1, Write, Null), []);
    assert_eq!(scene.0.len(), 1, "the newer grant stands");
}

#[test]
fn a_client_that_is_gone_makes_way_and_waits_no_more() {
    let mut scene = Scene::new();
    scene.wants(1, Write);
    scene.wants(2, Write);
    scene.wants(3, Read);
    assert_eq!(scene.departs(2), []);
    assert_eq!(scene.departs(1), [granted(3, 2, Null, Read)]);
    assert_eq!(scene.departs(1), [], "again, and nothing is left to do");
}

#[test]
fn a_departure_can_be_done_in_parts() {
    let mut scene = Scene::new();
    for start in 0..5 {
        scene.step(1, acquire(range(start, start), Write));
        scene.step(2, acquire(range(start, start), Write));
    }
    let mut answers = Vec::new();
    for parts in [false, false, true] {
        assert_eq!(scene.0.depart(client(1), 2, NOW, &mut answers), parts);
        scene.0.check();
    }
    assert_eq!(answers.len(), 5, "each lock went to who waited for it");
}

/// two names for one key would be two caches of one item.
#[test]
fn locks_that_share_a_key_are_refused() {
    let mut scene = Scene::new();
    scene.wants(1, Read);
    for (start, end) in [(100, 150), (100, 250), (50, 100), (150, 160), (199, 300), (0, 1000)] {
        let expected = [refused(2, start, Read, Reason::Overlaps)];
        assert_eq!(scene.step(2, acquire(range(start, end), Read)), expected, "{start} to {end}");
    }
    for (start, end) in [(0, 99), (200, 300)] {
        assert_eq!(scene.step(2, acquire(range(start, end), Read)).len(), 1);
    }
    assert_eq!(scene.0.len(), 3);
}

#[test]
fn wants_that_mean_nothing_are_refused() {
    let mut scene = Scene::new();
    assert_eq!(scene.wants(1, Null), [refused(1, 100, Null, Reason::Pointless)]);
    scene.wants(1, Write);
    assert_eq!(scene.wants(1, Read), [refused(1, 100, Read, Reason::Pointless)]);
    scene.wants(2, Write);
    assert_eq!(scene.wants(2, Write), [refused(2, 100, Write, Reason::Busy)], "K3");
    assert_eq!(scene.0.len(), 1);
}

#[test]
fn a_client_gets_no_more_locks_than_one_may_have() {
    let mut scene = Scene(Grants::new(TERM, Limits { locks_per_client_max: 2 }));
    scene.step(1, acquire(range(0, 0), Read));
    scene.step(1, acquire(range(1, 1), Read));
    let third = acquire(range(2, 2), Read);
    assert_eq!(scene.step(1, third.clone()), [refused(1, 2, Read, Reason::TooMany)]);
    assert_eq!(scene.step(1, acquire(range(1, 1), Write)).len(), 1, "a lock that it has may grow");
    assert_eq!(scene.step(2, third).len(), 1, "others have their own");
}

#[test]
fn a_client_that_cedes_what_it_was_not_told_to_breaks_the_protocol() {
    let mut scene = Scene::new();
    scene.wants(1, Write);
    let start = lock().start();
    let unasked = |seq| Err(Violation::Unasked { start, token: token(seq) });
    let ceded = |seq, from, to| ToServer::Ceded(descent(seq, from, to));
    assert_eq!(scene.try_step(1, ceded(1, Write, Null)), unasked(1));
    scene.wants(2, Read);
    assert_eq!(scene.try_step(1, ceded(1, Write, Null)), unasked(1), "it was told to go on reading");
    assert_eq!(scene.try_step(1, ceded(9, Write, Read)), unasked(9));
    assert_eq!(scene.try_step(2, ceded(1, Write, Read)), unasked(1), "another's grant");
    assert_eq!(scene.cedes(1, 1, Write, Read).len(), 1, "nothing of that did harm");
    let up = ToServer::Release(descent(1, Read, Write));
    assert!(matches!(scene.try_step(1, up), Err(Violation::NoDescent { .. })));
    let snapshot = ToServer::Snapshot(Snapshot::default());
    assert_eq!(scene.try_step(1, snapshot), Err(Violation::OutOfPlace));
}

/// States are told apart by what can happen next, not by what has been: else tests of all orders would have no end.
#[test]
fn two_machines_are_the_same_if_their_locks_are_whatever_came_and_went_before() {
    let digest = |grants: &Grants| {
        let mut hasher = DefaultHasher::new();
        grants.locks.hash(&mut hasher);
        hasher.finish()
    };
    let (mut one, mut other) = (Scene::new(), Scene::new());
    one.step(1, acquire(range(0, 9), Write));
    one.wants(2, Write);
    one.departs(1);
    other.wants(1, Write);
    other.departs(1);
    other.wants(2, Write);
    assert_eq!(one.0, other.0);
    assert_eq!(digest(&one.0), digest(&other.0));
    one.wants(1, Read);
    assert_ne!(one.0, other.0);
    assert_ne!(digest(&one.0), digest(&other.0));
}

#[test]
fn a_crowd_that_is_gone_leaves_no_memory_behind() {
    let mut scene = Scene::new();
    for bits in 1..9 {
        scene.wants(bits, Read);
    }
    for bits in 9..17 {
        scene.wants(bits, Write);
    }
    for bits in (1..17).rev() {
        scene.departs(bits);
    }
    scene.wants(1, Read);
    let (_, lock) = scene.0.locks.places().next().unwrap();
    assert!(!lock.grants.spilled() && !lock.wants.spilled());
}

/// A client that acquires before its snapshot has come whole: one share is enough.
#[test]
fn a_client_that_wants_what_it_then_restores_has_it_once() {
    let mut scene = Scene(Grants::recovering(TERM, Limits::default()));
    assert_eq!(scene.wants(1, Write), []);
    scene.0.restore(client(1), held(lock(), Read, 4), NOW).unwrap();
    scene.0.check();
    let mut answers = Vec::new();
    scene.0.open(NOW, &mut answers);
    scene.0.check();
    assert_eq!(answers, [granted(1, 1, Read, Write)]);
    assert_eq!(scene.departs(1), []);
    assert!(scene.0.is_empty());
}

#[test]
fn a_client_that_withdraws_keeps_what_it_holds_and_wants_nothing() {
    let mut scene = Scene::new();
    scene.wants(1, Read);
    scene.wants(2, Read);
    assert_eq!(scene.wants(1, Write), [revoke(2, 2, Read, Null)]);
    for start in [0, 10, 20] {
        scene.step(2, acquire(range(start, start), Write));
        scene.step(1, acquire(range(start, start), Write));
        scene.step(3, acquire(range(start, start), Read));
    }
    let mut left = scene.0.share(client(1));
    assert_eq!(left, 4);
    for rest in [3, 2, 1, 0] {
        left = scene.0.withdraw(client(1), left, 1, NOW, &mut Vec::new());
        assert_eq!(left, rest);
        scene.0.check();
    }
    assert_eq!(scene.0.share(client(1)), 1);
    assert_eq!(scene.cedes(2, 2, Read, Null), [], "nobody waits any more");
    assert_eq!(scene.releases(1, 1, Read, Null), []);
    assert_eq!(scene.0.share(client(1)), 0);
}

/// A machine with a table from an earlier server: these locks, and who holds each.
fn entered(locks: &[(KeyRange, &[(u128, Mode)])]) -> Result<Scene, RestoreError> {
    let mut grants = Grants::recovering(TERM, Limits::default());
    for (range, holders) in locks {
        let holders = holders.iter().map(|(bits, mode)| (client(*bits), *mode, held(*range, *mode, 4).token));
        grants.enter(*range, holders, NOW)?;
        grants.check();
    }
    grants.open_entered();
    grants.check();
    Ok(Scene(grants))
}

#[test]
fn a_client_that_says_less_than_the_table_has_less_and_others_are_served() {
    let mut scene = entered(&[(lock(), &[(1, Write)]), (range(200, 200), &[(1, Read)])]).unwrap();
    assert_eq!(scene.wants(2, Read), [], "client 1 may know nothing of it yet");
    let mut reconcile = |told: Held| {
        let mut answers = Vec::new();
        let taken = scene.0.reconcile(client(1), 0, &told, NOW, &mut answers);
        scene.0.check();
        (taken, answers)
    };
    assert_eq!(reconcile(held(lock(), Read, 4)), (Some(true), vec![granted(2, 1, Null, Read)]));
    assert_eq!(reconcile(held(lock(), Read, 4)), (None, vec![]), "it told of it before");
    assert_eq!(reconcile(held(range(0, 9), Read, 4)), (None, vec![]), "the table says nothing");
    assert_eq!(reconcile(held(range(200, 200), Write, 4)), (Some(false), vec![]), "more than the table says");
    assert_eq!((scene.0.share(client(1)), scene.0.len()), (1, 1));
}

#[test]
fn a_client_is_told_to_come_down_when_it_has_told_of_the_lock() {
    let mut scene = entered(&[(lock(), &[(1, Write)])]).unwrap();
    assert_eq!(scene.wants(2, Read), []);
    let mut answers = Vec::new();
    let taken = scene.0.reconcile(client(1), 1, &held(lock(), Write, 4), NOW, &mut answers);
    scene.0.check();
    assert!(matches!(answers[..], [(to, ToClient::Revoke(_))] if to == client(1)));
    assert_eq!(taken, Some(true));
}

#[test]
fn of_what_a_client_did_not_tell_it_holds_nothing() {
    let mut scene = entered(&[
        (range(0, 9), &[(1, Read), (2, Read)]),
        (lock(), &[(1, Write)]),
        (range(200, 200), &[(1, Read)]),
    ])
    .unwrap();
    assert_eq!(scene.wants(2, Read), []);
    let mut answers = Vec::new();
    assert_eq!(
        scene.0.reconcile(client(1), 1, &held(range(200, 200), Read, 4), NOW, &mut answers),
        Some(true)
    );
    scene.0.deny_untold(client(1), NOW, &mut answers);
    scene.0.check();
    assert_eq!(answers, [granted(2, 1, Null, Read)]);
    assert_eq!((scene.0.share(client(1)), scene.0.share(client(2)), scene.0.len()), (1, 2, 3));
}

#[test]
fn a_table_that_cannot_be_is_not_entered() {
    let refused = |locks: &[(KeyRange, &[(u128, Mode)])]| entered(locks).map(|_| ()).unwrap_err();
    let first: (KeyRange, &[(u128, Mode)]) = (lock(), &[(1, Read)]);
    assert!(matches!(refused(&[first, (range(150, 250), &[(2, Read)])]), RestoreError::Overlaps { .. }));
    assert!(matches!(refused(&[first, (range(0, 9), &[(2, Read)])]), RestoreError::Overlaps { .. }), "order");
    assert!(matches!(refused(&[(lock(), &[(1, Read), (2, Write)])]), RestoreError::Conflict { .. }));
    assert!(matches!(refused(&[(lock(), &[(1, Read), (1, Read)])]), RestoreError::Conflict { .. }), "twice");
    assert!(matches!(refused(&[(lock(), &[(1, Null)])]), RestoreError::NeverGranted { .. }));
    let mut grants = Grants::recovering(Term(4), Limits::default());
    let late = grants.enter(lock(), [(client(1), Read, held(lock(), Read, 4).token)].into_iter(), NOW);
    assert!(matches!(late, Err(RestoreError::NeverGranted { .. })), "of this term");
    let mut scene = Scene::new();
    let late = scene.0.enter(lock(), [(client(1), Read, held(lock(), Read, 4).token)].into_iter(), NOW);
    assert!(matches!(late, Err(RestoreError::TooLate { .. })));
}

#[test]
#[should_panic(expected = "seeds are set before the first lock")]
fn seeds_are_not_set_among_locks() {
    let mut scene = Scene::new();
    scene.wants(1, Read);
    let _ = scene.0.seeded([0; 4]);
}

fn held(range: KeyRange, mode: Mode, term: u64) -> Held {
    Held { range, mode, token: Token { term: Term(term), seq: GrantSeq(77) } }
}

/// K5, A-20: a new server grants nothing before all have said what they held, and its tokens outrank all that were granted
/// before although it has never seen one.
#[test]
fn after_a_restart_locks_are_restored_before_any_is_granted() {
    let mut scene = Scene(Grants::recovering(TERM, Limits::default()));
    scene.0.restore(client(1), held(lock(), Write, 4), NOW).unwrap();
    assert_eq!(scene.wants(2, Read), []);
    assert_eq!(scene.step(3, acquire(range(0, 9), Write)), []);
    let mut answers = Vec::new();
    scene.0.open(NOW, &mut answers);
    scene.0.check();
    let [(_, ToClient::Granted(free)), (_, ToClient::Revoke(way))] = answers[..] else {
        panic!("one is free, the other is in the way: {answers:?}")
    };
    assert!(free.token > way.token);
    assert_eq!(way.token.term, Term(4));
    let ceded = scene.step(1, ToServer::Ceded(way));
    assert!(matches!(ceded[..], [(to, ToClient::Granted(_))] if to == client(2)));
}

#[test]
fn what_cannot_have_been_held_is_not_restored() {
    let mut grants = Grants::recovering(TERM, Limits::default());
    grants.restore(client(1), held(lock(), Read, 4), NOW).unwrap();
    let mut restore = |bits, held| {
        let result = grants.restore(client(bits), held, NOW);
        grants.check();
        result.unwrap_err()
    };
    let conflict = restore(2, held(lock(), Write, 4));
    assert!(matches!(conflict, RestoreError::Conflict { holder, .. } if holder == client(1)));
    assert!(matches!(restore(1, held(lock(), Read, 4)), RestoreError::Conflict { .. }), "twice");
    assert!(matches!(restore(2, held(range(150, 250), Read, 4)), RestoreError::Overlaps { .. }));
    assert!(matches!(restore(2, held(range(0, 9), Read, 5)), RestoreError::NeverGranted { .. }));
    assert!(matches!(restore(2, held(range(0, 9), Null, 4)), RestoreError::NeverGranted { .. }));
    grants.open(NOW, &mut Vec::new());
    let late = grants.restore(client(3), held(range(0, 9), Read, 4), NOW);
    assert!(matches!(late, Err(RestoreError::TooLate { .. })));
}

#[test]
fn one_sees_who_waits_for_whom_and_since_when() {
    let mut scene = Scene::new();
    scene.wants(1, Read);
    let later = Duration::from_secs(3);
    for (bits, mode) in [(2, Write), (3, Read)] {
        scene.0.step(client(bits), acquire(lock(), mode), later, &mut Vec::new()).unwrap();
    }
    let view = scene.0.locks_from(Key::MIN).next().unwrap();
    let holder = view.holders().next().unwrap();
    assert_eq!((holder.client, holder.descends_to, holder.since), (client(1), Some(Null), NOW));
    let waiters: Vec<_> = view.waiters().map(|waiter| (waiter.client, waiter.since, waiter.behind)).collect();
    assert_eq!(waiters, [(client(2), later, vec![client(1)]), (client(3), later, vec![client(2)])]);
}
