//! `sim`: a cluster's locks in a simulated world, many seeds; the real command does it.

use anyhow::Result;

use crate::process::{cargo, run as step};

/// What continuous integration has time for, and what an hour on two processors has.
const SEEDS: &str = "2000";
const SEEDS_LONG: &str = "100000";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// 100000 seeds instead of 2000, and all orders of events of a client's machine and the server's to a larger bound
    #[arg(long)]
    long: bool,
    /// Passed on to the program: --start SEED, --faults LIST, --json ...
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    if args.long {
        let test = ["test", "--release", "-p", "tidelock-sim", "--test", "joint", "--", "--nocapture"];
        step(cargo().env("TIDELOCK_JOINT_LONG", "1").args(test))?;
    }
    let seeds = if args.long { SEEDS_LONG } else { SEEDS };
    let words = ["run", "--release", "-p", "tidelock-cli", "--", "sim", "run", "--seeds", seeds];
    step(cargo().args(words).args(&args.rest))
}
