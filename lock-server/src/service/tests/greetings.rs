//! What becomes of clients that come, or come again.

use tidelock_authority::{AuthorityError, Seat as _};
use tidelock_format::{Incarnation, Term};
use tidelock_lock_proto::{Mode, Snapshot, ToClient, ToServer};
use tidelock_net::{Frame, Hello, Number, Verdict};

use super::rig::{LEASE, PLAN, Puppet, Rig, SERVICE, Said, acquire, held, range};
use crate::{Input, Phase, Standing, StopReason};

fn standing(rig: &Rig, puppet: &Puppet) -> Option<Standing> {
    rig.server.sessions().find(|session| session.party == puppet.party()).map(|session| session.standing)
}

/// Y1, G-21.
#[test]
fn nothing_is_said_in_a_session_before_its_record_is_durable() {
    let mut rig = Rig::new();
    rig.is_prompt = false;
    let mut puppet = rig.greet_new(1, 1);
    assert_eq!(rig.hear(&mut puppet), []);
    rig.apply_next();
    assert_eq!(puppet.welcomed(&mut rig), Verdict::New { incarnation: Incarnation(1), lease: PLAN.lease });
    assert_eq!(rig.record(1).map(|record| record.incarnation), Some(Incarnation(1)));
}

/// G-21: the call fails, and the client is told to come again.
#[test]
fn a_client_whose_record_cannot_be_written_gets_no_session() {
    let mut rig = Rig::new();
    rig.authority.refuse_next_write();
    let mut puppet = rig.greet_new(1, 1);
    assert_eq!(rig.hear(&mut puppet), [Said::Welcome(Verdict::Busy(PLAN.backoff)), Said::Closed]);
    assert_eq!((rig.counters().records_refused, rig.server.sessions().count()), (1, 0));
    let again = rig.come_again(&mut puppet);
    assert!(matches!(again, Verdict::New { incarnation: Incarnation(1), .. }));
}

/// A-73, P-15: whether the first answer was lost on its way, or never given.
#[test]
fn the_same_greeting_sent_again_opens_the_same_session() {
    let mut rig = Rig::new();
    let mut puppet = rig.greet_new(1, 7);
    rig.close(&puppet);
    assert!(matches!(rig.come_again(&mut puppet), Verdict::New { incarnation: Incarnation(1), .. }));

    rig.authority.lose_next_answer();
    let mut other = rig.greet_new(2, 8);
    assert_eq!(rig.hear(&mut other), [Said::Welcome(Verdict::Busy(PLAN.backoff)), Said::Closed]);
    // The record may be there; so it is asked for until that is known.
    rig.pass(PLAN.backoff);
    assert!(matches!(rig.come_again(&mut other), Verdict::New { incarnation: Incarnation(1), .. }));
    assert_eq!(rig.counters().changes_repeated, 1);
}

/// A-73, P-15.
#[test]
fn a_client_that_reconnects_while_its_record_is_written_is_answered_on_the_new_connection() {
    let mut rig = Rig::new();
    rig.is_prompt = false;
    let mut puppet = rig.greet_new(1, 7);
    let first = puppet.connection;
    let mut again = rig.greet_new(1, 7);
    assert_eq!(rig.asked.len(), 1);
    rig.apply_next();
    assert_eq!(rig.hear(&mut puppet), [Said::Closed]);
    assert!(matches!(again.welcomed(&mut rig), Verdict::New { incarnation: Incarnation(1), .. }));
    assert!(rig.closed.contains(&first));
    assert_eq!(rig.counters().sessions_opened, 1);
}

/// and if it does not come back before the record is there, it finds it.
#[test]
fn a_session_is_opened_also_when_its_connection_is_gone_by_then() {
    let mut rig = Rig::new();
    rig.is_prompt = false;
    let mut puppet = rig.greet_new(1, 7);
    rig.close(&puppet);
    rig.apply_next();
    assert_eq!(rig.writes, 0);
    rig.is_prompt = true;
    assert!(matches!(rig.come_again(&mut puppet), Verdict::New { incarnation: Incarnation(1), .. }));
}

