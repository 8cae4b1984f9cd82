//! Every client that can come, to every service that can know something of it.

use std::time::Duration;

use tidelock_format::{Fsid, Incarnation, Term};

use crate::{ANY_SERVICE, Hello, Known, Mismatch, Outcome, Service, greet};

const OURS: Fsid = Fsid(7);

fn service() -> Service {
    Service { versions: (2, 4), service: OURS, term: Term(9), busy_for: None }
}

fn hello(incarnation: u64) -> Hello {
    Hello {
        versions: (1, 3),
        service: OURS,
        instance: 1,
        incarnation: Incarnation(incarnation),
        term: Term(9),
        is_leaving: false,
    }
}

/// Everything that may be known, up to incarnation 4.
fn all_known() -> Vec<Known> {
    let states = [Known::Live, Known::Unheard, Known::Leaving, Known::Expelled];
    let with = |state: fn(Incarnation) -> Known| (1..5).map(move |mine| state(Incarnation(mine)));
    states.into_iter().flat_map(with).chain([Known::Nothing]).collect()
}

fn outcomes(is_leaving: bool) -> Vec<(Known, u64, Outcome)> {
    let greeted = |known, theirs| {
        let hello = Hello { is_leaving, ..hello(theirs) };
        (known, theirs, greet(&service(), &hello, known))
    };
    all_known().into_iter().flat_map(|known| (0..7).map(move |theirs| greeted(known, theirs))).collect()
}

/// a client goes on, under this server or after the last, only as exactly the session that the service knows.
#[test]
fn only_the_session_that_is_known_goes_on() {
    for (known, theirs, outcome) in outcomes(false) {
        let mine = Incarnation(theirs);
        assert_eq!(outcome == Outcome::Resumed, known == Known::Live(mine), "{known:?}, {theirs}");
        assert_eq!(outcome == Outcome::Recover, known == Known::Unheard(mine), "{known:?}, {theirs}");
    }
}

/// the answer that told it to recover was lost, and it greets as before.
#[test]
fn a_client_that_has_not_heard_of_the_new_term_recovers_again() {
    let late = Hello { term: Term(8), ..hello(3) };
    assert_eq!(greet(&service(), &late, Known::Live(Incarnation(3))), Outcome::Recover);
    let leaver = Hello { is_leaving: true, ..late };
    assert_eq!(greet(&service(), &leaver, Known::Live(Incarnation(3))), Outcome::Recover);
}

/// whoever is not taken back is told so, for good, and the way from there leads to a new session in one step.
#[test]
fn whoever_was_given_up_is_told_and_can_begin_anew() {
    for (known, theirs, outcome) in outcomes(false) {
        let Outcome::Expelled { upto } = outcome else { continue };
        assert!(upto >= Incarnation(theirs), "{known:?}, {theirs}: it covers the session that was named");
        let again = greet(&service(), &hello(0), known);
        assert!(matches!(again, Outcome::New { .. }), "{known:?}: {again:?}");
    }
}

/// A-78, P-11: two lives of a client never share an incarnation.
#[test]
fn a_new_session_is_newer_than_any_that_is_known() {
    for (known, theirs, outcome) in outcomes(false) {
        if let Outcome::New { least } = outcome {
            assert_eq!(theirs, 0, "who has a session is not given another unasked");
            assert!(known.incarnation().is_none_or(|mine| least > mine) && least > Incarnation(0));
        }
    }
}

#[test]
fn a_session_that_nobody_opened_is_a_mismatch_and_no_expulsion() {
    for (known, theirs, outcome) in outcomes(false) {
        let is_remembered = !matches!(known, Known::Nothing | Known::Expelled(_));
        let is_invented = is_remembered && known.incarnation().is_some_and(|mine| mine < Incarnation(theirs));
        let is_mismatch = matches!(outcome, Outcome::Mismatch(Mismatch::Session { .. }));
        assert_eq!(is_mismatch, is_invented, "{known:?}, {theirs}");
    }
}

/// what is left of expulsions goes by the time of day, which may jump: the last may be forgotten before one that came
/// earlier.
#[test]
fn an_expulsion_that_was_forgotten_before_an_earlier_one_is_one_all_the_same() {
    let outcome = greet(&service(), &hello(2), Known::Expelled(Incarnation(1)));
    assert_eq!(outcome, Outcome::Expelled { upto: Incarnation(2) });
}

#[test]
fn a_client_that_means_no_service_in_particular_is_taken_by_any() {
    for known in all_known() {
        let means_any = Hello { service: ANY_SERVICE, ..hello(0) };
        assert_eq!(greet(&service(), &means_any, known), greet(&service(), &hello(0), known));
    }
}

/// a client that leaves comes to an end whatever became of its farewell, or of its session.
#[test]
fn a_client_that_leaves_goes_on_only_as_far_as_there_is_something_to_leave() {
    for (known, theirs, outcome) in outcomes(true) {
        let mine = Incarnation(theirs);
        let expected = match known {
            Known::Live(known) | Known::Leaving(known) if known == mine => Outcome::Resumed,
            Known::Unheard(known) if known == mine => Outcome::Recover,
            _ => Outcome::Left,
        };
        assert_eq!(outcome, expected, "{known:?}, {theirs}");
    }
}

#[test]
fn who_cannot_talk_is_told_why_before_anything_else() {
    let known = Known::Live(Incarnation(1));
    let busy = Service { busy_for: Some(Duration::from_secs(1)), ..service() };
    let mismatch = |hello: Hello| match greet(&busy, &hello, known) {
        Outcome::Mismatch(mismatch) => mismatch.to_string(),
        other => panic!("{other:?}"),
    };
    for versions in [(0, 1), (5, 9), (3, 2)] {
        assert!(mismatch(Hello { versions, ..hello(1) }).contains("too old"));
    }
    assert!(mismatch(Hello { service: Fsid(8), ..hello(1) }).contains("check the address"));
    assert!(mismatch(Hello { term: Term(10), ..hello(1) }).contains("another server is newer"));
    assert_eq!(greet(&busy, &hello(1), known), Outcome::Busy(Duration::from_secs(1)));
}
