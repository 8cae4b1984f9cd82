//! What it costs to talk: writes, reports, and in which order.

use tidelock_lock_proto::{Mode, ToClient};
use tidelock_net::{Frame, Number};

use super::rig::{Rig, Said, acquire};
use crate::Input;

/// One write each way: what a client asks for and what it gets carry how far the other's messages are done.
#[test]
fn an_answer_costs_one_write_and_says_how_far_messages_are_done() {
    let mut rig = Rig::new();
    let mut puppet = rig.come(1);
    let writes = rig.writes;
    rig.say(&mut puppet, acquire(1, Mode::Null, Mode::Read));
    assert!(matches!(rig.hear(&mut puppet)[..], [Said::Told(ToClient::Granted(_))]));
    assert_eq!((rig.writes, rig.counters().reports_told), (writes + 1, 0));
}

/// A message without an answer is reported, once for all that came in one burst.
#[test]
fn messages_of_one_burst_are_reported_once() {
    let mut rig = Rig::new();
    let mut holder = rig.come(1);
    rig.grant(&mut holder, 9, Mode::Write);
    let mut puppet = rig.come(2);
    rig.grant(&mut puppet, 8, Mode::Write);
    // Nine wants that wait: no answer.
    rig.say(&mut puppet, acquire(9, Mode::Null, Mode::Write));
    assert_eq!(rig.hear(&mut puppet), [Said::Report(2)]);
    for number in 3..12 {
        let content = puppet.content(&acquire(9, Mode::Null, Mode::Null));
        let frame = Frame::Message { number: Number(number), done: Number(puppet.done), content: &content };
        rig.step(Input::Heard { connection: puppet.connection, frame });
    }
    let (writes, reports) = (rig.writes, rig.counters().reports_told);
    rig.flush();
    assert_eq!(
        (rig.writes, rig.counters().reports_told),
        (writes + 1, reports),
        "nine refusals in one write"
    );
    assert_eq!(rig.hear(&mut puppet).len(), 9);
}

#[test]
fn a_burst_of_messages_without_answers_costs_one_report() {
    let mut rig = Rig::new();
    let mut holder = rig.come(1);
    for number in 0..5 {
        rig.grant(&mut holder, number, Mode::Write);
    }
    let puppet = rig.come(2);
    for number in 0..5 {
        let content = puppet.content(&acquire(number, Mode::Null, Mode::Write));
        let frame = Frame::Message { number: Number(number + 1), done: Number(0), content: &content };
        rig.step(Input::Heard { connection: puppet.connection, frame });
    }
    let writes = rig.writes;
    rig.flush();
    assert_eq!(rig.writes, writes + 2, "five revocations for one, a report for the other");
    assert_eq!(rig.hear(&mut puppet.clone()), [Said::Report(5)]);
    assert_eq!(rig.told(&mut holder).len(), 5);
}

/// Q3 at the other end: every ping is answered, the last of a burst for all.
#[test]
fn a_ping_is_answered_in_the_same_write() {
    let mut rig = Rig::new();
    let mut puppet = rig.come(1);
    rig.step(Input::Heard { connection: puppet.connection, frame: Frame::Ping(1) });
    rig.step(Input::Heard { connection: puppet.connection, frame: Frame::Ping(2) });
    let writes = rig.writes;
    rig.say(&mut puppet, acquire(1, Mode::Null, Mode::Read));
    assert!(matches!(rig.hear(&mut puppet)[..], [Said::Pong(2), Said::Told(_)]));
    assert_eq!(rig.writes, writes + 1);
}

/// what was written to a connection that broke is written to the next, behind the answer to its greeting.
#[test]
fn what_a_client_did_not_hear_comes_again_in_order() {
    let mut rig = Rig::new();
    let mut puppet = rig.come(1);
    for number in 0..3 {
        rig.say(&mut puppet, acquire(number, Mode::Null, Mode::Read));
    }
    let mut again = puppet.clone();
    rig.come_again(&mut again);
    let heard = rig.told(&mut puppet);
    assert_eq!((heard.len(), rig.told(&mut again)), (3, heard));
}

/// L-09, for time: nothing is due before something is.
#[test]
fn a_server_with_nothing_to_do_wants_to_be_woken_as_rarely_as_leases_are_renewed() {
    let mut rig = Rig::new();
    rig.come(1);
    assert_eq!(rig.server.next_tick(), Some(rig.now + super::rig::PLAN.greeting));
    rig.pass(super::rig::PLAN.greeting);
    assert_eq!(rig.server.next_tick(), Some(rig.now + super::rig::PLAN.renewal));
}
