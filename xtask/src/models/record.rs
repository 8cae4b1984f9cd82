//! The record of weakenings: the table in docs/ordering.md.
//!
//! Each row says that a model fails once a named step is weakened. The verbs `loom --weaken` and `shuttle --weaken` run
//! the rows, and `tidy` compares them with the code: the page cannot drift from what it describes.

use anyhow::{Context, Result, bail};

/// The columns, in the order of the page.
const COLUMNS: [&str; 5] = ["weakening", "tool", "crate", "model", "what is weakened"];

/// One row of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// Value of the cfg `tidelock_weaken`.
    pub(crate) weakening: String,
    /// `loom` or `shuttle`.
    pub(crate) tool: String,
    /// Folder of the crate that holds the model.
    pub(crate) folder: String,
    /// The model's path in its crate, or its last part.
    pub(crate) model: String,
}

impl Row {
    /// Does this row speak of the model at `path`?
    pub(crate) fn names(&self, path: &str) -> bool {
        path == self.model || path.strip_suffix(&self.model).is_some_and(|rest| rest.ends_with("::"))
    }

    /// The model's function.
    pub(crate) fn function(&self) -> &str {
        self.model.rsplit("::").next().unwrap_or(&self.model)
    }
}

/// All rows of the page.
pub(crate) fn parse(page: &str) -> Result<Vec<Row>> {
    let mut lines = page.lines().skip_while(|line| cells(line).is_none_or(|cells| cells != COLUMNS));
    lines.next().with_context(|| format!("no table with the columns {}", COLUMNS.join(" | ")))?;
    lines.skip(1).map_while(cells).map(|cells| row(&cells)).collect()
}

fn row(cells: &[&str]) -> Result<Row> {
    let [weakening, tool, folder, model, what] = cells else {
        bail!("a row with {} cells instead of {}: {}", cells.len(), COLUMNS.len(), cells.join(" | "));
    };
    if cells.iter().any(|cell| cell.is_empty()) {
        bail!("a row with an empty cell: {weakening} | {tool} | {folder} | {model} | {what}");
    }
    if !["loom", "shuttle"].contains(tool) {
        bail!("{weakening}: the tool is `loom` or `shuttle`, not `{tool}`");
    }
    Ok(Row {
        weakening: (*weakening).into(),
        tool: (*tool).into(),
        folder: super::short(folder).into(),
        model: (*model).into(),
    })
}

/// The cells of a table's line, without the backquotes of code.
fn cells(line: &str) -> Option<Vec<&str>> {
    let inner = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    Some(inner.split('|').map(|cell| cell.trim().trim_matches('`')).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# Ordering\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n\
        | weakening | tool | crate | model | what is weakened |\n|---|---|---|---|---|\n\
        | `evict_blind` | loom | tidelock-block-cache | `loom_evict::one_party_wins` | the CAS becomes a store |\n\
        \nProse.\n";

    #[test]
    fn rows_are_read_from_the_table_with_the_right_columns() {
        let rows = parse(PAGE).unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].weakening.as_str(), rows[0].folder.as_str()), ("evict_blind", "block-cache"));
        assert_eq!(rows[0].function(), "one_party_wins");
    }

    #[test]
    fn a_row_names_a_model_by_whole_segments_only() {
        let row = &parse(PAGE).unwrap()[0];
        assert!(row.names("tests::loom_evict::one_party_wins"));
        assert!(!row.names("tests::no_loom_evict::one_party_wins"));
    }

    #[test]
    fn a_page_without_the_table_is_an_error_that_names_the_columns() {
        let error = parse("# Ordering\n").unwrap_err().to_string();
        assert!(error.contains("weakening | tool | crate"), "{error}");
    }

    #[test]
    fn a_row_with_an_unknown_tool_or_a_missing_cell_is_an_error() {
        assert!(parse(&PAGE.replace("| loom |", "| miri |")).is_err());
        assert!(parse(&PAGE.replace("| loom |", "|")).is_err());
        assert!(parse(&PAGE.replace("| loom |", "| |")).is_err());
    }
}
