//! The plain text of files: no leftovers, no tabs, no carriage returns, no trailing blanks, one newline at the end.

use std::path::Path;

use super::Finding;
use super::workspace::Workspace;

/// Marks of unfinished work, as they stand in Rust files.
const LEFTOVERS: [&str; 5] = ["todo!", "unimplemented!", "dbg!", "TODO", "FIXME"];

pub(super) fn check(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in workspace.sources_but_tidy() {
        findings.extend(leftovers(&source.path, &source.text));
    }
    for source in workspace.sources() {
        findings.extend(blanks(&source.path, &source.text));
    }
    for page in &workspace.pages {
        findings.extend(blanks(&page.path, &page.text));
    }
    findings
}

fn leftovers(path: &Path, text: &str) -> Vec<Finding> {
    let lines = text.lines().enumerate();
    let found =
        lines.filter_map(|(at, line)| Some((at, LEFTOVERS.iter().find(|mark| has_word(line, mark))?)));
    found.map(|(at, mark)| Finding::fault(place(path, at), format!("`{mark}` is left over"))).collect()
}

/// Does the line contain the mark, not as the end of a longer word?
fn has_word(line: &str, mark: &str) -> bool {
    let starts_word =
        |at: usize| !line[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_');
    line.match_indices(mark).any(|(at, _)| starts_word(at))
}

fn blanks(path: &Path, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, line) in text.split('\n').enumerate() {
        let what = match line {
            line if line.ends_with('\r') => "carriage return",
            line if line.ends_with([' ', '\t']) => "blanks at the end of the line",
            line if line.contains('\t') => "tab",
            _ => continue,
        };
        findings.push(Finding::fault(place(path, at), what));
    }
    if !text.is_empty() && (!text.ends_with('\n') || text.ends_with("\n\n")) {
        findings.push(Finding::fault(path.display(), "must end with one newline"));
    }
    findings
}

fn place(path: &Path, index: usize) -> String {
    format!("{}:{}", path.display(), index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leftovers_are_faults_with_their_line() {
        let found = leftovers(Path::new("a.rs"), "fn f() {\n    todo!()\n}\n// mytodo!\n");
        assert_eq!(found, [Finding::fault("a.rs:2", "`todo!` is left over")]);
    }

    #[test]
    fn blanks_that_no_one_sees_are_faults() {
        let faults = |text| blanks(Path::new("a.rs"), text).len();
        assert_eq!(faults("a \n"), 1);
        assert_eq!(faults("a\r\n"), 1);
        assert_eq!(faults("\ta\n"), 1);
        assert_eq!(faults("a"), 1);
        assert_eq!(faults("a\n\n"), 1);
        assert_eq!(faults("a\n\nb\n"), 0);
    }
}
