//! What a client may have of the server, and what becomes of those who would have more.

use tidelock_format::{GrantSeq, Term, Token};
use tidelock_lock_proto::{Mode, Reason, ToClient, ToServer};
use tidelock_net::{Frame, Principal, Verdict};

use super::rig::{PLAN, Puppet, Rig, Said, acquire, config, descent, held, seconds, wanted};
use crate::{Connection, Input, Limits, Quotas, ServerConfig};

fn with_quotas(quotas: Quotas) -> Rig {
    Rig::with(ServerConfig { quotas, ..config() })
}

/// whoever knocks and says nothing, or anything else than a greeting, costs a place for a moment.
#[test]
fn a_port_scan_disturbs_nobody() {
    let mut rig = Rig::new();
    let mut client = rig.come(1);
    for n in 0..50 {
        let connection = rig.connect();
        match n % 3 {
            0 => rig.input(Input::Garbage { connection }),
            1 => rig.frame(connection, Frame::Ping(1)),
            _ => {}
        }
    }
    assert_eq!(rig.server.connections(), (17, 16));
    rig.pass(PLAN.greeting);
    assert_eq!(rig.server.connections(), (1, 0));
    assert_eq!((rig.counters().garbage, rig.counters().strangers_silent), (34, 16));
    assert_eq!(rig.server.sessions().count(), 1);
    rig.grant(&mut client, 1, Mode::Write);
}

///
#[test]
fn too_many_strangers_are_told_to_come_later() {
    let mut rig = with_quotas(Quotas { strangers_max: 2, ..Quotas::DEFAULT });
    let mut client = rig.come(1);
    let [first, _, third] = [rig.connect(), rig.connect(), rig.connect()];
    assert!(!rig.closed.contains(&first) && rig.closed.contains(&third));
    assert_eq!(rig.counters().strangers_refused, 1);
    rig.grant(&mut client, 1, Mode::Write);
    rig.input(Input::Closed { connection: first });
    rig.come(2);
}

#[test]
fn too_many_sessions_are_told_to_come_later() {
    let mut rig = with_quotas(Quotas { sessions_max: 1, ..Quotas::DEFAULT });
    let first = rig.come(1);
    let mut second = rig.greet_new(2, 5);
    assert_eq!(rig.hear(&mut second), [Said::Welcome(Verdict::Busy(PLAN.backoff)), Said::Closed]);
    assert_eq!((rig.counters().sessions_refused, rig.record(2)), (1, None));
    rig.frame(first.connection, Frame::Farewell);
    assert!(matches!(rig.come_again(&mut second), Verdict::New { .. }));
}

/// Y8: also while records are slow, and whether or not those who greeted are still there.
#[test]
fn sessions_that_are_being_opened_take_their_places() {
    let mut rig = with_quotas(Quotas { sessions_max: 1, ..Quotas::DEFAULT });
    rig.is_prompt = false;
    let mut first = rig.greet_new(1, 1);
    let mut second = rig.greet_new(2, 2);
    assert_eq!(rig.hear(&mut second), [Said::Welcome(Verdict::Busy(PLAN.backoff)), Said::Closed]);
    rig.input(Input::Closed { connection: first.connection });
    let mut third = rig.greet_new(3, 3);
    assert_eq!(rig.hear(&mut third), [Said::Welcome(Verdict::Busy(PLAN.backoff)), Said::Closed]);
    rig.apply_next();
    assert!(matches!(rig.come_again(&mut first), Verdict::New { .. }));
    assert_eq!((rig.server.sessions().count(), rig.counters().sessions_refused), (1, 2));
}

/// Y8: a client that asks and does not read is not listened to until it has got on; nothing of it is lost, and nobody else is
/// held up.
#[test]
fn a_client_that_does_not_read_is_not_listened_to_and_loses_nothing() {
    let quotas = Quotas { waiting_max: 10, ..Quotas::DEFAULT };
    let mut rig = Rig::with(ServerConfig { quotas, window: 4, ..config() });
    let mut deaf = rig.come(1);
    let mut other = rig.come(2);
    let mut asked = 0;
    // What it asks for twice is refused, and takes no place among its locks.
    while !rig.closed.contains(&deaf.connection) {
        asked += 1;
        assert!(asked < 100, "it is never cut");
        rig.say(&mut deaf, acquire(1, Mode::Null, Mode::Null));
    }
    rig.grant(&mut other, 2, Mode::Write);
    assert_eq!(rig.counters().waiting_refused, 1);
    assert_eq!(rig.counters().offences, 0);

    // It comes again, reads, and sends what was not done again.
    let mut told = rig.told(&mut deaf).len();
    let Verdict::Resumed { done, .. } = rig.come_again(&mut deaf) else { panic!("its session goes on") };
    assert_eq!(done.0, asked - 1);
    while told as u64 != asked - 1 {
        let more = rig.told(&mut deaf).len();
        assert_ne!(more, 0);
        told += more;
        rig.frame(deaf.connection, Frame::Report(tidelock_net::Number(deaf.done)));
    }
    rig.say_again(&deaf, asked, acquire(1, Mode::Null, Mode::Write));
    assert!(rig.granted(&mut deaf).is_some());
}

