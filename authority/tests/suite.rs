//! One suite for every authority: what a caller may rely on, whatever keeps the records.
#![cfg(feature = "sqlite")]

mod common;

use common::{InFolder, client, greeting, lead};
use tidelock_authority::{
    Authority, AuthorityError, Candidate, ClientRecord, ClientState, Leadership, MemAuthority, Meta,
    OperationId, Tombstone,
};
use tidelock_format::{ClientId, FenceEpoch, GraceEpoch, Incarnation, Term};

type Fresh<'a> = &'a dyn Fn() -> Box<dyn Authority>;

macro_rules! suite {
    ($($test:ident)*) => {
        mod mem {
            $(#[test] fn $test() { super::$test(&|| Box::new(super::MemAuthority::new())); })*
        }
        mod sqlite {
            $(#[test] fn $test() { super::$test(&|| Box::new(super::InFolder::new())); })*
        }
    };
}

suite! {
    a_new_authority_has_nobody
    every_term_is_greater_than_the_one_before
    a_deposed_leader_changes_nothing
    a_leader_that_resigned_changes_nothing
    readers_see_who_leads_and_when_it_is_ready
    a_session_is_recorded_and_listed
    a_greeting_sent_again_gets_the_same_session
    a_late_copy_of_a_greeting_gets_no_session
    an_incarnation_is_never_given_out_twice
    closing_twice_or_too_late_is_fine
    an_expelled_session_is_fenced_then_buried
    an_expelled_client_gets_no_session_before_it_is_buried
    tombstones_go_when_they_expire
    a_fence_only_rises
    an_incarnation_to_come_cannot_be_fenced
    a_recovery_lists_who_had_a_session
    a_recovery_that_was_interrupted_begins_again_with_the_same_clients
    a_session_that_a_restart_took_off_the_lists_opens_anew
    a_recovery_ends_when_everybody_is_accounted_for
    outside_a_recovery_nobody_reclaims
    an_expelled_client_reclaims_nothing
    texts_have_a_limit
}

const ONE: Incarnation = Incarnation(1);
const TWO: Incarnation = Incarnation(2);

fn clients(records: &[ClientRecord]) -> Vec<ClientId> {
    records.iter().map(|record| record.client).collect()
}

fn a_new_authority_has_nobody(fresh: Fresh<'_>) {
    let authority = fresh();
    assert_eq!(authority.meta().unwrap(), Meta::default());
    assert_eq!(authority.clients().unwrap(), []);
    assert_eq!(authority.tombstones().unwrap(), []);
    assert_eq!(authority.client(client(1)).unwrap(), None);
}

fn every_term_is_greater_than_the_one_before(fresh: Fresh<'_>) {
    let authority = fresh();
    let terms: Vec<Term> = (0..3).map(|_| lead(&*authority).term()).collect();
    assert_eq!(terms, [Term(1), Term(2), Term(3)]);
    assert_eq!(authority.meta().unwrap().term, Term(3));
}

/// R2.
fn a_deposed_leader_changes_nothing(fresh: Fresh<'_>) {
    let authority = fresh();
    let old = lead(&*authority);
    let new = lead(&*authority);
    assert_eq!(old.open_session(greeting(1, 1)), Err(AuthorityError::Deposed { by: Term(2) }));
    assert_eq!(old.resign(), Err(AuthorityError::Deposed { by: Term(2) }));
    assert_eq!(authority.clients().unwrap(), []);
    drop(old);
    new.open_session(greeting(1, 1)).unwrap();
}

/// R2.
fn a_leader_that_resigned_changes_nothing(fresh: Fresh<'_>) {
    let authority = fresh();
    let leader = lead(&*authority);
    leader.resign().unwrap();
    assert_eq!(leader.end_grace(), Err(AuthorityError::Resigned { term: Term(1) }));
    assert_eq!(authority.leadership().unwrap(), None);
    assert_eq!(lead(&*authority).term(), Term(2));
}

fn readers_see_who_leads_and_when_it_is_ready(fresh: Fresh<'_>) {
    let authority = fresh();
    let leader = lead(&*authority);
    let Candidate { name, address } = Candidate::new("a", "10.0.0.1:7400");
    let mut expected = Leadership { name, address, term: Term(1), is_ready: false };
    assert_eq!(authority.leadership().unwrap(), Some(expected.clone()));
    leader.set_ready().unwrap();
    expected.is_ready = true;
    assert_eq!(authority.leadership().unwrap(), Some(expected));
    let _next = lead(&*authority);
    assert!(!authority.leadership().unwrap().unwrap().is_ready, "a new leader is not ready");
}

fn a_session_is_recorded_and_listed(fresh: Fresh<'_>) {
    let authority = fresh();
    let leader = lead(&*authority);
    assert_eq!(leader.open_session(greeting(2, 1)), Ok(ONE));
    leader.open_session(greeting(1, 1)).unwrap();
    leader.leave_session(client(2), ONE).unwrap();
    let expected = ClientRecord {
        client: client(2),
        incarnation: ONE,
        state: ClientState::Leaving,
        label: "host-2".into(),
        first_seen_ms: 1000,
        fenced_to: Incarnation(0),
        grace: vec![GraceEpoch(1)],
    };
    assert_eq!(authority.client(client(2)).unwrap(), Some(expected.clone()));
    let all = authority.clients().unwrap();
    assert_eq!(clients(&all), [client(1), client(2)]);
    assert_eq!(all[1], expected);
}

fn a_greeting_sent_again_gets_the_same_session(fresh: Fresh<'_>) {
    let authority = fresh();
    let leader = lead(&*authority);
    assert_eq!(leader.open_session(greeting(1, 7)), Ok(ONE));
    assert_eq!(leader.open_session(greeting(1, 7)), Ok(ONE));
    assert_eq!(leader.open_session(greeting(2, 7)), Ok(ONE), "another client's operation is another");
    assert_eq!(lead(&*authority).open_session(greeting(1, 7)), Ok(ONE), "and so in the next term");
}

fn a_late_copy_of_a_greeting_gets_no_session(fresh: Fresh<'_>) {
    let authority = fresh();
    let leader = lead(&*authority);
    for operation in 1..=16 {
        leader.open_session(greeting(1, operation)).unwrap();
    }
    let over = AuthorityError::SessionOver { client: client(1), incarnation: ONE };
    assert_eq!(leader.open_session(greeting(1, 1)), Err(over));
    leader.close_session(client(1), Incarnation(16)).unwrap();
    let over = AuthorityError::SessionOver { client: client(1), incarnation: Incarnation(16) };
    assert_eq!(leader.open_session(greeting(1, 16)), Err(over));
    assert_eq!(authority.clients().unwrap(), []);
}

/// R4.
fn an_incarnation_is_never_given_out_twice(fresh: Fresh<'_>) {
    let authority = fresh();
    let leader = lead(&*authority);
    leader.open_session(greeting(1, 1)).unwrap();
    leader.close_session(client(1), ONE).unwrap();
    assert_eq!(leader.open_session(greeting(1, 2)), Ok(TWO));
    assert_eq!(leader.open_session(greeting(1, 3)), Ok(Incarnation(3)), "without closing the one before");
    leader.expel(client(1), Incarnation(3), "late").unwrap();
    leader.raise_fence(client(1), Incarnation(3)).unwrap();
    leader.bury(client(1), Incarnation(3), 1).unwrap();
    leader.sweep_tombstones(2).unwrap();
    assert_eq!(leader.open_session(greeting(1, 4)), Ok(Incarnation(4)));
}

fn closing_twice_or_too_late_is_fine(fresh: Fresh<'_>) {
    let authority = fresh();
    let leader = lead(&*authority);
    leader.close_session(client(1), ONE).unwrap();
    leader.open_session(greeting(1, 1)).unwrap();
    leader.close_session(client(1), ONE).unwrap();
    leader.close_session(client(1), ONE).unwrap();
    leader.open_session(greeting(1, 2)).unwrap();
    leader.close_session(client(1), ONE).unwrap();
    let record = authority.client(client(1)).unwrap().unwrap();
    assert_eq!(record.incarnation, TWO, "the later session stays");
}

/// R6.
fn an_expelled_session_is_fenced_then_buried(fresh: Fresh<'_>) {
    let authority = fresh();
    let leader = lead(&*authority);
    let (client, incarnation) = (client(1), ONE);
    assert_eq!(leader.expel(client, ONE, "late"), Err(AuthorityError::NoSession { client }));
    leader.open_session(greeting(1, 1)).unwrap();
    assert_eq!(leader.bury(client, ONE, 50), Err(AuthorityError::NotExpelled { client, incarnation }));
    leader.expel(client, ONE, "late").unwrap();
    leader.expel(client, ONE, "again").unwrap();
    let record = authority.client(client).unwrap().unwrap();
    assert_eq!(record.state, ClientState::Expelled { reason: "late".into() });
    assert_eq!(record.grace, []);
    let fenced_to = Incarnation(0);
    assert_eq!(
        leader.bury(client, ONE, 50),
        Err(AuthorityError::NotFenced { client, incarnation, fenced_to })
    );
    leader.raise_fence(client, ONE).unwrap();
    leader.bury(client, ONE, 50).unwrap();
    leader.bury(client, ONE, 60).unwrap();
    assert_eq!(authority.client(client).unwrap(), None);
    let reason = "late".into();
    assert_eq!(authority.tombstones().unwrap(), [Tombstone { client, incarnation, reason, expires_ms: 50 }]);
}

fn an_expelled_client_gets_no_session_before_it_is_buried(fresh: Fresh<'_>) {
    let authority = fresh();
    let leader = lead(&*authority);
    leader.open_session(greeting(1, 1)).unwrap();
    leader.expel(client(1), ONE, "late").unwrap();
    let expelled = AuthorityError::Expelled { client: client(1), incarnation: ONE, reason: "late".into() };
    assert_eq!(leader.open_session(greeting(1, 1)), Err(expelled.clone()));
    assert_eq!(leader.open_session(greeting(1, 2)), Err(expelled.clone()));
    assert_eq!(leader.leave_session(client(1), ONE), Err(expelled.clone()));
    assert_eq!(leader.close_session(client(1), ONE), Err(expelled));
    leader.raise_fence(client(1), ONE).unwrap();
    leader.bury(client(1), ONE, 50).unwrap();
    assert_eq!(leader.open_session(greeting(1, 2)), Ok(TWO));
    assert_eq!(authority.client(client(1)).unwrap().unwrap().fenced_to, ONE);
}

fn tombstones_go_when_they_expire(fresh: Fresh<'_>) {
    let authority = fresh();
    let leader = lead(&*authority);
    for (number, expires_ms) in [(1, 10), (2, u64::MAX)] {
        leader.open_session(greeting(number, 1)).unwrap();
        leader.expel(client(number), ONE, "late").unwrap();
        leader.raise_fence(client(number), ONE).unwrap();
        leader.bury(client(number), ONE, expires_ms).unwrap();
    }
    assert_eq!(leader.sweep_tombstones(9), Ok(0));
    assert_eq!(leader.sweep_tombstones(10), Ok(1));
    assert_eq!(authority.tombstones().unwrap().len(), 1);
}

/// R7.
fn a_fence_only_rises(fresh: Fresh<'_>) {
    let authority = fresh();
    let leader = lead(&*authority);
    leader.open_session(greeting(1, 1)).unwrap();
    leader.open_session(greeting(1, 2)).unwrap();
    assert_eq!(leader.raise_fence(client(1), TWO), Ok(FenceEpoch(1)));
    assert_eq!(leader.raise_fence(client(1), ONE), Ok(FenceEpoch(1)));
    assert_eq!(authority.client(client(1)).unwrap().unwrap().fenced_to, TWO);
    leader.close_session(client(1), TWO).unwrap();
    leader.open_session(greeting(1, 3)).unwrap();
    let record = authority.client(client(1)).unwrap().unwrap();
    assert_eq!(record.fenced_to, TWO, "it outlives the record");
    assert_eq!(authority.meta().unwrap().fence, FenceEpoch(1));
}

fn an_incarnation_to_come_cannot_be_fenced(fresh: Fresh<'_>) {
    let authority = fresh();
    let leader = lead(&*authority);
    for incarnation in [ONE, Incarnation(u64::MAX)] {
        let expected = AuthorityError::NeverOpened { client: client(1), incarnation };
        assert_eq!(leader.raise_fence(client(1), incarnation), Err(expected));
    }
}

fn a_recovery_lists_who_had_a_session(fresh: Fresh<'_>) {
    let authority = fresh();
    let leader = lead(&*authority);
    assert_eq!(leader.begin_grace(), Ok(vec![]));
    leader.end_grace().unwrap();
    for number in 1..=3 {
        leader.open_session(greeting(number, 1)).unwrap();
    }
    leader.close_session(client(2), ONE).unwrap();
    let leader = lead(&*authority);
    assert_eq!(clients(&leader.begin_grace().unwrap()), [client(1), client(3)]);
    let meta = authority.meta().unwrap();
    assert_eq!((meta.recovering, meta.current), (Some(GraceEpoch(2)), GraceEpoch(3)));
}

/// G-03.
fn a_recovery_that_was_interrupted_begins_again_with_the_same_clients(fresh: Fresh<'_>) {
    let authority = fresh();
    let leader = lead(&*authority);
    for number in 1..=4 {
        leader.open_session(greeting(number, 1)).unwrap();
    }
    let leader = lead(&*authority);
    leader.begin_grace().unwrap();
    leader.reclaimed(client(1), ONE).unwrap();
    leader.reclaimed(client(2), ONE).unwrap();
    let before = authority.meta().unwrap();
    let leader = lead(&*authority);
    assert_eq!(clients(&leader.begin_grace().unwrap()), [1, 2, 3, 4].map(client));
    let after = authority.meta().unwrap();
    assert_eq!((after.recovering, after.current), (before.recovering, before.current));
    assert_eq!(authority.client(client(1)).unwrap().unwrap().grace, [GraceEpoch(1)]);
}

/// R5.
fn a_session_that_a_restart_took_off_the_lists_opens_anew(fresh: Fresh<'_>) {
    let authority = fresh();
    let leader = lead(&*authority);
    leader.begin_grace().unwrap();
    leader.open_session(greeting(1, 1)).unwrap();
    let leader = lead(&*authority);
    assert_eq!(leader.begin_grace(), Ok(vec![]));
    assert_eq!(leader.reclaimed(client(1), ONE), Err(AuthorityError::NotListed { client: client(1) }));
    let over = AuthorityError::SessionOver { client: client(1), incarnation: ONE };
    assert_eq!(leader.open_session(greeting(1, 1)), Err(over));
    assert_eq!(leader.end_grace(), Err(AuthorityError::StillRecovering { left: 1, first: client(1) }));
    assert_eq!(leader.open_session(greeting(1, 2)), Ok(TWO));
    leader.end_grace().unwrap();
}

fn a_recovery_ends_when_everybody_is_accounted_for(fresh: Fresh<'_>) {
    let authority = fresh();
    let leader = lead(&*authority);
    for number in 1..=4 {
        leader.open_session(greeting(number, 1)).unwrap();
    }
    leader.begin_grace().unwrap();
    assert_eq!(leader.end_grace(), Err(AuthorityError::StillRecovering { left: 4, first: client(1) }));
    leader.reclaimed(client(1), ONE).unwrap();
    leader.reclaimed(client(1), ONE).unwrap();
    leader.expel(client(2), ONE, "did not reclaim").unwrap();
    leader.close_session(client(3), ONE).unwrap();
    assert_eq!(leader.end_grace(), Err(AuthorityError::StillRecovering { left: 1, first: client(4) }));
    leader.open_session(greeting(4, 2)).unwrap();
    leader.end_grace().unwrap();
    leader.end_grace().unwrap();
    let meta = authority.meta().unwrap();
    assert_eq!((meta.recovering, meta.current), (None, GraceEpoch(2)));
    let leader = lead(&*authority);
    assert_eq!(clients(&leader.begin_grace().unwrap()), [client(1), client(4)]);
}

fn outside_a_recovery_nobody_reclaims(fresh: Fresh<'_>) {
    let authority = fresh();
    let leader = lead(&*authority);
    leader.open_session(greeting(1, 1)).unwrap();
    assert_eq!(leader.reclaimed(client(1), ONE), Err(AuthorityError::NoGrace));
}

fn an_expelled_client_reclaims_nothing(fresh: Fresh<'_>) {
    let authority = fresh();
    let leader = lead(&*authority);
    leader.open_session(greeting(1, 1)).unwrap();
    leader.open_session(greeting(2, 1)).unwrap();
    leader.expel(client(1), ONE, "late").unwrap();
    let leader = lead(&*authority);
    assert_eq!(clients(&leader.begin_grace().unwrap()), [client(2)]);
    let expelled = AuthorityError::Expelled { client: client(1), incarnation: ONE, reason: "late".into() };
    assert_eq!(leader.reclaimed(client(1), ONE), Err(expelled));
}

/// G-24.
fn texts_have_a_limit(fresh: Fresh<'_>) {
    let authority = fresh();
    let leader = lead(&*authority);
    let labelled = |operation, label: String| {
        let mut wish = greeting(1, operation);
        wish.operation = OperationId(operation);
        wish.label = label;
        leader.open_session(wish)
    };
    assert_eq!(labelled(1, String::new()), Ok(ONE));
    assert_eq!(labelled(2, "x".repeat(1024)), Ok(TWO));
    let refused = |bytes| Err(AuthorityError::BadText { what: "label", bytes });
    assert_eq!(labelled(3, "x".repeat(1025)), refused(1025));
    assert_eq!(labelled(4, "a\0b".into()), refused(3));
    assert!(authority.campaign(&Candidate::new("x".repeat(2000), "")).is_err());
    assert_eq!(authority.client(client(1)).unwrap().unwrap().incarnation, TWO);
}
