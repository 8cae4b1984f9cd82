//! `loom`: every interleaving of a small race, as the C11 memory model allows it.
//!
//! Loom stops by itself when a model's share of the time is over and nothing failed until then: the table says which
//! models were explored to the end and which were bounded by time.

use std::time::Duration;

use anyhow::Result;

use crate::models::{self, Selection, Tool};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    selection: Selection,
    /// How often threads may be preempted in one execution; most bugs need one or two
    #[arg(long, value_name = "N", default_value_t = 3)]
    preemptions: u32,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let preemptions = args.preemptions;
    let environment = move |share: Duration| {
        vec![
            ("LOOM_MAX_PREEMPTIONS", preemptions.to_string()),
            ("LOOM_MAX_DURATION", share.as_secs().max(1).to_string()),
            // Loom looks at the clock only at a checkpoint; its default of 20 000 executions can be minutes apart.
            ("LOOM_CHECKPOINT_INTERVAL", "500".into()),
        ]
    };
    let tool = Tool {
        name: "loom",
        cfg: "tidelock_loom",
        environment: Box::new(environment),
        grace: Duration::from_secs(20),
    };
    models::run(&tool, &args.selection)
}
