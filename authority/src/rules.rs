//! What each change does to the rows, and when it may: the one place where it is written down.
//!
//! A change is made inside a transaction that its caller opens, and ends, after an error too. All checks come before the
//! first write, all the same: memory has nothing to roll back.

use std::collections::BTreeSet;

use tidelock_format::{ClientId, GraceEpoch, Incarnation, Term};

use crate::record::{ClientRecord, ClientState, Leadership, Tombstone};
use crate::rows::{Result, Rows, Session};
use crate::{AuthorityError, Candidate, Change, OpenSession, Outcome};

/// Bytes in a text that a person reads.
const TEXT_BYTES_MAX: usize = 1024;

/// Greetings remembered of each client.
const OPERATIONS_MAX: u64 = 16;

/// SQLite's integers have a sign.
const MS_MAX: u64 = i64::MAX as u64;

/// A new term for this candidate (R1, R7).
pub(crate) fn campaign(rows: &mut impl Rows, candidate: &Candidate) -> Result<Term> {
    check_text("name", &candidate.name)?;
    check_text("address", &candidate.address)?;
    let mut meta = rows.meta()?;
    meta.term = meta.term.next();
    meta.leader = Some(Leadership {
        name: candidate.name.clone(),
        address: candidate.address.clone(),
        term: meta.term,
        is_ready: false,
    });
    rows.put_meta(&meta)?;
    Ok(meta.term)
}

/// One change, by the leader of `term`.
pub(crate) fn apply(rows: &mut impl Rows, term: Term, change: &Change) -> Result<Outcome> {
    check_term(rows, term)?;
    match change {
        Change::SetReady => set_ready(rows)?,
        Change::Resign => resign(rows)?,
        Change::OpenSession(wish) => return open(rows, wish).map(Outcome::Opened),
        Change::LeaveSession { client, incarnation } => leave(rows, *client, *incarnation)?,
        Change::CloseSession { client, incarnation } => close(rows, *client, *incarnation)?,
        Change::Expel { client, incarnation, reason } => expel(rows, *client, *incarnation, reason)?,
        Change::Bury { client, incarnation, expires_ms } => bury(rows, *client, *incarnation, *expires_ms)?,
        Change::SweepTombstones { now_ms } => {
            return rows.delete_tombstones((*now_ms).min(MS_MAX)).map(Outcome::Swept);
        }
        Change::BeginGrace => return begin_grace(rows).map(Outcome::Recovering),
        Change::Reclaimed { client, incarnation } => reclaimed(rows, *client, *incarnation)?,
        Change::EndGrace => end_grace(rows)?,
        Change::RaiseFence { client, to } => return raise_fence(rows, *client, *to),
    }
    Ok(Outcome::Done)
}

/// A client's record, put together from its rows.
pub(crate) fn record(rows: &impl Rows, client: ClientId) -> Result<Option<ClientRecord>> {
    match rows.session(client)? {
        Some(session) => record_of(rows, client, session).map(Some),
        None => Ok(None),
    }
}

/// The records of all clients that have a session.
pub(crate) fn records(rows: &impl Rows) -> Result<Vec<ClientRecord>> {
    rows.sessions()?.into_iter().map(|(client, session)| record_of(rows, client, session)).collect()
}

fn record_of(rows: &impl Rows, client: ClientId, session: Session) -> Result<ClientRecord> {
    let Session { incarnation, state, label, first_seen_ms } = session;
    let fenced_to = rows.marks(client)?.unwrap_or_default().fenced_to;
    let grace = rows.lists(client)?;
    Ok(ClientRecord { client, incarnation, state, label, first_seen_ms, fenced_to, grace })
}

/// R2.
fn check_term(rows: &impl Rows, term: Term) -> Result<()> {
    let meta = rows.meta()?;
    if meta.term != term {
        return Err(AuthorityError::Deposed { by: meta.term });
    }
    meta.leader.map(|_| ()).ok_or(AuthorityError::Resigned { term })
}

