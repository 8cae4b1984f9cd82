//! Servers that hand over, and those that take over.

use proptest::prelude::*;
use tidelock_authority::{Change, Seat as _};
use tidelock_format::{Incarnation, Term};
use tidelock_lock_proto::{Lost, Mode, ToClient, ToServer};
use tidelock_net::{Frame, Verdict};

use super::rig::{
    LEASE, Puppet, Rig, acquire, campaign, config, descent, held, name, range, seconds, wanted,
};
use crate::{Handover, HandoverError, Input, Phase, Records, Server, TakeOverError};

/// G-14 for a planned change: who came first is served first, and waits for nobody.
#[test]
fn a_server_that_takes_over_grants_at_once() {
    let mut rig = Rig::new();
    let mut one = rig.come(1);
    let token = rig.grant(&mut one, 1, Mode::Write);
    let mut two = rig.come(2);
    let mut rig = rig.hand_over();
    assert_eq!((rig.server.phase(), rig.server.locks()), (Phase::Serving, 1));
    assert!(matches!(rig.come_again(&mut two), Verdict::Recover { .. }));
    rig.snapshot(&mut two, vec![], vec![]);
    assert!(rig.grant(&mut two, 2, Mode::Write) > token);
    // And what somebody holds who has not come is not given away.
    rig.say(&mut two, acquire(1, Mode::Null, Mode::Write));
    assert_eq!(rig.granted(&mut two), None);
    assert!(matches!(rig.come_again(&mut one), Verdict::Recover { .. }));
    assert_eq!(rig.told(&mut one), [], "it has not told of the lock");
    rig.snapshot(&mut one, vec![held(1, Mode::Write, token)], vec![]);
    let told = rig.told(&mut one);
    let [ToClient::Revoke(revoke), ToClient::SnapshotTaken(_)] = told[..] else { panic!("{told:?}") };
    rig.say(&mut one, ToServer::Ceded(revoke));
    assert!(rig.granted(&mut two).is_some());
}

/// Y9: compatible with the most that it can hold is compatible with what it holds.
#[test]
fn what_can_be_shared_with_somebody_who_has_not_come_is_shared() {
    let mut rig = Rig::new();
    let mut one = rig.come(1);
    rig.grant(&mut one, 1, Mode::Read);
    let mut two = rig.come(2);
    let mut rig = rig.hand_over();
    rig.come_again(&mut two);
    rig.snapshot(&mut two, vec![], vec![wanted(1, Mode::Null, Mode::Read)]);
    assert!(rig.granted(&mut two).is_some());
    rig.come_again(&mut one);
}

/// Y9: the release was on its way, the grant never arrived, the mode came down.
#[test]
fn where_a_client_says_less_than_the_table_the_client_is_right() {
    let mut rig = Rig::new();
    let mut one = rig.come(1);
    let first = rig.grant(&mut one, 1, Mode::Write);
    let second = rig.grant(&mut one, 2, Mode::Read);
    rig.say(&mut one, acquire(2, Mode::Read, Mode::Write));
    rig.say(&mut one, acquire(3, Mode::Null, Mode::Write));
    let mut two = rig.come(2);
    for number in 1..4 {
        rig.say(&mut two, acquire(number, Mode::Null, Mode::Read));
    }
    let mut rig = rig.hand_over();
    rig.come_again(&mut two);
    let wants = (1..4).map(|number| wanted(number, Mode::Null, Mode::Read)).collect();
    rig.snapshot(&mut two, vec![], wants);
    assert_eq!(rig.granted(&mut two), None);
    rig.come_again(&mut one);
    // It came down to reading by itself; it did not hear that it may write; and it still wants the third.
    let says = vec![held(1, Mode::Read, first), held(2, Mode::Read, second)];
    rig.snapshot(&mut one, says, vec![wanted(3, Mode::Null, Mode::Write)]);
    let told = rig.told(&mut two);
    assert_eq!(told.len(), 4, "three grants, and one of them back: {told:?}");
    assert_eq!(rig.holders(1), [(one.party(), Mode::Read), (two.party(), Mode::Read)]);
    assert_eq!(rig.holders(2), [(one.party(), Mode::Read), (two.party(), Mode::Read)]);
    assert_eq!(rig.counters().locks_lost, 0);
}

