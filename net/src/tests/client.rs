//! A client's session, one event at a time: what it does, exactly.

use std::time::Duration;

use tidelock_format::{Fsid, Incarnation, Term};

use crate::{
    ANY_SERVICE, ClientConfig, ClientSession, Connection, Effect, Frame, Number, Standing, TimeoutPlan,
    Verdict, Welcome,
};

pub(super) const CONFIG: ClientConfig = ClientConfig {
    versions: (1, 1),
    service: Fsid(7),
    instance: 3,
    plan: TimeoutPlan::DEFAULT,
    window: 8,
    seed: 1,
};

const LEASE: Duration = Duration::from_secs(30);

struct Scene {
    session: ClientSession,
    now: Duration,
}

impl Scene {
    fn new() -> Self {
        Self { session: ClientSession::new(CONFIG, 77, Duration::ZERO), now: Duration::ZERO }
    }

    fn later(&mut self, seconds: u64) -> Vec<Effect> {
        self.now += Duration::from_secs(seconds);
        let mut effects = Vec::new();
        self.session.tick(self.now, &mut effects);
        effects
    }

    fn connected(&mut self, connection: u64) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.session.connected(Connection(connection), self.now, &mut effects);
        effects
    }

    fn hears(&mut self, connection: u64, frame: Frame<'_>) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.session.heard(Connection(connection), &frame, self.now, &mut effects);
        effects
    }

    fn is_welcomed(&mut self, connection: u64, term: u64, verdict: Verdict) -> Vec<Effect> {
        self.hears(connection, welcome(term, verdict))
    }

    /// One that is up, on connection 1.
    fn up() -> Self {
        let mut scene = Self::new();
        scene.later(0);
        scene.connected(1);
        scene.is_welcomed(1, 3, NEW);
        scene
    }
}

const NEW: Verdict = Verdict::New { incarnation: Incarnation(5), lease: LEASE };

fn welcome(term: u64, verdict: Verdict) -> Frame<'static> {
    Frame::Welcome(Welcome { service: CONFIG.service, term: Term(term), verdict })
}

/// The frames that are written, and to which connection.
fn written(effects: &[Effect]) -> Vec<(u64, String)> {
    let frame = |effect: &Effect| match effect {
        Effect::Write(connection, bytes) => {
            let frame = Frame::decode(bytes).expect("what is written is a frame");
            Some((connection.0, format!("{frame:?}").split([' ', '(']).next().expect("a name").to_owned()))
        }
        _ => None,
    };
    effects.iter().filter_map(frame).collect()
}

/// which of its principal's clients it is is all that it says of who it is.
#[test]
fn a_greeting_says_which_client_it_is() {
    let mut scene = Scene::new();
    scene.later(0);
    let effects = scene.connected(1);
    let [Effect::Write(_, bytes)] = effects.as_slice() else { panic!("{effects:?}") };
    let Ok(Frame::Hello { hello, .. }) = Frame::decode(bytes) else { panic!("{bytes:?}") };
    assert_eq!(hello.instance, CONFIG.instance);
}

