//! `tidelock grace`: whether locks are granted, and if not, whose word is missing.

use std::process::ExitCode;

use tidelock_lock_server::admin::{Question, Report};

use super::args::GraceStatusArgs;
use super::ask::{print_json, print_line, unexpected};
use super::show;
use crate::error::{CliError, FAILED};

pub(super) fn status(args: &GraceStatusArgs) -> Result<ExitCode, CliError> {
    let Report::Grace(report) = args.target.ask(&Question::Grace {})? else { return Err(unexpected()) };
    if args.json {
        print_json(&report)?;
    } else if let Some(ends_in) = report.ends_in_ms {
        if !report.missing.is_empty() {
            print_line(&show::sessions(&report.missing).to_string())?;
        }
        print_line(&format!(
            "recovering: {} sessions have not told what they hold; without progress they are expelled in {}",
            report.missing.len(),
            show::age(ends_in)
        ))?;
    } else {
        print_line(&format!("{}: nobody is waited for", report.phase))?;
    }
    Ok(if report.phase == "serving" { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}