/// Y9: nobody granted it that.
#[test]
fn where_a_client_says_more_than_the_table_it_has_lost_the_lock() {
    let mut rig = Rig::new();
    let mut one = rig.come(1);
    let token = rig.grant(&mut one, 1, Mode::Read);
    let mut rig = rig.hand_over();
    rig.come_again(&mut one);
    rig.snapshot(&mut one, vec![held(1, Mode::Write, token), held(2, Mode::Read, token)], vec![]);
    let lost = |number| ToClient::Lost(Lost { start: range(number).start(), token });
    let told = rig.told(&mut one);
    assert!(told.contains(&lost(1)) && told.contains(&lost(2)), "{told:?}");
    assert_eq!(rig.server.locks(), 0);
    rig.grant(&mut one, 1, Mode::Write);
}

/// what the last server told it is told again by the next, if it is still needed.
#[test]
fn a_revocation_that_was_under_way_is_decided_anew() {
    let mut rig = Rig::new();
    let mut one = rig.come(1);
    let token = rig.grant(&mut one, 1, Mode::Write);
    let mut two = rig.come(2);
    rig.say(&mut two, acquire(1, Mode::Null, Mode::Write));
    let mut rig = rig.hand_over();
    // Nobody wants it yet.
    rig.come_again(&mut one);
    rig.snapshot(&mut one, vec![held(1, Mode::Write, token)], vec![]);
    assert!(matches!(rig.told(&mut one)[..], [ToClient::SnapshotTaken(_)]));
    rig.come_again(&mut two);
    rig.snapshot(&mut two, vec![], vec![wanted(1, Mode::Null, Mode::Write)]);
    assert!(matches!(rig.told(&mut one)[..], [ToClient::Revoke(_)]));
    rig.say(&mut one, ToServer::Ceded(descent(1, token, Mode::Write, Mode::Null)));
    assert!(rig.granted(&mut two).is_some());
}

/// Y2: nobody is forgotten because a server was changed on purpose.
#[test]
fn who_does_not_come_to_a_server_that_took_over_is_expelled_when_its_lease_is_over() {
    let mut rig = Rig::new();
    let mut one = rig.come(1);
    rig.grant(&mut one, 1, Mode::Write);
    let mut two = rig.come(2);
    let mut rig = rig.hand_over();
    rig.come_again(&mut two);
    rig.snapshot(&mut two, vec![], vec![wanted(1, Mode::Null, Mode::Write)]);
    rig.pass(seconds(25));
    rig.ping(&two);
    assert_eq!(rig.granted(&mut two), None);
    rig.pass(seconds(6));
    assert!(rig.granted(&mut two).is_some());
    assert_eq!(rig.record(1), None);
}

/// Y5: a life that was superseded keeps its locks over the change of servers, until its lease is over.
#[test]
fn former_lives_are_handed_over_as_well() {
    let mut rig = Rig::new();
    let mut old = rig.come(1);
    rig.grant(&mut old, 1, Mode::Write);
    let mut new = rig.come(1);
    let mut rig = rig.hand_over();
    assert_eq!(rig.holders(1), [(old.party(), Mode::Write)]);
    rig.come_again(&mut new);
    rig.snapshot(&mut new, vec![], vec![wanted(1, Mode::Null, Mode::Write)]);
    rig.pass(seconds(25));
    rig.ping(&new);
    assert_eq!(rig.granted(&mut new), None);
    rig.pass(seconds(6));
    assert!(rig.granted(&mut new).is_some());
}

