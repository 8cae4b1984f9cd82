//! Every request there is, with a crash at every point of it: before the change of the records is made, after it and before
//! the answer, after the answer and before the client has heard it; and the client comes again to the same server, or to
//! the next. In the end everybody has what it asked for, once.
//!
//! P-15.

use tidelock_authority::Seat as _;
use tidelock_format::{Incarnation, Token};
use tidelock_lock_proto::{Mode, ToClient, ToServer};
use tidelock_net::{Frame, Verdict};

use super::rig::{LEASE, Puppet, Rig, acquire, descent, held, seconds, wanted};
use crate::{Phase, Standing};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Before {
    TheChange,
    TheAnswer,
    ItIsHeard,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Next {
    /// The connection breaks, and the same server goes on.
    Same,
    /// The server dies, and another recovers.
    Another,
    /// The server stops, and another takes its table.
    Successor,
}

const CRASHES: [Before; 3] = [Before::TheChange, Before::TheAnswer, Before::ItIsHeard];

fn every(story: impl Fn(Before, Next)) {
    for crash in CRASHES {
        for next in [Next::Same, Next::Another, Next::Successor] {
            story(crash, next);
        }
    }
}

/// Brings the change that was asked for as far as the crash lets it come, and then the crash.
fn crash(mut rig: Rig, puppet: &Puppet, crash: Before, next: Next) -> Rig {
    rig.asked.retain(|(_, change)| !matches!(change, tidelock_authority::Change::SweepTombstones { .. }));
    if crash == Before::TheAnswer && next == Next::Another {
        for (_, change) in std::mem::take(&mut rig.asked) {
            rig.authority.apply(rig.term, change).expect("it can be made");
        }
    }
    if crash == Before::ItIsHeard {
        rig.is_prompt = true;
        rig.tick();
    }
    rig.close(puppet);
    rig.is_prompt = true;
    match next {
        Next::Same => {
            rig.tick();
            rig
        }
        Next::Another => rig.restart(),
        Next::Successor => rig.hand_over(),
    }
}

/// The client comes again, as what it is, and tells what it has.
fn again(rig: &mut Rig, puppet: &mut Puppet, has: &[(u64, Mode, Token)], wants: &[(u64, Mode)]) -> Verdict {
    let verdict = rig.come_again(puppet);
    if let Verdict::Recover { .. } = verdict {
        let held = has.iter().map(|(number, mode, token)| held(*number, *mode, *token)).collect();
        let wanted = wants.iter().map(|(number, mode)| wanted(*number, Mode::Null, *mode)).collect();
        rig.snapshot(puppet, held, wanted);
    }
    verdict
}

///
#[test]
fn a_greeting_opens_one_session() {
    every(|point, next| {
        let mut rig = Rig::new();
        rig.is_prompt = false;
        let mut puppet = rig.greet_new(1, 7);
        let mut rig = crash(rig, &puppet, point, next);
        let verdict = rig.come_again(&mut puppet);
        assert!(
            matches!(verdict, Verdict::New { incarnation: Incarnation(1), .. }),
            "{point:?}, {next:?}: {verdict:?}"
        );
        rig.ping(&puppet);
        rig.grant(&mut puppet, 1, Mode::Write);
        assert_eq!(rig.server.sessions().count(), 1, "{point:?}, {next:?}");
    });
}

#[test]
fn a_want_is_granted_once() {
    every(|point, next| {
        let mut rig = Rig::new();
        let mut puppet = rig.come(1);
        if point != Before::TheChange {
            rig.say(&mut puppet, acquire(1, Mode::Null, Mode::Write));
        } else {
            puppet.sent += 1;
        }
        let mut rig = crash(rig, &puppet, point, next);
        // It has heard nothing.
        let verdict = again(&mut rig, &mut puppet, &[], &[(1, Mode::Write)]);
        if let Verdict::Resumed { done, .. } = verdict
            && done.0 == 0
        {
            rig.say_again(&puppet, 1, acquire(1, Mode::Null, Mode::Write));
        }
        let told = rig.told(&mut puppet);
        let grants = told.iter().filter(|message| matches!(message, ToClient::Granted(_))).count();
        assert_eq!(grants, 1, "{point:?}, {next:?}: {told:?}");
        assert_eq!(rig.holders(1), [(puppet.party(), Mode::Write)]);
    });
}

#[test]
fn a_lock_that_was_ceded_goes_to_who_waits_for_it() {
    every(|point, next| {
        let mut rig = Rig::new();
        let mut holder = rig.come(1);
        let token = rig.grant(&mut holder, 1, Mode::Write);
        let mut waiter = rig.come(2);
        rig.say(&mut waiter, acquire(1, Mode::Null, Mode::Write));
        assert!(matches!(rig.told(&mut holder)[..], [ToClient::Revoke(_)]));
        let ceded = ToServer::Ceded(descent(1, token, Mode::Write, Mode::Null));
        if point != Before::TheChange {
            rig.say(&mut holder, ceded.clone());
        } else {
            holder.sent += 1;
        }
        let mut rig = crash(rig, &holder, point, next);
        // It holds nothing any more, and says so to another server by not telling of it.
        if let Verdict::Resumed { done, .. } = again(&mut rig, &mut holder, &[], &[])
            && done.0 == 1
        {
            rig.say_again(&holder, 2, ceded);
        }
        if next != Next::Same {
            again(&mut rig, &mut waiter, &[], &[(1, Mode::Write)]);
        }
        assert!(rig.granted(&mut waiter).is_some(), "{point:?}, {next:?}");
        assert_eq!(rig.holders(1), [(waiter.party(), Mode::Write)]);
    });
}

#[test]
fn a_lock_that_was_given_back_is_free() {
    every(|point, next| {
        let mut rig = Rig::new();
        let mut holder = rig.come(1);
        let token = rig.grant(&mut holder, 1, Mode::Write);
        let release = ToServer::Release(descent(1, token, Mode::Write, Mode::Null));
        if point != Before::TheChange {
            rig.say(&mut holder, release.clone());
        } else {
            holder.sent += 1;
        }
        let mut rig = crash(rig, &holder, point, next);
        if let Verdict::Resumed { done, .. } = again(&mut rig, &mut holder, &[], &[])
            && done.0 == 1
        {
            rig.say_again(&holder, 2, release);
        }
        let mut other = rig.come(2);
        rig.grant(&mut other, 1, Mode::Write);
        assert_eq!(rig.holders(1), [(other.party(), Mode::Write)], "{point:?}, {next:?}");
    });
}

#[test]
fn a_snapshot_counts_once_and_comes_to_its_end() {
    every(|point, next| {
        let mut rig = Rig::new();
        let mut holder = rig.come(1);
        let token = rig.grant(&mut holder, 1, Mode::Write);
        let mut rig = rig.restart();
        rig.come_again(&mut holder);
        rig.is_prompt = false;
        rig.snapshot(&mut holder, vec![held(1, Mode::Write, token)], vec![wanted(2, Mode::Null, Mode::Read)]);
        // A server in its recovery hands nothing over.
        let next = if next == Next::Successor && point != Before::ItIsHeard { Next::Another } else { next };
        let mut rig = crash(rig, &holder, point, next);
        again(&mut rig, &mut holder, &[(1, Mode::Write, token)], &[(2, Mode::Read)]);
        assert_eq!(rig.server.phase(), Phase::Serving, "{point:?}, {next:?}");
        assert!(rig.granted(&mut holder).is_some());
        assert_eq!((rig.holders(1).len(), rig.holders(2).len()), (1, 1));
    });
}

#[test]
fn a_farewell_comes_to_its_end() {
    every(|point, next| {
        let mut rig = Rig::new();
        let mut leaver = rig.come(1);
        rig.grant(&mut leaver, 1, Mode::Write);
        rig.is_prompt = false;
        rig.frame(leaver.connection, Frame::Farewell);
        let mut rig = crash(rig, &leaver, point, next);
        match rig.leave(&mut leaver) {
            Verdict::Left => {}
            Verdict::Recover { .. } | Verdict::Resumed { .. } => {
                rig.frame(leaver.connection, Frame::Farewell);
                assert_eq!(rig.leave(&mut leaver), Verdict::Left);
            }
            other => panic!("{point:?}, {next:?}: {other:?}"),
        }
        assert_eq!((rig.record(1), rig.server.locks()), (None, 0));
        assert_eq!(rig.server.sessions().count(), 0);
    });
}

/// Each of the three changes of an expulsion in turn.
#[test]
fn an_expulsion_comes_to_its_end() {
    for changes in 0..3 {
        every(|point, next| {
            let mut rig = Rig::new();
            let mut silent = rig.come(1);
            rig.grant(&mut silent, 1, Mode::Write);
            rig.close(&silent);
            let mut other = rig.come(2);
            rig.pass(seconds(20));
            rig.ping(&other);
            rig.is_prompt = false;
            rig.pass(seconds(11));
            rig.asked
                .retain(|(_, change)| !matches!(change, tidelock_authority::Change::SweepTombstones { .. }));
            (0..changes).for_each(|_| rig.apply_next());
            let mut rig = crash(rig, &silent, point, next);
            again(&mut rig, &mut other, &[], &[]);
            rig.say(&mut other, acquire(1, Mode::Null, Mode::Write));
            for _ in 0..6 {
                rig.pass(LEASE / 5);
                rig.ping(&other);
            }
            assert!(rig.granted(&mut other).is_some(), "{changes}, {point:?}, {next:?}");
            assert_eq!(rig.record(1), None);
            assert_eq!(rig.come_again(&mut silent), Verdict::Expelled { upto: Incarnation(1) });
            let standings: Vec<Standing> = rig.server.sessions().map(|session| session.standing).collect();
            assert_eq!(standings, [Standing::Live]);
        });
    }
}
