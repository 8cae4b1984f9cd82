//! Servers that die, and those that begin.

use tidelock_authority::{Authority as _, ClientState};
use tidelock_format::{GrantSeq, Incarnation, Term, Token};
use tidelock_lock_proto::{Lost, Mode, Snapshot, ToClient, ToServer};
use tidelock_net::Verdict;

use super::rig::{LEASE, PLAN, Puppet, Rig, Said, acquire, held, range, seconds, wanted};
use crate::{Expulsion, Phase, Standing};

/// Two clients that hold a lock each, and a server that has died since.
fn two_holders() -> (Rig, [(Puppet, Token); 2]) {
    let mut rig = Rig::new();
    let holders = [1, 2].map(|instance| {
        let mut puppet = rig.come(instance);
        let token = rig.grant(&mut puppet, instance as u64, Mode::Write);
        (puppet, token)
    });
    (rig.restart(), holders)
}

/// G-14: also that there is nobody to wait for is durable before anything is granted.
#[test]
fn a_server_that_knows_no_client_waits_for_none() {
    let rig = Rig::new();
    assert_eq!((rig.server.phase(), rig.now.as_millis()), (Phase::Serving, 0));
    assert_eq!(rig.authority.meta().unwrap().recovering, None);

    let mut rig = Rig::recovering(super::rig::config(), rig.authority, rig.now);
    rig.is_prompt = false;
    rig.tick();
    assert_eq!(rig.server.phase(), Phase::Recovering);
}

/// K5, G-01: whoever comes first waits until the last has told what it held.
#[test]
fn nothing_is_granted_before_every_client_of_the_last_server_has_told_what_it_held() {
    let (mut rig, [(mut one, first), (mut two, second)]) = two_holders();
    assert!(matches!(rig.come_again(&mut one), Verdict::Recover { .. }));
    rig.snapshot(&mut one, vec![held(1, Mode::Write, first)], vec![wanted(2, Mode::Null, Mode::Read)]);
    let mut new = rig.come(3);
    rig.say(&mut new, acquire(3, Mode::Null, Mode::Write));
    rig.say(&mut new, acquire(1, Mode::Null, Mode::Write));
    assert_eq!(
        (rig.told(&mut one).len(), rig.told(&mut new)),
        (1, vec![]),
        "a part was taken, and nothing else"
    );
    let grace = rig.server.grace();
    assert_eq!((grace.missing.len(), grace.missing[0].party), (1, two.party()));
    assert_eq!(grace.missing[0].standing, Standing::Unheard);

    rig.come_again(&mut two);
    rig.snapshot(&mut two, vec![held(2, Mode::Write, second)], vec![]);
    assert_eq!(rig.server.grace().deadline, None);
    assert!(matches!(rig.told(&mut two)[..], [ToClient::SnapshotTaken(_), ToClient::Revoke(_)]));
    assert!(matches!(rig.told(&mut one)[..], [ToClient::Revoke(_)]));
    assert!(matches!(&rig.told(&mut new)[..], [ToClient::Granted(granted)] if granted.range == range(3)));
    assert_eq!(rig.record(1).unwrap().grace.len(), 1);
}

/// K5: a server that grants before it is durable that the grace is over asks the wrong clients after the next crash.
#[test]
fn nothing_is_granted_before_the_end_of_the_grace_is_durable() {
    let (mut rig, [(mut one, first), (mut two, second)]) = two_holders();
    rig.come_again(&mut one);
    rig.snapshot(&mut one, vec![held(1, Mode::Write, first)], vec![wanted(9, Mode::Null, Mode::Read)]);
    rig.told(&mut one);
    rig.come_again(&mut two);
    rig.is_prompt = false;
    rig.snapshot(&mut two, vec![held(2, Mode::Write, second)], vec![]);
    rig.apply_next();
    assert_eq!((rig.server.phase(), rig.told(&mut one)), (Phase::Recovering, vec![]));
    rig.apply_next();
    assert_eq!((rig.server.phase(), rig.told(&mut one).len()), (Phase::Serving, 1));
}

