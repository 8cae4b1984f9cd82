//! How sessions end, and when their locks are given to others.

use std::time::Duration;

use tidelock_authority::{Change, ClientState};
use tidelock_format::Incarnation;
use tidelock_lock_proto::{Mode, ToClient, ToServer};
use tidelock_net::{Frame, Verdict};

use super::rig::{LEASE, PLAN, Rig, Said, acquire, config, descent, range, seconds};
use crate::{Expulsion, Input, ServerConfig, Standing, StopReason};

/// Y2: nobody gets the lock before the lease is over by any clock, the end is durable, and the fence is raised.
#[test]
fn a_silent_client_loses_its_locks_when_its_lease_is_over_and_not_before() {
    let mut rig = Rig::new();
    let mut silent = rig.come(1);
    rig.grant(&mut silent, 1, Mode::Write);
    let heard = rig.now;
    let mut other = rig.come(2);
    rig.say(&mut other, acquire(1, Mode::Null, Mode::Write));
    while rig.now < heard + PLAN.server_waits_for() - Duration::from_millis(10) {
        rig.pass(seconds(1).min(heard + PLAN.server_waits_for() - Duration::from_millis(10) - rig.now));
        rig.ping(&other);
        assert_eq!(rig.granted(&mut other), None, "{:?}", rig.now);
    }
    rig.pass(Duration::from_millis(20));
    assert!(rig.granted(&mut other).is_some());
    assert_eq!(rig.why(), Some(&Expulsion::Silent));
    assert_eq!(rig.record(1), None);
    assert_eq!(rig.authority.clients_fenced(1), Incarnation(1));
}

trait Fenced {
    fn clients_fenced(&self, instance: u128) -> Incarnation;
}

impl Fenced for tidelock_authority::MemAuthority {
    /// How far a client is fenced, as its tombstone says.
    fn clients_fenced(&self, instance: u128) -> Incarnation {
        use tidelock_authority::Authority as _;
        let tombstones = self.tombstones().unwrap();
        let mine = tombstones.iter().filter(|tombstone| tombstone.client == super::rig::name(instance));
        mine.map(|tombstone| tombstone.incarnation).max().unwrap_or_default()
    }
}

/// Y2: every step is durable before the next, and the locks come after the fence.
#[test]
fn an_expulsion_goes_step_by_step() {
    let mut rig = Rig::new();
    let mut silent = rig.come(1);
    rig.grant(&mut silent, 1, Mode::Write);
    let mut other = rig.come(2);
    rig.say(&mut other, acquire(1, Mode::Null, Mode::Write));
    rig.pass(seconds(20));
    rig.ping(&other);
    rig.is_prompt = false;
    rig.pass(seconds(11));
    let steps: [fn(&Change) -> bool; 3] = [
        |change| matches!(change, Change::Expel { .. }),
        |change| matches!(change, Change::RaiseFence { .. }),
        |change| matches!(change, Change::Bury { .. }),
    ];
    for (n, step) in steps.into_iter().enumerate() {
        rig.asked.retain(|(_, change)| !matches!(change, Change::SweepTombstones { .. }));
        assert!(rig.asked.len() == 1 && step(&rig.asked[0].1), "{:?}", rig.asked);
        assert_eq!(rig.granted(&mut other).is_some(), n == 2);
        rig.apply_next();
    }
    assert_eq!(rig.server.sessions().count(), 1);
}

/// Y2: as long as the fence cannot be written, nobody gets the lock; and no failure is for ever.
#[test]
fn a_step_that_fails_is_tried_again() {
    let mut rig = Rig::new();
    let mut silent = rig.come(1);
    rig.grant(&mut silent, 1, Mode::Write);
    rig.pass(LEASE - seconds(1));
    let mut other = rig.come(2);
    rig.say(&mut other, acquire(1, Mode::Null, Mode::Write));
    for _ in 0..2 {
        rig.authority.refuse_next_write();
        rig.pass(seconds(1));
        assert_eq!(rig.granted(&mut other), None);
    }
    rig.authority.lose_next_answer();
    rig.pass(seconds(4));
    assert!(rig.granted(&mut other).is_some());
    assert!(rig.counters().changes_repeated >= 3);
    assert_eq!(rig.record(1), None);
}

