//! `bench`: the criterion groups, all of them or those whose name contains a filter.

use anyhow::Result;

use crate::process::{cargo, run as step};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Passed on to `cargo bench -p tidelock-benches`: `--bench GROUP`, or `-- FILTER`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    step(cargo().args(["bench", "-p", "tidelock-benches"]).args(&args.rest))
}