/// A client counts as recovered when that is durable: else a crash right after would forget that it had to be asked.
#[test]
fn a_client_has_recovered_when_that_is_durable() {
    let (mut rig, [(mut one, first), (mut two, second)]) = two_holders();
    rig.come_again(&mut two);
    rig.snapshot(&mut two, vec![held(2, Mode::Write, second)], vec![]);
    rig.come_again(&mut one);
    rig.is_prompt = false;
    rig.snapshot(&mut one, vec![held(1, Mode::Write, first)], vec![]);
    assert_eq!(rig.server.grace().missing[0].standing, Standing::Told);
    assert_eq!(rig.asked.len(), 1, "the grace does not end before");
}

/// G-05, A-96.
#[test]
fn the_grace_is_counted_anew_when_somebody_gets_on_and_ends_all_the_same() {
    let (mut rig, [(mut one, first), (two, _)]) = two_holders();
    rig.pass(seconds(10));
    rig.come_again(&mut one);
    let began = rig.now;
    let part =
        |number| Snapshot { held: vec![held(number, Mode::Read, first)], wanted: vec![], is_last: false };
    for number in 10..17 {
        rig.pass(seconds(7));
        rig.say(&mut one, ToServer::Snapshot(part(number)));
        assert_eq!(rig.server.phase(), Phase::Recovering);
        let most = began - seconds(10) + PLAN.grace_max;
        assert_eq!(rig.server.grace().deadline, Some((rig.now + PLAN.grace).min(most)));
    }
    rig.snapshot(&mut one, vec![], vec![]);
    rig.pass(seconds(10));
    assert_eq!(rig.server.phase(), Phase::Serving);
    assert_eq!(rig.why(), Some(&Expulsion::Missing));
    assert_eq!(rig.come_again(&mut two.clone()), Verdict::Expelled { upto: Incarnation(1) });
    assert_eq!(rig.holders(10), [(one.party(), Mode::Read)]);
}

/// A missing client's locks are given to others only when its lease is over, that counts from when this server began.
///
#[test]
fn who_does_not_come_back_is_expelled_and_then_locks_are_granted() {
    let (mut rig, [(mut one, first), _]) = two_holders();
    rig.come_again(&mut one);
    rig.snapshot(&mut one, vec![held(1, Mode::Write, first)], vec![wanted(2, Mode::Null, Mode::Write)]);
    rig.told(&mut one);
    rig.pass(seconds(15));
    rig.ping(&one);
    rig.pass(seconds(15));
    rig.ping(&one);
    assert_eq!(rig.granted(&mut one), None);
    rig.pass(seconds(2));
    assert!(rig.granted(&mut one).is_some());
    assert_eq!(rig.record(2), None);
}

/// G-03: the list of who may reclaim does not depend on who came to the server that died.
#[test]
fn a_recovery_that_was_broken_off_begins_again_with_the_same_clients() {
    let (mut rig, [(mut one, first), (mut two, second)]) = two_holders();
    rig.come_again(&mut one);
    rig.snapshot(&mut one, vec![held(1, Mode::Write, first)], vec![]);
    let mut new = rig.come(3);
    let mut rig = rig.restart();
    assert_eq!(rig.server.grace().missing.len(), 2, "the new one held nothing");
    for (puppet, held) in [(&mut one, held(1, Mode::Write, first)), (&mut two, held(2, Mode::Write, second))]
    {
        assert!(matches!(rig.come_again(puppet), Verdict::Recover { .. }));
        rig.snapshot(puppet, vec![held], vec![]);
    }
    assert_eq!(rig.server.phase(), Phase::Serving);
    assert_eq!((rig.holders(1).len(), rig.holders(2).len()), (1, 1));
    // R5: the session that was opened meanwhile can only be opened anew.
    assert_eq!(rig.come_again(&mut new), Verdict::Expelled { upto: Incarnation(1) });
    new.incarnation = Incarnation(0);
    new.attempt += 1;
    assert!(matches!(rig.come_again(&mut new), Verdict::New { incarnation: Incarnation(2), .. }));
}