#[test]
fn a_server_that_can_change_no_record_for_long_stops() {
    let mut rig = Rig::new();
    rig.come(1);
    for _ in 0..70 {
        rig.authority.refuse_next_write();
        rig.pass(seconds(1));
    }
    assert!(matches!(rig.stopped, Some(StopReason::Records(_))));
}

/// Y2, P-11: two lives of one client are two holders.
#[test]
fn a_new_life_waits_for_what_its_former_life_may_still_be_using_and_for_nothing_else() {
    let mut rig = Rig::new();
    let mut old = rig.come(1);
    rig.grant(&mut old, 1, Mode::Write);
    rig.grant(&mut old, 2, Mode::Read);
    rig.pass(seconds(10));
    let mut new = rig.come(1);
    assert_eq!(new.incarnation, Incarnation(2));
    rig.grant(&mut new, 3, Mode::Write);
    rig.grant(&mut new, 2, Mode::Read);
    rig.say(&mut new, acquire(1, Mode::Null, Mode::Write));
    assert_eq!(rig.hear(&mut old), [Said::Closed], "and nothing is asked of a life that is over");
    assert_eq!(rig.holders(1), [(old.party(), Mode::Write)]);
    assert_eq!(rig.record(1).unwrap().fenced_to, Incarnation(0));

    rig.pass(seconds(19));
    rig.ping(&new);
    assert_eq!(rig.granted(&mut new), None);
    rig.pass(seconds(2));
    assert_eq!(rig.granted(&mut new).map(|granted| granted.range), Some(range(1)));
    assert_eq!(rig.record(1).unwrap().fenced_to, Incarnation(1));
    assert_eq!(rig.server.sessions().count(), 1);
}

/// P-11: what the old connection still brings belongs to nobody.
#[test]
fn a_late_message_of_an_old_session_does_nothing_to_the_new_one() {
    let mut rig = Rig::new();
    let mut old = rig.come(1);
    let token = rig.grant(&mut old, 1, Mode::Write);
    let mut new = rig.come(1);
    rig.frame(old.connection, Frame::Farewell);
    rig.say(&mut old, ToServer::Release(descent(1, token, Mode::Write, Mode::Null)));
    assert_eq!(rig.holders(1), [(old.party(), Mode::Write)]);
    // In the new session's stream, but of the old one.
    let stale =
        super::rig::Puppet { connection: new.connection, incarnation: old.incarnation, ..new.clone() };
    rig.say_again(&stale, 1, acquire(5, Mode::Null, Mode::Write));
    assert_eq!(rig.holders(5), []);
    new.sent = 1;
    rig.grant(&mut new, 6, Mode::Write);
    assert_eq!(rig.counters().messages_stale, 1);
}

/// Y5, Y1: the record tells a server that begins now that somebody may still be writing.
#[test]
fn a_server_that_begins_waits_for_lives_that_are_not_fenced() {
    let mut rig = Rig::new();
    let mut old = rig.come(1);
    rig.grant(&mut old, 1, Mode::Write);
    let mut new = rig.come(1);
    rig.ping(&new);
    let mut rig = rig.restart();
    assert!(matches!(rig.come_again(&mut new), Verdict::Recover { .. }));
    rig.snapshot(&mut new, vec![], vec![]);
    rig.say(&mut new, acquire(1, Mode::Null, Mode::Write));
    rig.pass(seconds(20));
    rig.ping(&new);
    rig.pass(seconds(10));
    assert_eq!(rig.granted(&mut new), None, "the old life may write");
    rig.pass(seconds(1));
    assert!(rig.granted(&mut new).is_some());
    assert_eq!(rig.record(1).unwrap().fenced_to, Incarnation(1));
    // And the next server need not wait any more.
    let mut rig = rig.restart();
    rig.come_again(&mut new);
    rig.snapshot(&mut new, vec![], vec![]);
    rig.grant(&mut new, 1, Mode::Write);
}

