//! `tidelock`: measures and inspects what the crates below it make, and runs lock servers.
//!
//! A subcommand is a module; [`args`] says what can be asked for, [`error`] how it can end. Nothing here knows how a
//! cache or a device works: it calls them as any embedder would.
#![forbid(unsafe_code)]

mod args;
mod bench;
mod error;
mod inspect;
mod key_range;
mod lock;
mod locks_bench;
mod quantity;
mod scratch;
mod server;
mod server_args;
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
        Command::Bench { bench: Bench::Locks(args) } => locks_bench::run(args),
        Command::Bench { bench: Bench::LocksWorker(args) } => locks_bench::run_worker(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Serve(args) => server::serve(args),
        Command::Session { session } => server::session(session),
        Command::Locks { locks } => server::locks(locks),
        Command::Grace { grace } => server::grace(grace),
        Command::Top(args) => server::top(args),
        Command::Lock(args) => lock::run(args),
        Command::Sim { sim } => sim::run(sim),
    }
}
