//! The rows that the rules work on, and nothing of how they are kept: a trait that memory and SQLite both have, so that the
//! rules are written once.

use tidelock_format::{ClientId, GraceEpoch, Incarnation};

use crate::record::{ClientState, Meta, Tombstone};
use crate::{AuthorityError, OperationId};

pub(crate) type Result<T> = std::result::Result<T, AuthorityError>;

/// What is known of a client for ever, with a session or without.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    /// The last incarnation that was given out.
    pub(crate) incarnation: Incarnation,
    /// The last incarnation that is fenced.
    pub(crate) fenced_to: Incarnation,
}

/// A session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) incarnation: Incarnation,
    pub(crate) state: ClientState,
    pub(crate) label: String,
    pub(crate) first_seen_ms: u64,
}

/// Rows, inside one transaction. Lists come in the order of their keys.
pub(crate) trait Rows {
    fn meta(&self) -> Result<Meta>;
    fn put_meta(&mut self, meta: &Meta) -> Result<()>;

    fn marks(&self, client: ClientId) -> Result<Option<Marks>>;
    fn put_marks(&mut self, client: ClientId, marks: Marks) -> Result<()>;

    fn session(&self, client: ClientId) -> Result<Option<Session>>;
    fn sessions(&self) -> Result<Vec<(ClientId, Session)>>;
    fn put_session(&mut self, client: ClientId, session: &Session) -> Result<()>;
    fn delete_session(&mut self, client: ClientId) -> Result<()>;

    /// The session that this operation opened, if it is remembered.
    fn operation(&self, client: ClientId, operation: OperationId) -> Result<Option<Incarnation>>;
    fn put_operation(
        &mut self,
        client: ClientId,
        operation: OperationId,
        incarnation: Incarnation,
    ) -> Result<()>;
    /// Forget the operations that opened sessions up to this one.
    fn delete_operations(&mut self, client: ClientId, to: Incarnation) -> Result<()>;

    /// The epochs in whose lists the client's session is.
    fn lists(&self, client: ClientId) -> Result<Vec<GraceEpoch>>;
    fn list(&self, epoch: GraceEpoch) -> Result<Vec<ClientId>>;
    fn enlist(&mut self, epoch: GraceEpoch, client: ClientId) -> Result<()>;
    /// Take the client off every list.
    fn strike(&mut self, client: ClientId) -> Result<()>;
    fn delete_list(&mut self, epoch: GraceEpoch) -> Result<()>;

    fn tombstones(&self) -> Result<Vec<Tombstone>>;
    fn has_tombstone(&self, client: ClientId, incarnation: Incarnation) -> Result<bool>;
    fn put_tombstone(&mut self, tombstone: &Tombstone) -> Result<()>;
    /// Delete those that expired by then; how many.
    fn delete_tombstones(&mut self, now_ms: u64) -> Result<u64>;
}
