//! `test`: every test of the workspace, exactly as the README runs them.

use anyhow::Result;

use crate::process::{cargo, run as step};

#[derive(Debug, Default, clap::Args)]
pub(crate) struct Args {
    /// Passed on to `cargo test --workspace`: a filter, or `-p CRATE`, or `-- --nocapture`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    step(cargo().args(["test", "--workspace"]).args(&args.rest))
}