#[test]
fn a_client_that_means_no_service_learns_which_it_has_and_means_that_from_then_on() {
    let mut scene = Scene::new();
    scene.session = ClientSession::new(ClientConfig { service: ANY_SERVICE, ..CONFIG }, 77, scene.now);
    let meant = |effects: Vec<Effect>| match effects.as_slice() {
        [Effect::Write(_, bytes)] => match Frame::decode(bytes) {
            Ok(Frame::Hello { hello, .. }) => hello.service,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    scene.later(0);
    assert_eq!(meant(scene.connected(1)), ANY_SERVICE);
    scene.is_welcomed(1, 3, NEW);
    scene.session.disconnected(Connection(1), scene.now, &mut Vec::new());
    scene.later(1);
    assert_eq!(meant(scene.connected(2)), CONFIG.service);
}

#[test]
fn a_session_is_opened_by_connecting_and_greeting() {
    let mut scene = Scene::new();
    assert_eq!(scene.later(0), [Effect::Connect(Connection(1))]);
    assert_eq!(written(&scene.connected(1)), [(1, "Hello".into())]);
    assert!(!scene.session.lease().is_valid(scene.now), "nothing is leased before the answer");
    let stands = Standing::New { incarnation: Incarnation(5), term: Term(3) };
    assert_eq!(scene.is_welcomed(1, 3, NEW), [Effect::Stands(stands)]);
    assert!(scene.session.lease().is_valid(scene.now));
}

/// Q3: the answer took three seconds, and they are the client's loss.
#[test]
fn the_lease_counts_from_when_the_greeting_was_sent_less_the_margin() {
    let mut scene = Scene::new();
    scene.later(0);
    scene.connected(1);
    scene.now += Duration::from_secs(1);
    scene.is_welcomed(1, 3, NEW);
    assert_eq!(scene.session.lease().ends(), Some(Duration::from_secs(25)));
    assert_eq!(written(&scene.later(7)), [(1, "Ping".into())]);
    scene.now += Duration::from_secs(2);
    scene.hears(1, Frame::Pong(1));
    assert_eq!(scene.session.lease().ends(), Some(Duration::from_secs(8 + 25)));
    scene.hears(1, Frame::Pong(9));
    assert_eq!(scene.session.lease().ends(), Some(Duration::from_secs(8 + 25)), "an answer to nothing");
}

#[test]
fn a_message_waits_for_the_greeting_and_for_the_next_connection() {
    let mut scene = Scene::new();
    scene.later(0);
    scene.connected(1);
    scene.is_welcomed(1, 3, NEW);
    let mut effects = Vec::new();
    scene.session.send(b"first".to_vec(), &mut effects).unwrap();
    assert_eq!(written(&effects), [(1, "Message".into())]);
    effects.clear();
    scene.session.disconnected(Connection(1), scene.now, &mut effects);
    assert_eq!(effects, [Effect::Close(Connection(1)), Effect::Stands(Standing::Cut)]);
    effects.clear();
    scene.session.send(b"second".to_vec(), &mut effects).unwrap();
    assert_eq!(effects, [], "Q2");
    assert_eq!(scene.later(1), [Effect::Connect(Connection(2))]);
    scene.connected(2);
    let resumed = Verdict::Resumed { done: Number(0), lease: LEASE };
    let effects = scene.is_welcomed(2, 3, resumed);
    assert_eq!(effects[0], Effect::Stands(Standing::Resumed));
    assert_eq!(written(&effects), [(2, "Message".into()), (2, "Message".into())]);
}

/// the numbers of the last server's messages mean nothing to the next.
#[test]
fn under_a_new_server_messages_begin_anew_and_old_deliveries_count_for_nothing() {
    let mut scene = Scene::up();
    let message = Frame::Message { number: Number(1), done: Number(0), content: b"old" };
    let effects = scene.hears(1, message);
    let [Effect::Deliver(old, _)] = effects[..] else { panic!("{effects:?}") };
    let mut effects = Vec::new();
    scene.session.disconnected(Connection(1), scene.now, &mut effects);
    scene.later(1);
    scene.connected(2);
    let recover = Verdict::Recover { lease: LEASE };
    assert_eq!(scene.is_welcomed(2, 4, recover), [Effect::Stands(Standing::Recover { term: Term(4) })]);
    effects.clear();
    scene.session.handled(old, scene.now, &mut effects);
    assert_eq!(effects, [], "the new server asked nothing yet");
    assert_eq!(scene.hears(2, message).len(), 1, "its first message is new");
}

#[test]
fn a_silent_server_is_given_up_and_sought_again() {
    let mut scene = Scene::up();
    assert_eq!(written(&scene.later(7)), [(1, "Ping".into())]);
    let effects = scene.later(4);
    assert_eq!(effects, [Effect::Close(Connection(1)), Effect::Stands(Standing::Cut)]);
    assert!(scene.session.lease().is_valid(scene.now), "what is held may be used a little longer");
    assert_eq!(scene.later(1), [Effect::Connect(Connection(2))]);
    let effects = scene.later(2);
    assert_eq!(effects[0], Effect::Close(Connection(2)), "nobody answers");
    scene.now += LEASE;
    assert!(!scene.session.lease().is_valid(scene.now));
}

/// Q1: what an old connection still has to say is not heard.
#[test]
fn only_the_present_connection_is_heard() {
    let mut scene = Scene::up();
    let mut effects = Vec::new();
    scene.session.disconnected(Connection(1), scene.now, &mut effects);
    scene.later(1);
    assert_eq!(scene.hears(1, Frame::Goodbye), []);
    assert_eq!(scene.connected(1), [Effect::Close(Connection(1))], "it comes too late");
    assert_eq!(written(&scene.connected(2)), [(2, "Hello".into())]);
}

/// a client that was expelled stops, and says so.
#[test]
fn an_expelled_client_stops_for_good() {
    let mut scene = Scene::up();
    let mut effects = Vec::new();
    scene.session.disconnected(Connection(1), scene.now, &mut effects);
    scene.later(1);
    scene.connected(2);
    let effects = scene.is_welcomed(2, 3, Verdict::Expelled { upto: Incarnation(5) });
    assert_eq!(effects, [Effect::Close(Connection(2)), Effect::Stands(Standing::Expelled)]);
    assert!(!scene.session.lease().is_valid(scene.now), "at once, whatever was left of the lease");
    assert_eq!((scene.later(100), scene.session.next_tick()), (vec![], None), "Q4");
}

/// Q5: a server that was deposed and has not noticed cannot end a session, whatever it says.
#[test]
fn a_server_of_an_earlier_term_is_passed_over() {
    let verdicts = [
        Verdict::Mismatch { versions: (1, 1) },
        Verdict::Expelled { upto: Incarnation(5) },
        Verdict::Recover { lease: LEASE },
    ];
    for verdict in verdicts {
        let mut scene = Scene::up();
        scene.session.disconnected(Connection(1), scene.now, &mut Vec::new());
        scene.later(1);
        scene.connected(2);
        let effects = scene.is_welcomed(2, 2, verdict);
        assert_eq!(effects, [Effect::Close(Connection(2)), Effect::Stands(Standing::Cut)], "{verdict:?}");
        assert!(scene.session.lease().is_valid(scene.now) && scene.session.next_tick().is_some());
    }
}

#[test]
fn a_verdict_that_nobody_asked_for_ends_nothing() {
    for verdict in [Verdict::Left, Verdict::Expelled { upto: Incarnation(4) }] {
        let mut scene = Scene::up();
        scene.session.disconnected(Connection(1), scene.now, &mut Vec::new());
        scene.later(1);
        scene.connected(2);
        let effects = scene.is_welcomed(2, 3, verdict);
        assert_eq!(effects, [Effect::Close(Connection(2)), Effect::Stands(Standing::Cut)], "{verdict:?}");
    }
}

/// Zero is no session's: a client that took it for one would open another at its next greeting, and what it holds in the first
/// would be forgotten. Nor does anything go on where there was nothing.
#[test]
fn a_session_without_an_incarnation_is_none() {
    let nothing = Verdict::New { incarnation: Incarnation(0), lease: LEASE };
    let resumed = Verdict::Resumed { done: Number(0), lease: LEASE };
    for verdict in [nothing, resumed, Verdict::Recover { lease: LEASE }] {
        let mut scene = Scene::new();
        scene.later(0);
        scene.connected(1);
        assert_eq!(scene.is_welcomed(1, 0, verdict), [Effect::Close(Connection(1))], "{verdict:?}");
        assert_eq!(scene.session.lease().ends(), None, "{verdict:?}");
    }
}

#[test]
fn a_busy_server_is_asked_again_when_it_said() {
    let mut scene = Scene::new();
    scene.later(0);
    scene.connected(1);
    let wait = Duration::from_secs(9);
    assert_eq!(scene.is_welcomed(1, 3, Verdict::Busy(wait)), [Effect::Close(Connection(1))]);
    assert_eq!(scene.session.next_tick(), Some(scene.now + wait));
}

#[test]
fn a_client_that_leaves_says_so_until_it_has_left() {
    let mut scene = Scene::up();
    let mut effects = Vec::new();
    scene.session.leave(&mut effects);
    assert_eq!(written(&effects), [(1, "Farewell".into())]);
    effects.clear();
    scene.session.disconnected(Connection(1), scene.now, &mut effects);
    scene.later(1);
    let hello = scene.connected(2);
    let Effect::Write(_, bytes) = &hello[0] else { panic!("{hello:?}") };
    assert!(matches!(Frame::decode(bytes), Ok(Frame::Hello { hello, .. }) if hello.is_leaving));
    let effects = scene.is_welcomed(2, 3, Verdict::Left);
    assert_eq!(effects, [Effect::Close(Connection(2)), Effect::Stands(Standing::Left)]);
}

/// it may have a record that it has never heard of.
#[test]
fn a_client_that_leaves_before_it_was_answered_asks_for_its_session_first() {
    let mut scene = Scene::new();
    scene.later(0);
    scene.connected(1);
    let mut effects = Vec::new();
    scene.session.leave(&mut effects);
    assert_eq!(effects, []);
    assert_eq!(written(&scene.is_welcomed(1, 3, NEW)), [(1, "Farewell".into())]);
    let mut unheard = Scene::new();
    unheard.session.leave(&mut effects);
    assert!(matches!(effects[..], [_, Effect::Stands(Standing::Left)]), "nobody can have heard of this one");
}

#[test]
fn a_server_that_breaks_the_protocol_is_left_alone_for_a_while() {
    let unexpected = [
        Frame::Goodbye,
        welcome(3, NEW),
        Frame::Report(Number(1)),
        Frame::Message { number: Number(2), done: Number(0), content: &[] },
    ];
    for frame in unexpected {
        let mut scene = Scene::up();
        let effects = scene.hears(1, frame);
        assert_eq!(effects, [Effect::Close(Connection(1)), Effect::Stands(Standing::Cut)], "{frame:?}");
    }
}

/// A round trip is one frame each way: what was handled is said along with the next message.
#[test]
fn what_was_handled_is_reported_with_the_next_message_or_a_moment_later() {
    let mut scene = Scene::up();
    let handle = |scene: &mut Scene, number| {
        let message = Frame::Message { number: Number(number), done: Number(0), content: b"do" };
        let effects = scene.hears(1, message);
        let [Effect::Deliver(delivery, _)] = effects[..] else { panic!("{effects:?}") };
        let mut effects = Vec::new();
        scene.session.handled(delivery, scene.now, &mut effects);
        effects
    };
    assert_eq!(handle(&mut scene, 1), [], "it can wait");
    let mut effects = Vec::new();
    scene.session.send(b"next".to_vec(), &mut effects).unwrap();
    let [Effect::Write(_, bytes)] = &effects[..] else { panic!("{effects:?}") };
    let said = Frame::Message { number: Number(1), done: Number(1), content: b"next" };
    assert_eq!(Frame::decode(bytes), Ok(said));
    assert_eq!(handle(&mut scene, 2), []);
    scene.now = scene.session.next_tick().unwrap();
    assert!(scene.now < Duration::from_secs(1), "it does not wait for long");
    assert_eq!(written(&scene.later(0)), [(1, "Report".into())]);
    assert_eq!(written(&scene.later(0)), [], "once");
    let reports = (3..200).flat_map(|number| handle(&mut scene, number)).count();
    assert!((4..40).contains(&reports), "many are reported together, and not only at the end: {reports}");
}

#[test]
fn a_session_that_was_opened_is_not_opened_again_under_its_feet() {
    let mut scene = Scene::up();
    let mut effects = Vec::new();
    scene.session.disconnected(Connection(1), scene.now, &mut effects);
    scene.later(1);
    scene.connected(2);
    assert_eq!(scene.is_welcomed(2, 3, NEW)[0], Effect::Close(Connection(2)), "nobody asked for that");
}

#[test]
fn a_session_that_is_abandoned_says_nothing() {
    let mut scene = Scene::up();
    let mut effects = Vec::new();
    scene.session.abandon(&mut effects);
    assert_eq!(effects, [Effect::Close(Connection(1)), Effect::Stands(Standing::Left)]);
    assert_eq!(scene.session.next_tick(), None);
}