fn check_text(what: &'static str, text: &str) -> Result<()> {
    // A NUL would hide the rest of the text from whoever looks with the sqlite3 tool.
    let is_good = text.len() <= TEXT_BYTES_MAX && !text.contains('\0');
    if is_good { Ok(()) } else { Err(AuthorityError::BadText { what, bytes: text.len() }) }
}

fn set_ready(rows: &mut impl Rows) -> Result<()> {
    let mut meta = rows.meta()?;
    if let Some(leader) = &mut meta.leader {
        leader.is_ready = true;
    }
    rows.put_meta(&meta)
}

fn resign(rows: &mut impl Rows) -> Result<()> {
    let mut meta = rows.meta()?;
    meta.leader = None;
    rows.put_meta(&meta)
}

fn open(rows: &mut impl Rows, wish: &OpenSession) -> Result<Incarnation> {
    let OpenSession { client, operation, label, now_ms } = wish;
    let client = *client;
    check_text("label", label)?;
    let session = rows.session(client)?;
    if let Some(incarnation) = rows.operation(client, *operation)? {
        return sent_again(rows, client, session.as_ref(), incarnation);
    }
    if let Some(session) = &session {
        check_not_expelled(client, session)?;
    }
    let current = rows.meta()?.current;
    let mut marks = rows.marks(client)?.unwrap_or_default();
    marks.incarnation = marks.incarnation.next();
    let incarnation = marks.incarnation;
    let first_seen_ms = session.map_or((*now_ms).min(MS_MAX), |session| session.first_seen_ms);
    let session = Session { incarnation, state: ClientState::Active, label: label.clone(), first_seen_ms };
    rows.put_marks(client, marks)?;
    rows.put_session(client, &session)?;
    rows.put_operation(client, *operation, incarnation)?;
    rows.delete_operations(client, Incarnation(incarnation.0.saturating_sub(OPERATIONS_MAX)))?;
    // The lists speak of the present session alone: who opens another gave up what it could have reclaimed.
    rows.strike(client)?;
    rows.enlist(current, client)?;
    Ok(incarnation)
}

/// A greeting that was answered before, with this session.
fn sent_again(
    rows: &impl Rows,
    client: ClientId,
    session: Option<&Session>,
    incarnation: Incarnation,
) -> Result<Incarnation> {
    let over = AuthorityError::SessionOver { client, incarnation };
    let session = session.filter(|session| session.incarnation == incarnation).ok_or(over.clone())?;
    check_not_expelled(client, session)?;
    // R5: taken off the lists by a restart.
    if rows.lists(client)?.is_empty() { Err(over) } else { Ok(incarnation) }
}

fn leave(rows: &mut impl Rows, client: ClientId, incarnation: Incarnation) -> Result<()> {
    let mut session = present(rows, client, incarnation)?;
    check_not_expelled(client, &session)?;
    session.state = ClientState::Leaving;
    rows.put_session(client, &session)
}

fn close(rows: &mut impl Rows, client: ClientId, incarnation: Incarnation) -> Result<()> {
    match rows.session(client)? {
        Some(session) if session.incarnation == incarnation => {
            check_not_expelled(client, &session)?;
            rows.strike(client)?;
            rows.delete_session(client)
        }
        _ => Ok(()),
    }
}

fn expel(rows: &mut impl Rows, client: ClientId, incarnation: Incarnation, reason: &str) -> Result<()> {
    check_text("reason", reason)?;
    let mut session = present(rows, client, incarnation)?;
    if check_not_expelled(client, &session).is_err() {
        return Ok(());
    }
    session.state = ClientState::Expelled { reason: reason.into() };
    rows.put_session(client, &session)?;
    // In the same transaction: nobody is both to reclaim and to be fenced.
    rows.strike(client)
}

