//! The leader's handle: the only way to change a record.
//!
//! It carries its term, and every change is made on condition that this term is still the newest (R2). So it needs no clock
//! and no lease; that somebody else took over it learns from [`AuthorityError::Deposed`], at its next change.

use std::fmt;
use std::sync::Arc;

use tidelock_format::{ClientId, FenceEpoch, Incarnation, Term};

use crate::{AuthorityError, Change, ClientRecord, OpenSession, Outcome};

/// Where a leader sits: the side of an authority that makes changes. Only who writes an authority needs it.
pub trait Seat: Send + Sync + fmt::Debug {
    /// Make one change, all of it or nothing, durable before this returns, if `term` is the newest and its leader has not
    /// resigned. Each change has an [`Outcome`] of its own.
    fn apply(&self, term: Term, change: Change) -> Result<Outcome, AuthorityError>;

    /// Make each of these changes, as if all were applied at a time by as many threads.
    fn apply_all(&self, term: Term, changes: Vec<Change>) -> Vec<Result<Outcome, AuthorityError>> {
        changes.into_iter().map(|change| self.apply(term, change)).collect()
    }
}

/// Leads, until somebody else campaigns. Many threads may share it; what they change at the same time becomes durable
/// together.
///
/// Dropping it leaves the record of who leads as it is, as a crash would; [`resign`](Leader::resign) says so.
pub struct Leader {
    term: Term,
    seat: Arc<dyn Seat>,
}

impl fmt::Debug for Leader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leader").field("term", &self.term).finish_non_exhaustive()
    }
}

impl Leader {
    /// Who leads in `term`, which is durable already (R1). Only who writes an authority needs it.
    pub fn new(term: Term, seat: Arc<dyn Seat>) -> Self {
        Self { term, seat }
    }

    /// Its term.
    pub fn term(&self) -> Term {
        self.term
    }

    /// Publish that clients are served from now on.
    pub fn set_ready(&self) -> Result<(), AuthorityError> {
        self.done(Change::SetReady)
    }

    /// Lead no longer, and say so. Every later change fails.
    pub fn resign(&self) -> Result<(), AuthorityError> {
        self.done(Change::Resign)
    }

    /// A session for this client, with an incarnation greater than all that it had (R4), in the list of the current epoch. A
    /// session that it had before is over with that, and leaves the lists.
    ///
    /// The same operation gives the same session for as long as that lives, and fails with
    /// [`SessionOver`](AuthorityError::SessionOver) afterwards: that was a late copy of a greeting. The last 16 of each
    /// client are remembered.
    pub fn open_session(&self, wish: OpenSession) -> Result<Incarnation, AuthorityError> {
        match self.apply(Change::OpenSession(wish))? {
            Outcome::Opened(incarnation) => Ok(incarnation),
            other => unexpected(&other),
        }
    }

    /// The client said farewell, and what it held is being taken back.
    pub fn leave_session(&self, client: ClientId, incarnation: Incarnation) -> Result<(), AuthorityError> {
        self.done(Change::LeaveSession { client, incarnation })
    }

    /// Delete the record: the last step of a farewell. That it is not there, or that the client has a later session, is fine.
    pub fn close_session(&self, client: ClientId, incarnation: Incarnation) -> Result<(), AuthorityError> {
        self.done(Change::CloseSession { client, incarnation })
    }

    /// This session is to lose everything: it can reclaim nothing, and has to be fenced. Who expels it a second time
    /// changes nothing, not even the reason.
    pub fn expel(
        &self,
        client: ClientId,
        incarnation: Incarnation,
        reason: impl Into<String>,
    ) -> Result<(), AuthorityError> {
        self.done(Change::Expel { client, incarnation, reason: reason.into() })
    }

    /// The expelled session is fenced and holds nothing any more: put a tombstone in place of its record. The client may
    /// open a new session.
    pub fn bury(
        &self,
        client: ClientId,
        incarnation: Incarnation,
        expires_ms: u64,
    ) -> Result<(), AuthorityError> {
        self.done(Change::Bury { client, incarnation, expires_ms })
    }

    /// Delete the tombstones that expired by now. How many there were.
    pub fn sweep_tombstones(&self, now_ms: u64) -> Result<u64, AuthorityError> {
        match self.apply(Change::SweepTombstones { now_ms })? {
            Outcome::Swept(count) => Ok(count),
            other => unexpected(&other),
        }
    }

    /// Begin to recover: who has a session may reclaim what it held. A leader does this before it serves anybody.
    ///
    /// If a recovery was under way, it begins again with the same clients. Who had reclaimed has to do so again, and who had
    /// opened a session meanwhile has to open another, for the locks of both were lost with the last leader.
    pub fn begin_grace(&self) -> Result<Vec<ClientRecord>, AuthorityError> {
        match self.apply(Change::BeginGrace)? {
            Outcome::Recovering(clients) => Ok(clients),
            other => unexpected(&other),
        }
    }

    /// The client has reclaimed all that it held, and enters the list of the current epoch.
    pub fn reclaimed(&self, client: ClientId, incarnation: Incarnation) -> Result<(), AuthorityError> {
        self.done(Change::Reclaimed { client, incarnation })
    }

    /// The recovery is over. Refused as long as there are sessions that are not in the current list, since what they held is
    /// not safe to give out (R5); they can be expelled. That there is no recovery is fine.
    pub fn end_grace(&self) -> Result<(), AuthorityError> {
        self.done(Change::EndGrace)
    }

    /// Fence the client's incarnations up to this one: the epoch that others must have heard of before they touch what it
    /// could write. A fence that is as high already stays, and so does the epoch.
    pub fn raise_fence(&self, client: ClientId, to: Incarnation) -> Result<FenceEpoch, AuthorityError> {
        match self.apply(Change::RaiseFence { client, to })? {
            Outcome::Fenced(epoch) => Ok(epoch),
            other => unexpected(&other),
        }
    }

    /// Make each of these changes, and say what each came to. They stand for themselves, and become durable together: that
    /// costs no more than one of them.
    pub fn apply_all(&self, changes: Vec<Change>) -> Vec<Result<Outcome, AuthorityError>> {
        self.seat.apply_all(self.term, changes)
    }

    fn apply(&self, change: Change) -> Result<Outcome, AuthorityError> {
        self.seat.apply(self.term, change)
    }

    fn done(&self, change: Change) -> Result<(), AuthorityError> {
        match self.apply(change)? {
            Outcome::Done => Ok(()),
            other => unexpected(&other),
        }
    }
}

fn unexpected(outcome: &Outcome) -> ! {
    panic!("an authority answered with the outcome of another change: {outcome:?}")
}
