//! `tidy`: what the house promises about itself and no compiler checks.
//!
//! One check a file; each reads the [`Workspace`] and returns [`Finding`]s. A fault fails the run; a warning is printed,
//! and fails it under `--strict`. Every check has a test that plants the fault it is there for.
//!
//! The checks see text and tokens, not types. They are kept simple: where one would need to be clever, it errs towards
//! silence, and a reviewer does the rest.

mod arrows;
mod cited;
mod dependencies;
mod facade;
mod links;
mod msrv;
mod peers;
mod reachable;
mod reasons;
mod size;
mod source;
mod text;
mod weakenings;
mod workspace;

use std::fmt;

use anyhow::{Result, bail};

pub(crate) use source::{Source, sources};
use workspace::Workspace;

#[derive(Debug, Default, clap::Args)]
pub(crate) struct Args {
    /// Let warnings fail the run too
    #[arg(long)]
    strict: bool,
    /// Only this check (arrows, cited, dependencies ...); may be repeated
    #[arg(long = "check", value_name = "NAME", value_parser = names())]
    checks: Vec<String>,
}

/// One thing that is not as the house says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    severity: Severity,
    place: String,
    what: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Severity {
    Warning,
    Fault,
}

impl Finding {
    fn fault(place: impl fmt::Display, what: impl Into<String>) -> Finding {
        Finding { severity: Severity::Fault, place: place.to_string(), what: what.into() }
    }

    fn warning(place: impl fmt::Display, what: impl Into<String>) -> Finding {
        Finding { severity: Severity::Warning, place: place.to_string(), what: what.into() }
    }
}

type Check = fn(&Workspace) -> Vec<Finding>;

const CHECKS: [(&str, Check); 12] = [
    ("arrows", arrows::check),
    ("peers", peers::check),
    ("facade", facade::check),
    ("reachable", reachable::check),
    ("dependencies", dependencies::check),
    ("links", links::check),
    ("cited", cited::check),
    ("text", text::check),
    ("size", size::check),
    ("reasons", reasons::check),
    ("msrv", msrv::check),
    ("weakenings", weakenings::check),
];

fn names() -> [&'static str; CHECKS.len()] {
    CHECKS.map(|(name, _)| name)
}

/// Runs the checks and prints what they found.
pub(crate) fn run(args: &Args) -> Result<()> {
    let workspace = Workspace::load()?;
    let chosen = |name: &str| args.checks.is_empty() || args.checks.iter().any(|check| check == name);
    let (mut faults, mut warnings) = (0, 0);
    for (name, check) in CHECKS.iter().filter(|(name, _)| chosen(name)) {
        let mut findings = check(&workspace);
        findings.sort();
        for finding in &findings {
            let (label, count) = match finding.severity {
                Severity::Fault => ("fault", &mut faults),
                Severity::Warning => ("warning", &mut warnings),
            };
            *count += 1;
            println!("{label}: {name}: {}: {}", finding.place, finding.what);
        }
    }
    if faults > 0 || (args.strict && warnings > 0) {
        bail!("not tidy: {faults} faults, {warnings} warnings");
    }
    println!("tidy: no faults, {warnings} warnings");
    Ok(())
}