/// A-73, P-15: the server died between the record and the answer.
#[test]
fn the_next_server_answers_a_greeting_that_the_last_one_only_wrote_down() {
    let mut rig = Rig::new();
    rig.is_prompt = false;
    let mut puppet = rig.greet_new(1, 7);
    let (_, change) = rig.asked.pop_front().unwrap();
    rig.authority.apply(rig.term, change).unwrap();

    let mut rig = rig.restart();
    assert!(matches!(rig.come_again(&mut puppet), Verdict::New { incarnation: Incarnation(1), .. }));
    assert_eq!(standing(&rig, &puppet), Some(Standing::Doubted));
    assert_eq!(
        rig.server.phase(),
        Phase::Recovering,
        "it may be a late copy, of a client that holds something"
    );
    rig.ping(&puppet);
    assert_eq!(rig.server.phase(), Phase::Serving);
    rig.grant(&mut puppet, 1, Mode::Write);
}

/// Y7: a greeting that was long on its way, of a client that is past it.
#[test]
fn a_late_copy_of_a_greeting_disturbs_nobody() {
    let mut rig = Rig::new();
    let mut puppet = rig.come(1);
    rig.grant(&mut puppet, 1, Mode::Write);
    let late = Puppet { incarnation: Incarnation(0), term: Term(0), done: 0, sent: 0, ..puppet.clone() };
    assert_eq!(rig.come_again(&mut late.clone()), Verdict::Busy(PLAN.backoff));
    assert_eq!(rig.counters().greetings_late, 1);
    rig.grant(&mut puppet, 2, Mode::Write);

    // And one from before the last reconnect, which knows less of what was done.
    assert!(matches!(rig.come_again(&mut puppet), Verdict::Resumed { .. }));
    let mut late = Puppet { done: 0, ..puppet.clone() };
    assert_eq!(rig.come_again(&mut late), Verdict::Busy(PLAN.backoff));
    rig.grant(&mut puppet, 3, Mode::Write);
}

/// Y7: the copy would begin the recovery anew, under a client that has told everything.
#[test]
fn a_late_copy_of_a_greeting_begins_no_recovery_anew() {
    let mut rig = Rig::new();
    let mut puppet = rig.come(1);
    let token = rig.grant(&mut puppet, 1, Mode::Write);
    let mut rig = rig.restart();
    let late = puppet.clone();
    assert!(matches!(rig.come_again(&mut puppet), Verdict::Recover { .. }));
    let part = Snapshot { held: vec![held(1, Mode::Write, token)], ..Snapshot::default() };
    rig.say(&mut puppet, ToServer::Snapshot(part));
    assert_eq!(rig.come_again(&mut late.clone()), Verdict::Busy(PLAN.backoff), "in the middle of it");
    rig.snapshot(&mut puppet, vec![], vec![]);
    assert_eq!(rig.come_again(&mut late.clone()), Verdict::Busy(PLAN.backoff));
    assert_eq!(rig.holders(1), [(puppet.party(), Mode::Write)]);
    rig.grant(&mut puppet, 2, Mode::Write);
}

/// but if the answer was lost, and nothing was said since, it does.
#[test]
fn a_client_that_did_not_hear_that_it_is_to_recover_is_told_again() {
    let mut rig = Rig::new();
    let mut puppet = rig.come(1);
    let token = rig.grant(&mut puppet, 1, Mode::Write);
    let mut rig = rig.restart();
    let mut unheard = puppet.clone();
    assert!(matches!(rig.come_again(&mut unheard), Verdict::Recover { .. }));
    assert!(matches!(rig.come_again(&mut puppet), Verdict::Recover { .. }));
    rig.snapshot(&mut puppet, vec![held(1, Mode::Write, token)], vec![]);
    assert_eq!(rig.server.phase(), Phase::Serving);
}

/// A-49, P-14, Y7.
#[test]
fn a_session_goes_on_over_another_connection_and_the_older_one_is_closed() {
    let mut rig = Rig::new();
    let mut puppet = rig.come(1);
    rig.grant(&mut puppet, 1, Mode::Write);
    let first = puppet.connection;
    for _ in 0..100 {
        assert!(matches!(rig.come_again(&mut puppet), Verdict::Resumed { done: Number(1), .. }));
    }
    assert!(rig.closed.contains(&first));
    rig.frame(first, Frame::Farewell);
    rig.grant(&mut puppet, 2, Mode::Write);
    assert_eq!((rig.counters().sessions_opened, rig.counters().messages_heard), (1, 2));
}

