//! The records of a server: changes that it asked for, and what comes of them.

use std::path::PathBuf;

use tidelock_authority::{
    Authority as _, AuthorityError, Campaign, Candidate, Change, MemAuthority, Outcome, Seat as _,
};
use tidelock_format::{ClientId, Term};
use tidelock_lock_server::{Records, Ticket};

use super::event::Reply;

/// What came of a change.
pub(super) type Made = Result<Outcome, AuthorityError>;

/// An authority, and what it was asked for.
#[derive(Debug)]
pub(super) struct Ledger {
    authority: MemAuthority,
    term: Term,
    asked: Vec<(Ticket, Change)>,
    /// Whether anything failed under the present server.
    pub(super) has_failed: bool,
}

impl Ledger {
    /// One without records, and nobody who leads.
    pub(super) fn new() -> Self {
        Self { authority: MemAuthority::new(), term: Term(0), asked: Vec::new(), has_failed: false }
    }

    /// Somebody leads: their term. What was asked for before was made, or was not.
    pub(super) fn campaign(&mut self) -> Term {
        for (place, (_, change)) in std::mem::take(&mut self.asked).into_iter().enumerate() {
            if place % 2 == 0 {
                let _ = self.authority.apply(self.term, change);
            }
        }
        let Ok(Campaign::Won(leader)) = self.authority.campaign(&Candidate::new("a", "here")) else {
            panic!("nobody else leads")
        };
        (self.term, self.has_failed) = (leader.term(), false);
        self.term
    }

    /// The grace begins.
    pub(super) fn begin_grace(&self) {
        self.authority.apply(self.term, Change::BeginGrace).expect("a leader");
    }

    /// All of them.
    pub(super) fn read(&self) -> Records {
        Records::read(&self.authority).expect("memory")
    }

    /// The server asks for a change.
    ///
    /// # Panics
    /// If another of the same client is under way.
    pub(super) fn ask(&mut self, ticket: Ticket, change: Change) {
        let client = client_of(&change);
        let is_twice = self.asked.iter().any(|(_, other)| client.is_some() && client_of(other) == client);
        assert!(!is_twice, "Y6: {change:?} beside {:?}", self.asked);
        self.asked.push((ticket, change));
    }

    /// Whether nothing is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.asked.is_empty()
    }

    /// Answers one.
    pub(super) fn answer(&mut self, which: u8, reply: Reply) -> Option<(Ticket, Made)> {
        let len = self.asked.len();
        let (ticket, change) = (len > 0).then(|| self.asked.swap_remove(usize::from(which) % len))?;
        let path = PathBuf::from("memory");
        let unknown = AuthorityError::Unknown { path: path.clone(), why: "the answer is lost".into() };
        self.has_failed |= !matches!(reply, Reply::Made);
        let made = match reply {
            Reply::Made => self.authority.apply(self.term, change),
            Reply::Lost => self.authority.apply(self.term, change).and(Err(unknown)),
            Reply::Full => Err(AuthorityError::Full(path)),
            Reply::LostUnmade => Err(unknown),
        };
        Some((ticket, made))
    }
}

fn client_of(change: &Change) -> Option<ClientId> {
    match change {
        Change::OpenSession(open) => Some(open.client),
        Change::LeaveSession { client, .. }
        | Change::CloseSession { client, .. }
        | Change::Expel { client, .. }
        | Change::Bury { client, .. }
        | Change::Reclaimed { client, .. }
        | Change::RaiseFence { client, .. } => Some(*client),
        _ => None,
    }
}