/// Y5: a client that comes and goes keeps its older lives in sight.
#[test]
fn the_record_of_a_later_life_stays_while_something_of_an_older_one_does() {
    let mut rig = Rig::new();
    let mut first = rig.come(1);
    rig.grant(&mut first, 1, Mode::Write);
    let mut second = rig.come(1);
    rig.grant(&mut second, 2, Mode::Write);
    rig.frame(second.connection, Frame::Farewell);
    assert_eq!(rig.holders(2), [], "it has given up everything");
    assert_eq!(rig.record(1).map(|record| record.state), Some(ClientState::Leaving));
    assert_eq!(rig.record(1).unwrap().fenced_to, Incarnation(0), "the first may write");
    let third = rig.come(1);
    assert_eq!(third.incarnation, Incarnation(3));
    assert_eq!(rig.record(1).unwrap().fenced_to, Incarnation(0));
    rig.pass(seconds(25));
    rig.ping(&third);
    rig.pass(seconds(6));
    assert_eq!(rig.record(1).unwrap().fenced_to, Incarnation(2));
    assert_eq!(rig.holders(1), []);
    assert_eq!(rig.server.sessions().count(), 1);
}

/// A client that left well and comes again has nothing to be waited for, in this server or the next.
#[test]
fn a_client_that_left_and_comes_again_waits_for_nothing() {
    let mut rig = Rig::new();
    let mut first = rig.come(1);
    rig.grant(&mut first, 1, Mode::Write);
    rig.frame(first.connection, Frame::Farewell);
    let mut second = rig.come(1);
    rig.grant(&mut second, 1, Mode::Write);
    assert_eq!(rig.record(1).unwrap().fenced_to, Incarnation(1));
    let mut rig = rig.restart();
    rig.come_again(&mut second);
    rig.snapshot(&mut second, vec![], vec![]);
    rig.grant(&mut second, 1, Mode::Write);
}

/// Y4, A-22, A-23: admission ends with the first step.
#[test]
fn nothing_is_taken_or_granted_in_a_session_that_is_being_ended() {
    let mut rig = Rig::new();
    let mut other = rig.come(2);
    rig.grant(&mut other, 1, Mode::Write);
    let mut leaver = rig.come(1);
    rig.say(&mut leaver, acquire(1, Mode::Null, Mode::Write));
    rig.is_prompt = false;
    rig.frame(leaver.connection, Frame::Farewell);
    let token = match &rig.told(&mut other)[..] {
        [ToClient::Revoke(descent)] => descent.token,
        told => panic!("{told:?}"),
    };
    rig.say(&mut leaver, acquire(3, Mode::Null, Mode::Write));
    rig.say(&mut other, ToServer::Ceded(descent(1, token, Mode::Write, Mode::Null)));
    assert_eq!((rig.holders(1), rig.holders(3)), (vec![], vec![]));
    assert_eq!(rig.told(&mut leaver), []);
    rig.is_prompt = true;
    rig.tick();
    assert_eq!(rig.record(1), None);
}

/// a snapshot that is still arriving when the client says farewell leaves no lock without an owner.
#[test]
fn a_client_that_leaves_while_it_recovers_leaves_nothing_behind() {
    let mut rig = Rig::new();
    let mut leaver = rig.come(1);
    let token = rig.grant(&mut leaver, 1, Mode::Write);
    let mut rig = rig.restart();
    rig.come_again(&mut leaver);
    rig.frame(leaver.connection, Frame::Farewell);
    rig.snapshot(&mut leaver, vec![super::rig::held(1, Mode::Write, token)], vec![]);
    assert_eq!((rig.server.locks(), rig.server.sessions().count()), (0, 0));
    let mut other = rig.come(2);
    rig.grant(&mut other, 1, Mode::Write);
}

/// it ends one session and stops nothing.
#[test]
fn a_client_that_breaks_the_protocol_is_expelled_alone() {
    let mut rig = Rig::new();
    let mut liar = rig.come(1);
    let token = rig.grant(&mut liar, 1, Mode::Read);
    let mut other = rig.come(2);
    rig.grant(&mut other, 1, Mode::Read);
    rig.say(&mut liar, ToServer::Ceded(descent(1, token, Mode::Read, Mode::Null)));
    assert!(matches!(rig.why(), Some(Expulsion::Offence(_))));
    assert_eq!(rig.come_again(&mut liar), Verdict::Expelled { upto: Incarnation(1) });
    assert!(matches!(rig.record(1).unwrap().state, ClientState::Expelled { .. }));
    assert_eq!(rig.holders(1).len(), 2, "its lease may not be over");
    rig.pass(seconds(20));
    rig.ping(&other);
    rig.pass(seconds(11));
    assert_eq!(rig.holders(1), [(other.party(), Mode::Read)]);
    assert_eq!((rig.stopped.as_ref(), rig.counters().offences), (None, 1));
}

