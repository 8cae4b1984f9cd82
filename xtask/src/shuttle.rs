//! `shuttle`: random schedules of a whole component, many of them; what loom is too thorough for.
//!
//! Shuttle sees every atomic as sequentially consistent: it finds lost steps and deadlocks, not weak orderings.

use std::time::Duration;

use anyhow::Result;

use crate::models::{self, Selection, Tool};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    selection: Selection,
    /// Schedules for each model
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    iterations: u64,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let iterations = args.iterations;
    let environment = move |_: Duration| vec![("TIDELOCK_SHUTTLE_ITERATIONS", iterations.to_string())];
    let tool = Tool {
        name: "shuttle",
        cfg: "tidelock_shuttle",
        environment: Box::new(environment),
        grace: Duration::ZERO,
    };
    models::run(&tool, &args.selection)
}