/// A table is for the next term alone: had anybody led in between, it would give away what was granted then.
#[test]
fn a_table_is_for_the_next_leader_and_no_other() {
    let mut rig = Rig::new();
    let mut one = rig.come(1);
    rig.grant(&mut one, 1, Mode::Write);
    let handover = rig.stop().unwrap();
    campaign(&rig.authority);
    let error = rig.succeed(handover).err();
    assert_eq!(error, Some(TakeOverError::Term { theirs: Term(1), ours: Term(3) }));
}

#[test]
fn a_table_that_the_records_do_not_know_is_not_taken() {
    let fresh = || {
        let mut rig = Rig::new();
        let mut one = rig.come(1);
        rig.grant(&mut one, 1, Mode::Read);
        let handover = rig.stop().unwrap();
        (rig, handover)
    };
    let sessions = TakeOverError::Sessions { client: name(1), incarnation: Incarnation(1) };
    let (rig, handover) = fresh();
    rig.authority
        .apply(rig.term, Change::CloseSession { client: name(1), incarnation: Incarnation(1) })
        .unwrap();
    assert_eq!(rig.succeed(handover).err(), Some(sessions));

    let (rig, handover) = fresh();
    let term = campaign(&rig.authority);
    rig.authority.apply(term, Change::BeginGrace).unwrap();
    let records = Records::read(&rig.authority).unwrap();
    let taken = Server::taking_over(config(), term, records, &handover, rig.now);
    assert_eq!(taken.err(), Some(TakeOverError::Recovering));
}

/// A server that was still recovering has no table; and one that stops waits for changes that are under way.
#[test]
fn only_a_server_that_serves_hands_over_and_not_before_its_changes_are_answered() {
    let mut rig = Rig::new();
    rig.come(1);
    let mut rig = rig.restart();
    assert_eq!(rig.stop(), None);

    let mut rig = Rig::new();
    rig.is_prompt = false;
    let mut late = rig.greet_new(1, 1);
    rig.input(Input::Stop);
    assert_eq!(rig.stopped, None);
    rig.apply_next();
    assert!(rig.stopped.is_some());
    assert!(matches!(late.welcomed(&mut rig), Verdict::New { .. }));
}

/// Nothing is decided any more from when a server was asked to stop: the table would be older than what clients believe.
#[test]
fn a_server_that_stops_decides_nothing_more() {
    let mut rig = Rig::new();
    let mut one = rig.come(1);
    rig.is_prompt = false;
    rig.greet_new(2, 1);
    rig.step(Input::Stop);
    rig.say(&mut one, acquire(1, Mode::Null, Mode::Write));
    rig.frame(one.connection, Frame::Farewell);
    rig.pass(LEASE * 2);
    assert_eq!((rig.granted(&mut one), rig.server.locks(), rig.server.sessions().count()), (None, 0, 1));
    assert_eq!(rig.why(), None);
}

/// what was begun with the last server comes to its end with the next.
#[test]
fn a_farewell_that_was_under_way_is_finished() {
    let mut rig = Rig::new();
    let mut one = rig.come(1);
    rig.grant(&mut one, 1, Mode::Write);
    rig.is_prompt = false;
    rig.frame(one.connection, Frame::Farewell);
    rig.input(Input::Stop);
    rig.apply_next();
    assert!(rig.stopped.is_some());
    let empty = Rig::new().server;
    let handover = std::mem::replace(&mut rig.server, empty).hand_over().unwrap();
    let mut rig = rig.succeed(handover).unwrap();
    assert_eq!((rig.server.locks(), rig.record(1)), (0, None));
    assert_eq!(rig.leave(&mut one), Verdict::Left);
}

fn some_handover() -> Handover {
    let mut rig = Rig::new();
    for instance in 1..4 {
        let mut puppet: Puppet = rig.come(instance);
        for number in 0..4 {
            rig.grant(&mut puppet, number, Mode::Read);
        }
    }
    rig.stop().unwrap()
}

