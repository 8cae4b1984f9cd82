//! What every authority can do: let somebody lead, and let anybody read.

use std::fmt;

use tidelock_format::{ClientId, Fsid};

use crate::{AuthorityError, ClientRecord, Leader, Leadership, Meta, Tombstone};

/// Who leads, and the records. Reading needs no leader; changes go through the [`Leader`] that a campaign gives.
///
/// Every call waits until it is done, for at most a few seconds if another process is in the way.
pub trait Authority: Send + Sync + fmt::Debug {
    /// Try to lead, in a new term that deposes whoever led before. Only a leader whose process is provably alive is left in
    /// its place. A leader got from this very authority is deposed in any case: it is the caller's own.
    fn campaign(&self, candidate: &Candidate) -> Result<Campaign, AuthorityError>;

    /// What the service is called whose records these are: drawn once, at random, when they were made.
    fn service(&self) -> Result<Fsid, AuthorityError>;

    /// Term, leader and epochs, as of one moment.
    fn meta(&self) -> Result<Meta, AuthorityError>;

    /// One client's record; `None` if it has no session.
    fn client(&self, client: ClientId) -> Result<Option<ClientRecord>, AuthorityError>;

    /// The records of all clients that have a session, by client, as of one moment.
    fn clients(&self) -> Result<Vec<ClientRecord>, AuthorityError>;

    /// Sessions that were expelled and cleared up, by client and incarnation.
    fn tombstones(&self) -> Result<Vec<Tombstone>, AuthorityError>;

    /// Who said last that it leads. That it still lives, only an answer from it can tell.
    fn leadership(&self) -> Result<Option<Leadership>, AuthorityError> {
        Ok(self.meta()?.leader)
    }
}

/// Who wants to lead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its name, for people.
    pub name: String,
    /// Where clients reach it, in whatever form their transport understands.
    pub address: String,
}

impl Candidate {
    /// A candidate of this name at this address.
    pub fn new(name: impl Into<String>, address: impl Into<String>) -> Self {
        Self { name: name.into(), address: address.into() }
    }
}

/// How a campaign ended.
#[derive(Debug)]
#[must_use]
pub enum Campaign {
    /// The candidate leads.
    Won(Leader),
    /// Somebody else leads and is alive. It may have locked the others out a moment before it writes who it is; then the
    /// record is that of the leader before it, or none.
    Lost(Option<Leadership>),
}