/// A-97, G-27: a recovery goes on where it was, however often the connection breaks.
#[test]
fn a_snapshot_that_is_interrupted_goes_on_with_the_next_part() {
    let (mut rig, [(mut one, first), _]) = two_holders();
    rig.come_again(&mut one);
    let part = |number, is_last| {
        let held = vec![held(number, Mode::Read, first)];
        ToServer::Snapshot(Snapshot { held, wanted: vec![], is_last })
    };
    rig.say(&mut one, part(10, false));
    assert_eq!(rig.told(&mut one), [ToClient::SnapshotTaken(range(10).start())]);
    assert!(matches!(rig.come_again(&mut one), Verdict::Resumed { done: tidelock_net::Number(1), .. }));
    // What was not known to be done comes again, and counts once.
    rig.say_again(&one, 1, part(10, false));
    assert_eq!(rig.counters().messages_repeated, 1);
    rig.say(&mut one, part(11, true));
    assert!(matches!(rig.told(&mut one)[..], [ToClient::SnapshotTaken(_)]));
    assert_eq!((rig.holders(10).len(), rig.holders(11).len()), (1, 1));
}

/// G-28: the second is refused, that lock alone is lost, and the client is told.
#[test]
fn a_lock_that_somebody_else_has_restored_is_lost_and_the_client_is_told() {
    let (mut rig, [(mut one, first), (mut two, second)]) = two_holders();
    rig.come_again(&mut one);
    rig.snapshot(&mut one, vec![held(1, Mode::Write, first), held(2, Mode::Write, first)], vec![]);
    rig.come_again(&mut two);
    rig.snapshot(&mut two, vec![held(2, Mode::Write, second), held(3, Mode::Write, second)], vec![]);
    let lost = ToClient::Lost(Lost { start: range(2).start(), token: second });
    assert!(rig.told(&mut two).contains(&lost));
    assert_eq!(rig.holders(2), [(one.party(), Mode::Write)]);
    assert_eq!(rig.holders(3), [(two.party(), Mode::Write)]);
    assert_eq!(rig.counters().locks_lost, 1);
    assert_eq!(rig.server.phase(), Phase::Serving);
}

/// A-9 at the server: a token that this term or a later one would have given is nobody's.
#[test]
fn a_lock_that_no_server_granted_is_lost() {
    let (mut rig, [(mut one, _), _]) = two_holders();
    rig.come_again(&mut one);
    let token = Token { term: Term(2), seq: GrantSeq(1) };
    rig.snapshot(&mut one, vec![held(1, Mode::Write, token)], vec![]);
    assert_eq!(rig.holders(1), []);
    assert_eq!(rig.counters().locks_lost, 1);
}

/// A-71, G-09: it was expelled, and the record says so to whoever leads.
#[test]
fn a_client_that_was_expelled_is_not_taken_back_by_the_next_server() {
    let mut rig = Rig::new();
    let mut one = rig.come(1);
    let token = rig.grant(&mut one, 1, Mode::Write);
    rig.is_prompt = false;
    rig.pass(LEASE);
    rig.asked.retain(|(_, change)| matches!(change, tidelock_authority::Change::Expel { .. }));
    rig.apply_next();
    let mut rig = rig.restart();
    assert_eq!(rig.come_again(&mut one), Verdict::Expelled { upto: Incarnation(1) });
    assert_eq!(rig.server.phase(), Phase::Recovering, "its fence does not say that its lease is over");
    rig.pass(LEASE);
    assert_eq!((rig.server.phase(), rig.record(1)), (Phase::Serving, None));
    let mut other = rig.come(2);
    assert!(rig.grant(&mut other, 1, Mode::Write) > token);
}

