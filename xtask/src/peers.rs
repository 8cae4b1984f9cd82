//! `peers`: the cache beside quick_cache, moka, foyer and the rest, in one interleaved run.

use anyhow::Result;

use crate::process::{cargo, run as step};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Passed on to the program: --quick, --json, --only NAMES ...
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    step(
        cargo().args(["run", "--release", "-p", "tidelock-benches", "--bin", "peers", "--"]).args(&args.rest),
    )
}
