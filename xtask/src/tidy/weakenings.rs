//! docs/ordering.md and the code agree: each row names a switch point and a model that exist, each switch point has a
//! row, and each loom model has at least one: a model that was never seen to fail proves nothing.

use std::collections::BTreeSet;

use super::Finding;
use super::source::Source;
use super::workspace::{Member, Workspace};
use crate::models::record::{self, Row};

const PAGE: &str = "docs/ordering.md";

pub(super) fn check(workspace: &Workspace) -> Vec<Finding> {
    let Some(page) = workspace.page(PAGE) else { return vec![Finding::fault(PAGE, "the page is missing")] };
    let rows = match record::parse(&page.text) {
        Ok(rows) => rows,
        Err(error) => return vec![Finding::fault(PAGE, format!("{error:#}"))],
    };
    let mut findings: Vec<Finding> = rows.iter().flat_map(|row| check_row(workspace, row)).collect();
    let recorded: BTreeSet<&str> = rows.iter().map(|row| row.weakening.as_str()).collect();
    for (switch, source) in switches(workspace).filter(|(switch, _)| !recorded.contains(switch.as_str())) {
        let what = format!("the switch point {switch} has no row in {PAGE}");
        findings.push(Finding::fault(source.path.display(), what));
    }
    findings.extend(workspace.members.iter().flat_map(|member| unrecorded(member, &rows)));
    findings
}

fn check_row(workspace: &Workspace, row: &Row) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !switches(workspace).any(|(switch, _)| switch == row.weakening) {
        findings.push(Finding::fault(PAGE, format!("no switch point is named {}", row.weakening)));
    }
    let member = workspace.members.iter().find(|member| member.folder == row.folder);
    let exists = member.is_some_and(|member| models(member, &row.tool).any(|model| model == row.function()));
    if !exists {
        let what = format!("{}: {} has no {} model {}", row.weakening, row.folder, row.tool, row.function());
        findings.push(Finding::fault(PAGE, what));
    }
    findings
}

fn unrecorded(member: &Member, rows: &[Row]) -> Vec<Finding> {
    let recorded: BTreeSet<&str> =
        rows.iter().filter(|row| row.folder == member.folder).map(Row::function).collect();
    models(member, "loom")
        .filter(|model| !recorded.contains(model.as_str()))
        .map(|model| {
            Finding::fault(&member.folder, format!("{PAGE} does not say how the model {model} fails"))
        })
        .collect()
}

fn switches(workspace: &Workspace) -> impl Iterator<Item = (String, &Source)> {
    let each = |source| Source::switches(source).into_iter().map(move |switch| (switch, source));
    workspace.sources_but_tidy().filter(|source| !source.path.starts_with("xtask")).flat_map(each)
}

fn models<'a>(member: &'a Member, tool: &'a str) -> impl Iterator<Item = String> + 'a {
    member.sources.iter().flat_map(move |source| source.models(tool))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::workspace::Page;

    const MODEL: (&str, &str) = ("sync/src/tests/loom_word.rs", "#[test]\nfn one_wins() {}\n");
    const CODE: (&str, &str) =
        ("sync/src/word.rs", "fn f() { if cfg!(tidelock_weaken = \"word_store\") {} }");

    fn whats(files: &[(&str, &str)], row: &str) -> Vec<String> {
        let head = "| weakening | tool | crate | model | what is weakened |\n|---|---|---|---|---|\n";
        let sources = files.iter().map(|(path, text)| Source::parse(*path, *text).unwrap()).collect();
        let workspace = Workspace {
            members: vec![Member { folder: "sync".into(), sources, ..Member::default() }],
            pages: vec![Page { path: PAGE.into(), text: format!("{head}{row}\n") }],
            ..Workspace::default()
        };
        check(&workspace).into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn a_row_with_its_switch_and_its_model_is_tidy() {
        let row = "| `word_store` | loom | sync | `loom_word::one_wins` | Release to Relaxed |";
        assert_eq!(whats(&[MODEL, CODE], row), Vec::<String>::new());
    }

    #[test]
    fn a_row_without_a_switch_or_without_a_model_is_a_fault() {
        let row = "| `word_store` | loom | sync | `loom_word::one_wins` | Release to Relaxed |";
        assert_eq!(whats(&[MODEL], row), ["no switch point is named word_store"]);
        assert_eq!(whats(&[CODE], row), ["word_store: sync has no loom model one_wins"]);
    }

    #[test]
    fn a_switch_and_a_model_without_a_row_are_faults() {
        let found = whats(&[MODEL, CODE], "");
        assert!(found.contains(&"the switch point word_store has no row in docs/ordering.md".to_owned()));
        assert!(found.contains(&"docs/ordering.md does not say how the model one_wins fails".to_owned()));
    }
}
