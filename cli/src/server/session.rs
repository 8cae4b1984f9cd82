//! `tidelock session`: who has a session, and what is his.

use std::process::ExitCode;

use tidelock_lock_server::admin::{AdminError, Question, Report};

use super::args::{SessionLsArgs, SessionShowArgs};
use super::ask::{print_json, print_line, unexpected};
use super::records::Recorded;
use super::show;
use crate::error::{CliError, FAILED};

pub(super) fn ls(args: &SessionLsArgs) -> Result<ExitCode, CliError> {
    let mut server = match (args.target.try_connect(), &args.target.state) {
        (Ok(server), _) => server,
        (Err(AdminError::NotThere { .. }), Some(state)) => {
            let recorded = Recorded::read(state)?;
            if args.json { print_json(&recorded) } else { recorded.print() }?;
            return Ok(ExitCode::SUCCESS);
        }
        (Err(error), _) => return Err(args.target.failed(&error)),
    };
    let question = Question::Sessions { limit: Some(args.limit.get()) };
    let answer = server.ask(&question).map_err(|error| args.target.failed(&error))?;
    let Report::Sessions(report) = answer else { return Err(unexpected()) };
    if args.json {
        print_json(&report)?;
    } else {
        print_line(&show::sessions(&report.sessions).to_string())?;
        let more = if report.more { ", and there are more: give a larger --limit" } else { "" };
        print_line(&format!("{} sessions{more}", report.sessions.len()))?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn show(args: &SessionShowArgs) -> Result<ExitCode, CliError> {
    let is_name =
        (1..=32).contains(&args.client.len()) && args.client.bytes().all(|digit| digit.is_ascii_hexdigit());
    if !is_name {
        return Err(CliError::input(
            "CLIENT: write the first digits of a client's name, as session ls shows it",
        ));
    }
    let question = Question::Session { client: args.client.clone(), limit: Some(args.limit.get()) };
    let Report::Session(report) = args.target.ask(&question)? else { return Err(unexpected()) };
    if args.json {
        print_json(&report)?;
    } else if report.sessions.is_empty() {
        eprintln!("no client whose name begins with {} has a session", args.client);
    } else {
        print_line(&show::sessions(&report.sessions).to_string())?;
        if !report.locks.is_empty() {
            print_line(&format!("\n{}", show::locks(&report.locks)))?;
        }
        let more = if report.more { ", and there are more: give a larger --limit" } else { "" };
        print_line(&format!("{} locks{more}", report.locks.len()))?;
    }
    Ok(if report.sessions.is_empty() { ExitCode::from(FAILED) } else { ExitCode::SUCCESS })
}
