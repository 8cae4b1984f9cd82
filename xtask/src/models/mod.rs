//! Models: tests that a scheduler drives. This is what the verbs `loom` and `shuttle` share.
//!
//! A model is a test below a path segment that starts with the tool's name: `tests::loom_evict::one_party_wins` and
//! `tests::loom_one_party_wins` are both loom's. Each crate is built once with the tool's cfg and asked for its models;
//! then each model runs in a process of its own, so that one that hangs can be killed by itself.
//!
//! Time is shared out as it is left: a model that finishes early leaves its rest to those after it.

mod build;
mod explore;
pub(crate) mod record;
mod weaken;

use std::collections::BTreeSet;
use std::fs::create_dir_all;
use std::path::PathBuf;
use std::thread::available_parallelism;
use std::time::Duration;

use anyhow::{Result, bail};
use comfy_table::{Table, presets};

use crate::process::{Ending, Prerequisite, root, target};
use crate::tidy::{Source, sources};
use explore::Outcome;

/// A scheduler that takes the place of the operating system's.
pub(crate) struct Tool {
    /// Prefix of its models' names, its folder below the target folder, and its name in docs/ordering.md.
    pub(crate) name: &'static str,
    /// The cfg that makes tidelock-sync choose it.
    pub(crate) cfg: &'static str,
    /// Variables for a model that may take so long.
    pub(crate) environment: Box<Environment>,
    /// How long after its share a model is killed: a tool that stops by itself gets time to do so.
    pub(crate) grace: Duration,
}

type Environment = dyn Fn(Duration) -> Vec<(&'static str, String)> + Sync;

/// Which models, and for how long.
#[derive(Debug, clap::Args)]
pub(crate) struct Selection {
    /// Only models whose path contains this
    #[arg(value_name = "MODEL")]
    filter: Option<String>,
    /// Only this crate (sync, block-cache ...); may be repeated
    #[arg(long = "crate", value_name = "X")]
    crates: Vec<String>,
    /// Time for all models together, building not counted
    #[arg(long, value_name = "N", default_value_t = 10.0, value_parser = minutes)]
    minutes: f64,
    /// Models that run side by side [default: one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    jobs: Option<u32>,
    /// Show that models can fail: build each weakening of docs/ordering.md (or only NAME) and expect its model to fail
    #[arg(long, value_name = "NAME", num_args = 0..=1, conflicts_with = "filter")]
    weaken: Option<Option<String>>,
}

impl Selection {
    fn jobs(&self) -> usize {
        let cores = available_parallelism().map_or(1, usize::from);
        self.jobs.map_or(cores, |jobs| jobs as usize)
    }

    fn budget(&self) -> Duration {
        Duration::from_secs_f64(self.minutes * 60.0)
    }

    fn has(&self, folder: &str) -> bool {
        self.crates.is_empty() || self.crates.iter().any(|wanted| short(wanted) == folder)
    }
}

/// Runs what `selection` asks for; a model that fails, or is not done in time, is an error.
pub(crate) fn run(tool: &Tool, selection: &Selection) -> Result<()> {
    create_dir_all(logs(tool))?;
    match &selection.weaken {
        Some(name) => weaken::run(tool, selection, name.as_deref()),
        None => run_sound(tool, selection),
    }
}

fn run_sound(tool: &Tool, selection: &Selection) -> Result<()> {
    let mut crates = crates_with_models(tool)?;
    crates.retain(|folder| selection.has(folder));
    let mut models = Vec::new();
    for folder in &crates {
        models.extend(build::sound(tool, folder)?);
    }
    if let Some(filter) = &selection.filter {
        models.retain(|model| model.path.contains(filter.as_str()));
    }
    if models.is_empty() {
        bail!(Prerequisite(format!("no {} model is meant: check MODEL and --crate", tool.name)));
    }
    let outcomes = explore::all(tool, models, selection.jobs(), selection.budget())?;
    println!("{}", table(&outcomes, "result", |outcome| outcome.verdict().into()));
    let unproven = outcomes.iter().filter(|outcome| outcome.ending != Ending::Passed).count();
    if unproven > 0 {
        bail!("{unproven} of {} models failed or did not finish", outcomes.len());
    }
    Ok(())
}

/// Folders of the crates that have models at all: only they are built.
fn crates_with_models(tool: &Tool) -> Result<Vec<String>> {
    let sources = sources(root())?;
    let with_models = sources.iter().filter(|source| !source.models(tool.name).is_empty());
    Ok(with_models.map(Source::folder).collect::<BTreeSet<_>>().into_iter().collect())
}

fn table(outcomes: &[Outcome], heading: &str, mut verdict: impl FnMut(&Outcome) -> String) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["crate", "model", heading, "seconds"]);
    for outcome in outcomes {
        table.add_row([
            outcome.model.folder.clone(),
            outcome.model.path.clone(),
            verdict(outcome),
            format!("{:.1}", outcome.took.as_secs_f64()),
        ]);
    }
    table
}

fn logs(tool: &Tool) -> PathBuf {
    target(tool.name).join("logs")
}

/// Folder names and package names both name a crate.
fn short(name: &str) -> &str {
    name.strip_prefix("tidelock-").unwrap_or(name)
}

fn minutes(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(minutes) if minutes > 0.0 && minutes.is_finite() => Ok(minutes),
        _ => Err("give a number of minutes above zero, such as 10 or 0.5".into()),
    }
}
