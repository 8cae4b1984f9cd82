//! `tidelock bench locks`: what cluster locks cost on this machine, beside what they are built on.
//!
//! Each measurement is a file. Where there is something to compare with, the two take turns within one run, and what is told
//! is the median of their ratios: the machine may be as busy as it likes.

mod bounce;
mod cached;
mod grants;
mod ground;
mod history;
mod opening;
mod processes;
mod round_trip;
mod row;
mod turns;
mod worker;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::ValueEnum;

use crate::error::CliError;
use crate::quantity;
use row::Rows;

pub(crate) use worker::WorkerArgs;
pub(crate) use worker::run as run_worker;

const EXAMPLES: &str = "\
Examples:
  tidelock bench locks                                           everything, in about a minute
  tidelock bench locks --only cached,round-trip --json
  tidelock bench locks --only processes --clients 8 --locks 100 --write-share 0.5 --history ops.jsonl

A server runs in this process, for the measurement alone. --history writes every operation of the processes as a line
  {\"client\":3,\"lock\":17,\"mode\":\"W\",\"op\":\"acquire\",\"call\":ns,\"ret\":ns,\"ok\":true}
with times of one clock for all; an operation that a crash cut off has no \"ret\".";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct LocksArgs {
    /// What to measure; may be repeated or given as a list [default: all of them]
    #[arg(long, value_enum, value_name = "NAME", value_delimiter = ',')]
    only: Vec<Measurement>,

    /// Processes that take locks from each other
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=256))]
    clients: u32,

    /// Locks that they take
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    locks: u64,

    /// How many of a hundred locks are taken for writing, as a share: 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.1, value_parser = share)]
    write_share: f64,

    /// How long each measurement takes
    #[arg(long, value_name = "SECONDS", value_parser = quantity::seconds, default_value = "5", allow_negative_numbers = true)]
    seconds: Duration,

    /// Where to write what the processes did, operation by operation
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,

    /// One JSON object for each measurement and line, instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Measurement {
    /// Taking and dropping a lock that the client holds already
    Cached,
    /// Taking a lock that nobody has, over a Unix socket and over TCP
    RoundTrip,
    /// The server's decisions alone
    Grants,
    /// The end of a recovery, when everybody who has waited is served
    Opening,
    /// One lock that two clients take from each other
    Bounce,
    /// Many processes and many locks
    Processes,
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "choose a number from 0 to 1, for example 0.1".into())
}

pub(crate) fn run(args: &LocksArgs) -> Result<ExitCode, CliError> {
    let chosen = if args.only.is_empty() { Measurement::value_variants() } else { &args.only };
    if args.history.is_some() && !chosen.contains(&Measurement::Processes) {
        return Err(CliError::input(
            "--history: only the measurement \"processes\" has one: add it to --only",
        ));
    }
    let mut rows = Rows::new(args.json);
    for measurement in chosen {
        match measurement {
            Measurement::Cached => cached::run(args.seconds, &mut rows)?,
            Measurement::RoundTrip => round_trip::run(args.seconds, &mut rows)?,
            Measurement::Grants => grants::run(args.seconds, &mut rows)?,
            Measurement::Opening => opening::run(args.seconds, &mut rows)?,
            Measurement::Bounce => bounce::run(args.seconds, &mut rows)?,
            Measurement::Processes => processes::run(args, &mut rows)?,
        }
    }
    rows.finish();
    Ok(ExitCode::SUCCESS)
}