/// What is not a message, a gap, a frame that has no place, and saying to be done with what never came.
#[test]
fn every_offence_ends_the_session_and_says_why() {
    let offences: [fn(&mut Rig, &super::rig::Puppet); 5] = [
        |rig, it| {
            let frame = Frame::Message {
                number: tidelock_net::Number(1),
                done: tidelock_net::Number(0),
                content: b"no",
            };
            rig.frame(it.connection, frame);
        },
        |rig, it| rig.say_again(it, 5, acquire(1, Mode::Null, Mode::Read)),
        |rig, it| rig.frame(it.connection, Frame::Goodbye),
        |rig, it| rig.frame(it.connection, Frame::Report(tidelock_net::Number(9))),
        |rig, it| rig.say_again(it, 1, ToServer::Snapshot(tidelock_lock_proto::Snapshot::default())),
    ];
    for offence in offences {
        let mut rig = Rig::new();
        let puppet = rig.come(1);
        offence(&mut rig, &puppet);
        assert!(matches!(rig.why(), Some(Expulsion::Offence(_))), "{:?}", rig.notices);
        assert!(rig.closed.contains(&puppet.connection));
    }
}

/// A session that is expelled is not opened anew before it is cleared up, and its client is put off, not turned away.
#[test]
fn an_expelled_client_comes_anew_when_it_is_cleared_up() {
    let mut rig = Rig::new();
    let mut liar = rig.come(1);
    rig.frame(liar.connection, Frame::Goodbye);
    liar.incarnation = Incarnation(0);
    liar.attempt += 1;
    assert_eq!(rig.come_again(&mut liar), Verdict::Busy(PLAN.backoff));
    rig.pass(LEASE);
    assert!(matches!(rig.come_again(&mut liar), Verdict::New { incarnation: Incarnation(2), .. }));
}

/// L-09: a client with many locks holds nobody up for long.
#[test]
fn locks_are_taken_back_a_bounded_number_at_a_time() {
    let mut rig = Rig::with(ServerConfig { locks_per_step: 3, ..config() });
    let mut leaver = rig.come(1);
    for number in 0..20 {
        rig.grant(&mut leaver, number, Mode::Read);
    }
    rig.frame(leaver.connection, Frame::Farewell);
    assert_eq!(rig.server.locks(), 17);
    assert_eq!(rig.server.next_tick(), Some(rig.now), "it goes on at once");
    rig.input(Input::Tick);
    assert_eq!(rig.server.locks(), 14);
    rig.tick();
    assert_eq!((rig.server.locks(), rig.record(1)), (0, None));
}

/// The table still stands when the server goes on after having been suspended: those whose words wait to be read are not
/// taken for silent.
#[test]
fn a_server_that_was_suspended_listens_before_it_gives_anybody_up() {
    let mut rig = Rig::new();
    let mut puppet = rig.come(1);
    rig.grant(&mut puppet, 1, Mode::Write);
    rig.now += LEASE * 3;
    rig.input(Input::Tick);
    assert_eq!(rig.why(), None);
    rig.ping(&puppet);
    rig.pass(seconds(20));
    assert_eq!(rig.why(), None);
    rig.pass(LEASE);
    assert_eq!(rig.why(), Some(&Expulsion::Silent));
}

/// G-26: whoever is expelled while others recover.
#[test]
fn views_tell_who_waits_for_whom() {
    let mut rig = Rig::new();
    let mut holder = rig.come(1);
    rig.grant(&mut holder, 1, Mode::Write);
    let mut waiter = rig.come(2);
    rig.say(&mut waiter, acquire(1, Mode::Null, Mode::Write));
    let lock = rig.server.locks_from(range(0).start()).next().unwrap();
    assert_eq!(lock.waiters[0].party, waiter.party());
    assert_eq!(lock.waiters[0].behind, [holder.party()]);
    assert_eq!(lock.holders[0].descends_to, Some(Mode::Null));
    let session = rig.server.sessions().find(|session| session.party == holder.party()).unwrap();
    assert_eq!((session.standing, session.locks), (Standing::Live, 1));
    assert_eq!(session.waiting, 2, "the grant, and the revocation");
    assert_eq!(session.label, "10.0.0.1");
}
