//! `tidelock`: measures and inspects what the crates below it make.
//!
//! A subcommand is a module; [`args`] says what can be asked for, [`error`] how it can end. Nothing here knows how a
//! cache or a device works: it calls them as any embedder would.
#![forbid(unsafe_code)]

mod args;
mod bench;
mod error;
mod inspect;
mod quantity;
mod scratch;
mod signature;
mod sim;
mod trace;
mod volume;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Args, Bench, Command};
use crate::error::CliError;

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            error.exit_code()
        }
    }
}

fn run(args: &Args) -> Result<ExitCode, CliError> {
    match &args.command {
        Command::Bench { bench: Bench::Cache(args) } => bench::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Sim { sim } => sim::run(sim),
    }
}
