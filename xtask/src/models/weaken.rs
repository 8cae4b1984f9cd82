//! `--weaken`: a model that cannot fail proves nothing, so each recorded weakening is built and its model must fail.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::build::{Weakening, weakened};
use super::explore::{self, Outcome};
use super::record::{self, Row};
use super::{Selection, Tool, table};
use crate::process::{Ending, Prerequisite, root};
use crate::tidy::{Source, sources};

/// Time for a weakened model when hardly any is left.
const SHARE_MIN: Duration = Duration::from_secs(5);

pub(super) fn run(tool: &Tool, selection: &Selection, name: Option<&str>) -> Result<()> {
    let rows = chosen(tool, selection, name)?;
    let mut left = selection.budget();
    let mut outcomes = Vec::new();
    for row in &rows {
        let elsewhere = !folders_with_switch(&row.weakening)?.contains(&row.folder);
        let models = weakened(tool, &row.folder, Weakening { name: &row.weakening, elsewhere })?;
        let model = models
            .into_iter()
            .find(|model| row.names(&model.path))
            .with_context(|| format!("{}: no model `{}` in {}", row.weakening, row.model, row.folder))?;
        // Most fail at once. The few that take long get a quarter of what is left, and so find it before the time is up.
        let outcome = explore::one(tool, &model, (left / 4).max(SHARE_MIN))?;
        left = left.saturating_sub(outcome.took);
        eprintln!("{:>8.1} s  {}  {}", outcome.took.as_secs_f64(), verdict(&outcome), row.weakening);
        outcomes.push(outcome);
    }
    let mut names = rows.iter();
    let lines = table(&outcomes, "weakened", |outcome| {
        let name = names.next().map_or("", |row| row.weakening.as_str());
        format!("{name}: {}", verdict(outcome))
    });
    println!("{lines}");
    let blind = outcomes.iter().filter(|outcome| outcome.ending != Ending::Failed).count();
    if blind > 0 {
        bail!("{blind} of {} weakenings went unnoticed by their model", outcomes.len());
    }
    Ok(())
}

fn verdict(outcome: &Outcome) -> &'static str {
    match outcome.ending {
        Ending::Failed => "failed, as it must",
        Ending::Passed => "DID NOT FAIL",
        Ending::Stopped => "DID NOT FINISH",
    }
}

fn chosen(tool: &Tool, selection: &Selection, name: Option<&str>) -> Result<Vec<Row>> {
    let page = fs::read_to_string(root().join("docs/ordering.md")).context("cannot read docs/ordering.md")?;
    let mut rows = record::parse(&page).context("docs/ordering.md")?;
    rows.retain(|row| row.tool == tool.name && selection.has(&row.folder));
    rows.retain(|row| name.is_none_or(|name| row.weakening == name));
    if rows.is_empty() {
        bail!(Prerequisite(format!(
            "docs/ordering.md has no {} row for {}: check NAME and --crate",
            tool.name,
            name.unwrap_or("the crates chosen")
        )));
    }
    Ok(rows)
}

/// Where the switch point is. If that is the crate of the model, only that crate needs to be built again.
fn folders_with_switch(weakening: &str) -> Result<Vec<String>> {
    let sources = sources(root())?;
    let with_switch =
        sources.iter().filter(|source| source.switches().iter().any(|switch| switch == weakening));
    let folders: Vec<String> = with_switch.map(Source::folder).collect();
    if folders.is_empty() {
        bail!("no code has the switch point `{weakening}` that docs/ordering.md names");
    }
    Ok(folders)
}
