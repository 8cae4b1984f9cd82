//! Finding the server to ask, and asking it.

use std::path::{Path, PathBuf};

use serde::Serialize;
use tidelock_lock_server::admin::{AdminClient, AdminError, Question, Report};

use super::args::Target;
use crate::error::CliError;

/// The admin socket of whoever serves with this state file, if it was told nothing else.
pub(super) fn beside(state: &Path) -> PathBuf {
    let mut path = state.as_os_str().to_owned();
    path.push(".admin");
    path.into()
}

impl Target {
    /// Connects to the server.
    pub(super) fn connect(&self) -> Result<AdminClient, CliError> {
        self.try_connect().map_err(|error| self.failed(&error))
    }

    pub(super) fn try_connect(&self) -> Result<AdminClient, AdminError> {
        let beside = || self.state.as_deref().map(beside).unwrap_or_default();
        AdminClient::connect(self.admin.clone().unwrap_or_else(beside))
    }

    /// Connects and asks once.
    pub(super) fn ask(&self, question: &Question) -> Result<Report, CliError> {
        self.connect()?.ask(question).map_err(|error| self.failed(&error))
    }

    pub(super) fn failed(&self, error: &AdminError) -> CliError {
        let flag = if self.admin.is_some() { "--admin" } else { "--state" };
        match error {
            AdminError::NotThere { .. } | AdminError::Permission { .. } => {
                CliError::input(format!("{flag}: {error}"))
            }
            error => CliError::failed(error),
        }
    }
}

/// It answered something else: it is of another version.
pub(super) fn unexpected() -> CliError {
    CliError::failed("the server answered another question: use the tidelock of its version")
}

pub(super) fn print_json(report: &impl Serialize) -> Result<(), CliError> {
    print_line(&serde_json::to_string(report).map_err(CliError::failed)?)
}

/// Prints a line; that nobody reads it any more is the end, and no error.
pub(super) fn print_line(line: &str) -> Result<(), CliError> {
    use std::io::{ErrorKind, Write};
    match writeln!(std::io::stdout(), "{line}") {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        done => Ok(done?),
    }
}
