//! `cargo xtask <verb>`: the one door for every chore of the project, with nothing to install.
//!
//! Each verb is a file. A verb decides what to run and in which order; the work itself belongs to the tools (cargo,
//! loom, shuttle, cargo-fuzz, fio). What no tool checks, `tidy` does.
//!
//! Exit codes: 0 all is well, 1 something was found, 2 the caller must do something first (install a tool, mend a flag).

#![forbid(unsafe_code)]

mod bench;
mod fio;
mod fix;
mod fuzz;
mod loom;
mod models;
mod peers;
mod process;
mod shuttle;
mod sim;
mod test;
mod tidy;
mod verify;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::process::Prerequisite;

/// Every chore of the project.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    max_term_width = 110,
    after_help = "Day to day:  cargo xtask fix      then  cargo xtask verify\n\
                  New atomic:  cargo xtask loom     then  cargo xtask loom --weaken\n\
                  Speed claim: cargo xtask peers, cargo xtask fio, cargo xtask bench (on a quiet machine)\n\n\
                  docs/testing.md says which tool finds which kind of bug, and what each run costs."
)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Check everything a change must pass: format, lints, docs, tidy, tests, licences
    Verify(verify::Args),
    /// Format and apply the lints' own suggestions; the one verb that edits files
    Fix,
    /// Run every test, as the README says
    Test(test::Args),
    /// Explore the small races exhaustively, or show that each model can fail
    Loom(loom::Args),
    /// Run whole components under random schedules
    Shuttle(shuttle::Args),
    /// Run a cluster's locks in a simulated world, many seeds
    Sim(sim::Args),
    /// Throw bytes and operation sequences at the code, guided by coverage or as properties
    Fuzz(fuzz::Args),
    /// Measure the cache beside its peers in one interleaved run
    Peers(peers::Args),
    /// Run the criterion benchmarks
    Bench(bench::Args),
    /// Measure the devices beside fio on the same file, in one interleaved run
    Fio(fio::Args),
    /// Check what no compiler checks: arrows, dead files, cited invariants, reasons
    Tidy(tidy::Args),
}

fn main() -> ExitCode {
    match run(Cli::parse().verb) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            if error.is::<Prerequisite>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

fn run(verb: Verb) -> Result<()> {
    match verb {
        Verb::Verify(args) => verify::run(&args),
        Verb::Fix => fix::run(),
        Verb::Test(args) => test::run(&args),
        Verb::Loom(args) => loom::run(&args),
        Verb::Shuttle(args) => shuttle::run(&args),
        Verb::Sim(args) => sim::run(&args),
        Verb::Fuzz(args) => fuzz::run(&args),
        Verb::Peers(args) => peers::run(&args),
        Verb::Bench(args) => bench::run(&args),
        Verb::Fio(args) => fio::run(&args),
        Verb::Tidy(args) => tidy::run(&args),
    }
}

#[cfg(test)]
mod tests {
    use super::Cli;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        Cli::command().debug_assert();
    }
}
