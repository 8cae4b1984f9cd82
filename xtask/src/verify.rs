//! `verify`: what every commit passes, cheapest first, with the time of each step at the end.

use std::time::Instant;

use anyhow::Result;

use crate::process::{answers, cargo, run as step};
use crate::{test, tidy};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Leave the tests out: for the editor's save hook
    #[arg(long)]
    skip_tests: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let mut clock = Clock::default();
    clock.time("format", || step(cargo().args(["fmt", "--all", "--check"])))?;
    clock.time("tidy", || tidy::run(&tidy::Args::default()))?;
    clock.time("clippy", || {
        step(cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
    })?;
    clock.time("doc", || {
        step(cargo().args(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))
    })?;
    clock.time("licences", licences)?;
    if !args.skip_tests {
        clock.time("tests", || test::run(&test::Args::default()))?;
    }
    clock.report();
    Ok(())
}

/// The parts of cargo-deny that need no network. Advisories change without a commit, so they belong to a schedule.
fn licences() -> Result<()> {
    if !answers("cargo-deny", "--version") {
        eprintln!("skipped: cargo-deny is not installed (`cargo install --locked cargo-deny`); CI runs it");
        return Ok(());
    }
    step(cargo().args(["deny", "--offline", "check", "licenses", "bans", "sources"]))
}

/// The seconds that each step took.
#[derive(Debug, Default)]
struct Clock {
    steps: Vec<(&'static str, f64)>,
}

impl Clock {
    fn time(&mut self, name: &'static str, work: impl FnOnce() -> Result<()>) -> Result<()> {
        let start = Instant::now();
        work()?;
        self.steps.push((name, start.elapsed().as_secs_f64()));
        Ok(())
    }

    fn report(&self) {
        for (name, seconds) in &self.steps {
            eprintln!("{name:>10} {seconds:>8.1} s");
        }
    }
}
