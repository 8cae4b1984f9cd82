//! The records: what has to be known after everything else was forgotten.

use tidelock_format::{ClientId, FenceEpoch, GraceEpoch, Incarnation, Term};

/// What there is one of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// The newest term.
    pub term: Term,
    /// Who leads in it; `None` before the first campaign and after the leader resigned.
    pub leader: Option<Leadership>,
    /// The epoch whose list new sessions enter.
    pub current: GraceEpoch,
    /// The epoch whose list is being recovered, if a recovery is under way.
    pub recovering: Option<GraceEpoch>,
    /// How many times a client's fence was raised.
    pub fence: FenceEpoch,
}

impl Default for Meta {
    fn default() -> Self {
        Self { term: Term(0), leader: None, current: GraceEpoch(1), recovering: None, fence: FenceEpoch(0) }
    }
}

/// Who leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leadership {
    /// Its name, for people.
    pub name: String,
    /// Where clients reach it.
    pub address: String,
    /// Its term.
    pub term: Term,
    /// Whether it has said that it serves clients.
    pub is_ready: bool,
}

/// A client that has a session.
///
/// A client may open a session anew without having closed the one before. So an incarnation below this one that is not yet
/// fenced may still have writes under way: a leader that takes over raises the fence to the incarnation before this one,
/// which costs nothing if there was nothing to fence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientRecord {
    /// The client.
    pub client: ClientId,
    /// Its session.
    pub incarnation: Incarnation,
    /// How the session stands.
    pub state: ClientState,
    /// Where it came from last, or what it calls itself; for people.
    pub label: String,
    /// When the client's present record was made, in ms since 1970; for people.
    pub first_seen_ms: u64,
    /// Incarnations up to this one are fenced.
    pub fenced_to: Incarnation,
    /// The epochs in whose lists it is, oldest first. Empty: it may not reclaim (R5).
    pub grace: Vec<GraceEpoch>,
}

/// How a session stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientState {
    /// In use.
    Active,
    /// The client said farewell; what it held is being taken back.
    Leaving,
    /// It is to lose everything, and has to be fenced before others get it.
    Expelled {
        /// Why, for people.
        reason: String,
    },
}

/// What is left of an expelled session until nothing late can come from it any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tombstone {
    /// The client.
    pub client: ClientId,
    /// The session that was expelled.
    pub incarnation: Incarnation,
    /// Why, for people.
    pub reason: String,
    /// When it can be swept, in ms since 1970.
    pub expires_ms: u64,
}
