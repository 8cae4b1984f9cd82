//! What the state file alone tells of sessions, when no server runs.

use std::path::Path;

use serde::Serialize;
use tidelock_authority::{Authority, AuthorityError, ClientRecord, ClientState, Meta, SqliteAuthority};

use super::show;
use crate::error::CliError;

/// What is in the file.
#[derive(Debug, Serialize)]
pub(super) struct Recorded {
    /// That this is from the file, and not from a server.
    from: &'static str,
    term: u64,
    is_recovering: bool,
    sessions: Vec<RecordedSession>,
}

#[derive(Debug, Serialize)]
struct RecordedSession {
    client: String,
    incarnation: u64,
    state: &'static str,
    reason: Option<String>,
    fenced_to: u64,
    label: String,
    first_seen_ms: u64,
}

impl Recorded {
    pub(super) fn read(path: &Path) -> Result<Self, CliError> {
        let authority = SqliteAuthority::open_reading(path)
            .map_err(|error| CliError::input(format!("--state: {error}")))?;
        let read = || -> Result<(Meta, Vec<ClientRecord>), AuthorityError> {
            Ok((authority.meta()?, authority.clients()?))
        };
        let (meta, clients) = read().map_err(CliError::failed)?;
        Ok(Self {
            from: "file",
            term: meta.term.0,
            is_recovering: meta.recovering.is_some(),
            sessions: clients.into_iter().map(RecordedSession::from).collect(),
        })
    }

    pub(super) fn print(&self) -> Result<(), CliError> {
        let mut table = show::table(&["client", "session", "state", "fenced to", "from"]);
        for row in &self.sessions {
            table.add_row([
                show::client(&row.client).to_owned(),
                row.incarnation.to_string(),
                row.reason.as_ref().map_or(row.state.into(), |reason| format!("{}: {reason}", row.state)),
                row.fenced_to.to_string(),
                row.label.clone(),
            ]);
        }
        super::ask::print_line(&table.to_string())?;
        super::ask::print_line(&format!(
            "{} sessions, as the state file has them after term {}: no server answers, so what they hold is not known",
            self.sessions.len(),
            self.term
        ))
    }
}

impl From<ClientRecord> for RecordedSession {
    fn from(record: ClientRecord) -> Self {
        let (state, reason) = match record.state {
            ClientState::Active => ("active", None),
            ClientState::Leaving => ("leaving", None),
            ClientState::Expelled { reason } => ("expelled", Some(reason)),
        };
        Self {
            client: record.client.to_string(),
            incarnation: record.incarnation.0,
            state,
            reason,
            fenced_to: record.fenced_to.0,
            label: record.label,
            first_seen_ms: record.first_seen_ms,
        }
    }
}