/// The same, a step later: the fence says that its lease was over, so nobody waits for it again.
#[test]
fn an_expulsion_that_was_fenced_goes_on_without_another_lease() {
    let mut rig = Rig::new();
    let mut one = rig.come(1);
    rig.grant(&mut one, 1, Mode::Write);
    rig.pass(seconds(20));
    rig.is_prompt = false;
    rig.pass(seconds(11));
    rig.asked.retain(|(_, change)| !matches!(change, tidelock_authority::Change::SweepTombstones { .. }));
    rig.apply_next();
    rig.apply_next();
    assert!(matches!(rig.record(1).unwrap().state, ClientState::Expelled { .. }));
    let rig = rig.restart();
    assert_eq!((rig.server.phase(), rig.record(1)), (Phase::Serving, None));
}

/// a farewell that a server did not finish is finished by the next.
#[test]
fn a_farewell_is_finished_by_the_next_server() {
    let mut rig = Rig::new();
    let mut one = rig.come(1);
    rig.grant(&mut one, 1, Mode::Write);
    rig.is_prompt = false;
    rig.frame(one.connection, tidelock_net::Frame::Farewell);
    rig.apply_next();
    assert_eq!(rig.record(1).unwrap().state, ClientState::Leaving);
    let mut rig = rig.restart();
    assert_eq!((rig.record(1), rig.server.phase()), (None, Phase::Serving));
    assert_eq!(rig.leave(&mut one), Verdict::Left);
}

/// G-13, K3: what a client wants while it tells waits until it has told all.
#[test]
fn a_client_may_ask_while_it_tells() {
    let (mut rig, [(mut one, first), (mut two, second)]) = two_holders();
    rig.come_again(&mut two);
    rig.snapshot(&mut two, vec![held(2, Mode::Write, second)], vec![]);
    rig.come_again(&mut one);
    rig.say(&mut one, acquire(5, Mode::Null, Mode::Read));
    // What it holds in one mode it wants in another.
    rig.snapshot(&mut one, vec![held(1, Mode::Read, first)], vec![wanted(1, Mode::Read, Mode::Write)]);
    let told = rig.told(&mut one);
    assert!(matches!(told[..], [ToClient::SnapshotTaken(_), ToClient::Granted(_), ToClient::Granted(_)]));
    assert_eq!(rig.holders(1), [(one.party(), Mode::Write)]);
}

/// G-04, G-17: there is one recovery for each client and server.
#[test]
fn a_snapshot_after_the_last_part_is_an_offence() {
    let (mut rig, [(mut one, first), _]) = two_holders();
    rig.come_again(&mut one);
    rig.snapshot(&mut one, vec![held(1, Mode::Write, first)], vec![]);
    rig.snapshot(&mut one, vec![held(2, Mode::Write, first)], vec![]);
    assert!(matches!(rig.why(), Some(Expulsion::Offence(_))));
    assert!(rig.hear(&mut one).contains(&Said::Closed));
    assert_eq!(rig.holders(2), []);
}

/// A client that was never told of its session comes with the greeting that opened it. It has come, late as it is, and says
/// nothing more for as long as a renewal takes; also where it comes a second time.
#[test]
fn a_client_that_greets_again_late_in_a_recovery_is_waited_for() {
    let mut rig = Rig::new();
    let mut puppet = rig.come(1);
    let mut rig = rig.restart();
    rig.pass(seconds(5));
    for _ in 0..2 {
        (puppet.incarnation, puppet.term) = (Incarnation(0), Term(0));
        assert!(matches!(rig.come_again(&mut puppet), Verdict::New { .. }));
        rig.pass(PLAN.grace - seconds(3));
    }
    rig.ping(&puppet);
    assert_eq!((rig.server.phase(), rig.counters().sessions_expelled), (Phase::Serving, 0));
}
