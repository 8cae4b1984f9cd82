//! What is answered. Ages are in ms; a client is 32 hexadecimal digits, a key as many as it needs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// What was asked for.
    Ok(Report),
    /// Why there is no answer, and what to do.
    Error(String),
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Report {
    /// See [`Question::About`](super::Question::About).
    About(About),
    /// See [`Question::Session`](super::Question::Session).
    Session(SessionReport),
    /// See [`Question::Sessions`](super::Question::Sessions).
    Sessions(SessionsReport),
    /// See [`Question::Locks`](super::Question::Locks).
    Locks(LocksReport),
    /// See [`Question::Grace`](super::Question::Grace).
    Grace(GraceReport),
    /// See [`Question::Counters`](super::Question::Counters).
    Counters(CountersReport),
}

/// What the server is, and what it is at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// What it is called.
    pub name: String,
    /// Where it listens.
    pub addresses: Vec<String>,
    /// What the service is called.
    pub service: String,
    /// The server's term.
    pub term: u64,
    /// The fence epoch that its messages carry.
    pub barrier: u64,
    /// recovering, serving, stopping or stopped.
    pub phase: String,
    /// How long it has served.
    pub serving_ms: u64,
    /// How long a client may use its locks after a sign of life.
    pub lease_ms: u64,
    /// Sessions.
    pub sessions: usize,
    /// Locks that somebody holds or wants.
    pub locks: usize,
    /// Connections.
    pub connections: usize,
    /// Those among them that have not greeted.
    pub strangers: usize,
    /// Changes of the records that are not durable yet.
    pub changes_pending: usize,
    /// Expelled sessions that are remembered.
    pub tombstones: usize,
}

/// Sessions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionsReport {
    /// Those that were asked for.
    pub sessions: Vec<SessionRow>,
    /// Whether there are more.
    pub more: bool,
}

/// Sessions of one client, or of a few.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionReport {
    /// The sessions.
    pub sessions: Vec<SessionRow>,
    /// What they hold and want: whole locks, others who hold and want them included.
    pub locks: Vec<LockRow>,
    /// Whether there are more locks.
    pub more: bool,
}

/// One session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRow {
    /// The client.
    pub client: String,
    /// Which of its sessions.
    pub incarnation: u64,
    /// unheard, doubted, telling, told, live, leaving, expelled, superseded or taken back.
    pub standing: String,
    /// Where it came from last.
    pub label: String,
    /// Whether it has a connection.
    pub is_connected: bool,
    /// Locks that it holds or wants.
    pub locks: usize,
    /// Messages that it is not done with.
    pub waiting: usize,
    /// How long this server has known it.
    pub age_ms: u64,
    /// How long it has been silent.
    pub silent_ms: Option<u64>,
}

/// Locks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocksReport {
    /// Those that were asked for, in order of their keys.
    pub locks: Vec<LockRow>,
    /// Whether there are more.
    pub more: bool,
}

/// One lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockRow {
    /// The first key that it covers.
    pub start: String,
    /// The last.
    pub end: String,
    /// Who holds it.
    pub holders: Vec<HolderRow>,
    /// Who waits for it, first come first.
    pub waiters: Vec<WaiterRow>,
}

/// Who holds a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HolderRow {
    /// The client.
    pub client: String,
    /// Its session.
    pub incarnation: u64,
    /// read, write or write-only.
    pub mode: String,
    /// The grant.
    pub token: String,
    /// What it was told to come down to, until it has.
    pub descends_to: Option<String>,
    /// For how long.
    pub age_ms: u64,
}

/// Who waits for a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaiterRow {
    /// The client.
    pub client: String,
    /// Its session.
    pub incarnation: u64,
    /// What it wants.
    pub mode: String,
    /// For how long.
    pub age_ms: u64,
    /// The clients whom it waits for.
    pub behind: Vec<String>,
}

/// The recovery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GraceReport {
    /// recovering, serving, stopping or stopped.
    pub phase: String,
    /// How long those who are missing are waited for yet; none when it is over.
    pub ends_in_ms: Option<u64>,
    /// Sessions that are waited for.
    pub missing: Vec<SessionRow>,
}

/// Everything that is counted, by name, since the server began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountersReport {
    /// How long it has served: two reports give rates.
    pub serving_ms: u64,
    /// What clients did, and what they were told.
    pub server: BTreeMap<String, u64>,
    /// What became of connections.
    pub connections: BTreeMap<String, u64>,
}
