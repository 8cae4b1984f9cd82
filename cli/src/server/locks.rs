//! `tidelock locks`: who holds what, and who waits.

use std::process::ExitCode;

use tidelock_lock_server::admin::{Question, Report};

use super::args::LocksLsArgs;
use super::ask::{print_json, print_line, unexpected};
use super::show;
use crate::error::CliError;

pub(super) fn ls(args: &LocksLsArgs) -> Result<ExitCode, CliError> {
    let question = Question::Locks {
        from: args.from.clone(),
        waiting: args.waiting,
        limit: Some(args.limit.get()),
        scan: None,
    };
    let Report::Locks(report) = args.target.ask(&question)? else { return Err(unexpected()) };
    if args.json {
        print_json(&report)?;
        return Ok(ExitCode::SUCCESS);
    }
    if !report.locks.is_empty() {
        print_line(&show::locks(&report.locks).to_string())?;
    }
    let what = if args.waiting { "locks that somebody waits for" } else { "locks" };
    let more = if report.more { ", and there are more: give a larger --limit, or --from" } else { "" };
    print_line(&format!("{} {what}{more}", report.locks.len()))?;
    Ok(ExitCode::SUCCESS)
}