/// A change of these bytes is a change of the format.
#[test]
fn the_page_about_the_lock_server_shows_the_bytes_of_a_handover() {
    let page = include_str!("../../../../docs/lock-server.md");
    let mut rig = Rig::new();
    let mut puppet = rig.come(1);
    rig.grant(&mut puppet, 16, Mode::Read);
    let bytes = rig.stop().unwrap().bytes().to_vec();
    let rows = bytes.chunks(32).map(|row| row.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    let rows: Vec<String> = rows.collect();
    assert!(page.contains(&rows.join("\n")), "docs/lock-server.md does not show\n{}", rows.join("\n"));
}

proptest! {
    /// bytes are a handover, or refused.
    #[test]
    fn a_handover_with_some_bytes_changed_is_refused(place in 0usize..1000, bits in 1u8.., cut in 0usize..1000) {
        let handover = some_handover();
        let mut bytes = handover.bytes().to_vec();
        prop_assert_eq!(Handover::decode(bytes.clone()), Ok(handover));
        let place = place % bytes.len();
        bytes[place] ^= bits;
        prop_assert!(Handover::decode(bytes.clone()).is_err());
        bytes[place] ^= bits;
        bytes.truncate(cut.min(bytes.len() - 1));
        prop_assert!(Handover::decode(bytes).is_err());
    }

    #[test]
    fn any_bytes_are_a_handover_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Handover::decode(bytes).is_err());
    }
}

/// With a checksum that is right, so that what stands behind it is looked at.
#[test]
fn every_way_to_be_no_handover_has_its_own_refusal() {
    let good = some_handover().bytes().to_vec();
    let broken = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        let sum = tidelock_format::block_checksum(&bytes).0;
        bytes[..4].copy_from_slice(&sum.to_le_bytes());
        let all = |handover: Handover| {
            let mut locks = handover.locks();
            while locks.next()?.is_some() {}
            Ok(())
        };
        Handover::decode(bytes).and_then(all).unwrap_err()
    };
    // Three sessions, and locks that all of them hold, from key zero on: 256 keys each.
    let sessions = 48;
    let first = sessions + 3 * 24;
    let holder = first + 8 + 1;
    let second = holder + 3 * 24;
    let third = second + 8 + 3 + 3 * 24;
    assert_eq!([good[first], good[first + 1], good[second], good[second + 1]], [32, 31, 30, 31]);
    assert_eq!(broken(&|it| it[4] = 1), HandoverError::Version { found: 1, known: 2 });
    assert_eq!(broken(&|it| it[8] = 0), HandoverError::Stranger);
    assert!(matches!(broken(&|it| it.truncate(60)), HandoverError::TooShort(_)));
    assert_eq!(broken(&|it| it.push(0)), HandoverError::Surplus { surplus: 1 });
    assert_eq!(broken(&|it| it[40] = 200), HandoverError::Locks { found: 200 });
    assert_eq!(broken(&|it| it[sessions..sessions + 16].fill(0)), HandoverError::Nobody);
    assert_eq!(broken(&|it| it.copy_within(sessions..sessions + 24, sessions + 24)), HandoverError::Order);
    assert_eq!(broken(&|it| it[first] = 33), HandoverError::Shared { found: 33 });
    assert_eq!(broken(&|it| it[first + 2] = 1), HandoverError::NotZero);
    assert_eq!(broken(&|it| it[first + 4] = 0), HandoverError::Vacant { start: range(0).start() });
    assert_eq!(broken(&|it| it[holder + 16] = 3), HandoverError::Session { found: 3 });
    assert_eq!(broken(&|it| it[holder + 16] = 1), HandoverError::Order);
    assert_eq!(broken(&|it| it[holder + 20] = 0), HandoverError::Mode { found: 0 });
    assert_eq!(broken(&|it| it[holder + 21] = 1), HandoverError::NotZero);
    assert_eq!(broken(&|it| it[second + 8] = 0), HandoverError::Shared { found: 30 });
    let range = |it: &mut Vec<u8>| it[second + 9..second + 11].copy_from_slice(&[5, 3]);
    assert!(matches!(broken(&range), HandoverError::Range { .. }));
    assert_eq!(broken(&|it| it[third + 8] = 0), HandoverError::Order);
}
