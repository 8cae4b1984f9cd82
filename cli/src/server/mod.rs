//! Running a lock server, and looking into one that runs.

pub(crate) mod args;
mod ask;
mod grace;
mod locks;
mod places;
mod plan;
mod records;
mod serve;
mod session;
mod show;
mod top;

use std::process::ExitCode;

use self::args::{Grace, Locks, Session};
use crate::error::CliError;

pub(crate) use serve::run as serve;
pub(crate) use top::run as top;

pub(crate) fn session(command: &Session) -> Result<ExitCode, CliError> {
    match command {
        Session::Ls(args) => session::ls(args),
        Session::Show(args) => session::show(args),
    }
}

pub(crate) fn locks(command: &Locks) -> Result<ExitCode, CliError> {
    match command {
        Locks::Ls(args) => locks::ls(args),
    }
}

pub(crate) fn grace(command: &Grace) -> Result<ExitCode, CliError> {
    match command {
        Grace::Status(args) => grace::status(args),
    }
}