/// Y8: what others want of it waits as well, and in order.
#[test]
fn what_finds_no_room_in_the_window_waits_in_order() {
    let mut rig = Rig::with(ServerConfig { window: 2, ..config() });
    let mut puppet = rig.come(1);
    for number in 0..9 {
        rig.say(&mut puppet, acquire(number, Mode::Null, Mode::Read));
    }
    let mut starts = Vec::new();
    for _ in 0..9 {
        for message in rig.told(&mut puppet) {
            let ToClient::Granted(granted) = message else { panic!("{message:?}") };
            starts.push(granted.range.start());
        }
        rig.frame(puppet.connection, Frame::Report(tidelock_net::Number(puppet.done)));
    }
    assert!(starts.len() == 9 && starts.is_sorted());
}

#[test]
fn a_client_has_so_many_locks_and_wants_and_no_more() {
    let limits = Limits { locks_per_client_max: 2 };
    let mut rig = Rig::with(ServerConfig { limits, ..config() });
    let mut puppet = rig.come(1);
    let token = rig.grant(&mut puppet, 1, Mode::Read);
    rig.grant(&mut puppet, 2, Mode::Read);
    rig.say(&mut puppet, acquire(3, Mode::Null, Mode::Read));
    let told = rig.told(&mut puppet);
    assert!(
        matches!(&told[..], [ToClient::Refused(refused)] if refused.reason == Reason::TooMany),
        "{told:?}"
    );
    rig.say(&mut puppet, ToServer::Release(descent(1, token, Mode::Read, Mode::Null)));
    rig.grant(&mut puppet, 3, Mode::Read);
}

/// A recovery in which a client may have two locks; one that was there before is back, and has told nothing yet.
fn recovering_with_two_locks_for_each() -> (Rig, Puppet) {
    let mut rig = Rig::new();
    let mut puppet = rig.come(1);
    rig.ping(&puppet);
    let limits = Limits { locks_per_client_max: 2 };
    let authority = rig.authority;
    let mut rig = Rig::recovering(ServerConfig { limits, ..config() }, authority, seconds(1));
    rig.tick();
    rig.come_again(&mut puppet);
    (rig, puppet)
}

/// Y8: also of what it wants while it tells what it held.
#[test]
fn wants_that_wait_for_the_end_of_a_snapshot_are_counted() {
    let (mut rig, mut puppet) = recovering_with_two_locks_for_each();
    for number in 0..3 {
        rig.say(&mut puppet, acquire(number, Mode::Null, Mode::Read));
    }
    assert!(
        matches!(&rig.told(&mut puppet)[..], [ToClient::Refused(refused)] if refused.reason == Reason::TooMany)
    );
    rig.snapshot(&mut puppet, vec![], vec![wanted(7, Mode::Null, Mode::Read)]);
    assert_eq!(rig.server.locks(), 2);
}

/// Nobody holds more after a recovery than anybody may hold.
#[test]
fn locks_that_a_client_tells_of_are_counted() {
    let (mut rig, mut puppet) = recovering_with_two_locks_for_each();
    let token = Token { term: Term(1), seq: GrantSeq(1) };
    rig.snapshot(&mut puppet, (1..4).map(|number| held(number, Mode::Write, token)).collect(), vec![]);
    assert!(
        matches!(&rig.told(&mut puppet)[..], [ToClient::Lost(lost), ToClient::SnapshotTaken(_)] if lost.token == token)
    );
    assert_eq!(rig.server.locks(), 2);
}

/// What a driver may do to a server in any order: connections that it does not know, and answers that it did not ask for.
#[test]
fn what_the_server_does_not_know_is_passed_over() {
    let mut rig = Rig::new();
    let connection = Connection(77);
    rig.input(Input::Closed { connection });
    rig.input(Input::Garbage { connection });
    rig.frame(connection, Frame::Ping(1));
    rig.is_prompt = false;
    rig.connect();
    let mut puppet = rig.greet_new(1, 1);
    let (ticket, _) = rig.asked[0];
    rig.apply_next();
    rig.answer(ticket, Ok(tidelock_authority::Outcome::Done));
    puppet.welcomed(&mut rig);
    let principal = Principal::Anonymous;
    rig.input(Input::Opened { connection, principal, label: "a\0b".repeat(1000) });
    rig.input(Input::Closed { connection });
    assert_eq!(rig.writes, 1);
}