///
#[test]
fn a_client_that_was_given_up_is_told_by_this_server_and_the_next() {
    let mut rig = Rig::new();
    let mut puppet = rig.come(1);
    rig.pass(LEASE * 2);
    for _ in 0..2 {
        let verdict = rig.come_again(&mut puppet.clone());
        assert_eq!(verdict, Verdict::Expelled { upto: Incarnation(1) });
        rig = rig.restart();
    }
    puppet.incarnation = Incarnation(0);
    puppet.attempt += 1;
    assert!(matches!(rig.come_again(&mut puppet), Verdict::New { incarnation: Incarnation(2), .. }));
}

/// the same instance said by another principal is another client.
#[test]
fn who_a_client_is_comes_from_the_connection() {
    let mut rig = Rig::new();
    let puppet = rig.come(1);
    let connection = crate::Connection(1000);
    let principal = tidelock_net::Principal::User(7);
    rig.input(Input::Opened { connection, principal, label: String::new() });
    let hello = Hello {
        versions: (1, 1),
        service: SERVICE,
        instance: 1,
        incarnation: puppet.incarnation,
        term: puppet.term,
        is_leaving: false,
    };
    rig.frame(connection, Frame::Hello { hello, done: Number(0), attempt: 1 });
    let mut stranger = Puppet { connection, ..puppet };
    assert_eq!(rig.hear(&mut stranger)[0], Said::Welcome(Verdict::Expelled { upto: Incarnation(1) }));
}

/// A client's word does not stop a server; but the authority is asked.
#[test]
fn a_client_that_knows_a_later_term_makes_the_server_ask_who_leads() {
    let mut rig = Rig::new();
    let mut liar = rig.come(1);
    liar.term = Term(99);
    assert!(matches!(rig.come_again(&mut liar), Verdict::Mismatch { .. }));
    assert_eq!(rig.stopped, None);

    rig.authority.depose();
    assert!(matches!(rig.come_again(&mut liar), Verdict::Mismatch { .. }));
    assert!(matches!(rig.stopped, Some(StopReason::Deposed(AuthorityError::Deposed { .. }))));
}

/// Y10.
#[test]
fn a_server_that_leads_no_longer_says_nothing_any_more() {
    let mut rig = Rig::new();
    let mut one = rig.come(1);
    rig.grant(&mut one, 1, Mode::Read);
    rig.is_prompt = false;
    rig.greet_new(2, 5);
    rig.authority.depose();
    // A message is answered in the same breath in which the server learns that it was deposed.
    let content = one.content(&acquire(2, Mode::Null, Mode::Read));
    let frame = Frame::Message { number: Number(2), done: Number(1), content: &content };
    rig.step(Input::Heard { connection: one.connection, frame });
    rig.apply_next();
    rig.flush();
    assert_eq!(rig.hear(&mut one), []);
    assert!(matches!(rig.stopped, Some(StopReason::Deposed(_))));
    assert_eq!(rig.server.next_tick(), None);
}

/// whatever became of the farewell, a client that leaves comes to an end.
#[test]
fn a_client_that_leaves_is_let_go_and_told_so_however_often_it_asks() {
    let mut rig = Rig::new();
    let mut puppet = rig.come(1);
    rig.grant(&mut puppet, 1, Mode::Write);
    let mut other = rig.come(2);
    rig.say(&mut other, acquire(1, Mode::Null, Mode::Write));
    rig.frame(puppet.connection, Frame::Farewell);
    assert!(rig.hear(&mut puppet).ends_with(&[Said::Goodbye, Said::Closed]));
    assert!(matches!(&rig.told(&mut other)[..], [ToClient::Granted(granted)] if granted.range == range(1)));
    assert_eq!(rig.record(1), None);
    assert_eq!(rig.leave(&mut puppet), Verdict::Left);
    let mut rig = rig.restart();
    assert_eq!(rig.leave(&mut puppet), Verdict::Left);
}