fn bury(rows: &mut impl Rows, client: ClientId, incarnation: Incarnation, expires_ms: u64) -> Result<()> {
    if rows.has_tombstone(client, incarnation)? {
        return Ok(());
    }
    let session = present(rows, client, incarnation)?;
    let ClientState::Expelled { reason } = session.state else {
        return Err(AuthorityError::NotExpelled { client, incarnation });
    };
    let fenced_to = rows.marks(client)?.unwrap_or_default().fenced_to;
    if fenced_to < incarnation {
        return Err(AuthorityError::NotFenced { client, incarnation, fenced_to });
    }
    rows.put_tombstone(&Tombstone { client, incarnation, reason, expires_ms: expires_ms.min(MS_MAX) })?;
    rows.delete_session(client)
}

fn begin_grace(rows: &mut impl Rows) -> Result<Vec<ClientRecord>> {
    let mut meta = rows.meta()?;
    let epoch = match meta.recovering {
        None => {
            let epoch = meta.current;
            meta.recovering = Some(epoch);
            meta.current = epoch.next();
            rows.put_meta(&meta)?;
            epoch
        }
        // The last leader died in its recovery: the same clients may reclaim as then, and nobody is in the new list.
        Some(epoch) => {
            rows.delete_list(meta.current)?;
            epoch
        }
    };
    let mut clients = Vec::new();
    for client in rows.list(epoch)? {
        clients.extend(record(rows, client)?);
    }
    Ok(clients)
}

fn reclaimed(rows: &mut impl Rows, client: ClientId, incarnation: Incarnation) -> Result<()> {
    let meta = rows.meta()?;
    let epoch = meta.recovering.ok_or(AuthorityError::NoGrace)?;
    let session = present(rows, client, incarnation)?;
    check_not_expelled(client, &session)?;
    if !rows.lists(client)?.contains(&epoch) {
        return Err(AuthorityError::NotListed { client });
    }
    rows.enlist(meta.current, client)
}

fn end_grace(rows: &mut impl Rows) -> Result<()> {
    let mut meta = rows.meta()?;
    let Some(epoch) = meta.recovering else { return Ok(()) };
    check_recovered(rows, meta.current)?;
    rows.delete_list(epoch)?;
    meta.recovering = None;
    rows.put_meta(&meta)
}

/// R5: every session that is not expelled is in the current list.
fn check_recovered(rows: &impl Rows, current: GraceEpoch) -> Result<()> {
    let listed: BTreeSet<ClientId> = rows.list(current)?.into_iter().collect();
    let sessions = rows.sessions()?;
    let mut missing = sessions
        .iter()
        .filter(|(client, session)| check_not_expelled(*client, session).is_ok() && !listed.contains(client));
    match missing.next() {
        Some((first, _)) => {
            Err(AuthorityError::StillRecovering { left: 1 + missing.count() as u64, first: *first })
        }
        None => Ok(()),
    }
}

fn raise_fence(rows: &mut impl Rows, client: ClientId, to: Incarnation) -> Result<Outcome> {
    let mut meta = rows.meta()?;
    let mut marks = rows.marks(client)?.unwrap_or_default();
    if to > marks.incarnation {
        return Err(AuthorityError::NeverOpened { client, incarnation: to });
    }
    if to > marks.fenced_to {
        marks.fenced_to = to;
        meta.fence = meta.fence.next();
        rows.put_marks(client, marks)?;
        rows.put_meta(&meta)?;
    }
    Ok(Outcome::Fenced(meta.fence))
}

/// The client's present session, which has to be this one.
fn present(rows: &impl Rows, client: ClientId, incarnation: Incarnation) -> Result<Session> {
    let session = rows.session(client)?.ok_or(AuthorityError::NoSession { client })?;
    if session.incarnation == incarnation {
        Ok(session)
    } else {
        Err(AuthorityError::SessionOver { client, incarnation })
    }
}

fn check_not_expelled(client: ClientId, session: &Session) -> Result<()> {
    match &session.state {
        ClientState::Expelled { reason } => {
            Err(AuthorityError::Expelled { client, incarnation: session.incarnation, reason: reason.clone() })
        }
        ClientState::Active | ClientState::Leaving => Ok(()),
    }
}
