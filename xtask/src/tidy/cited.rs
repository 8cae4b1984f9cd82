//! Invariants are numbered in docs/invariants.md; code, tests and pages cite them by number.
//!
//! A cite of a number that the page does not define is a fault. An impossible bug that no test cites is a warning.
//!
//! What counts as a cite: a whole word made of a family that the page defines and a number. Families with a dash (`S-31`)
//! may have any number and a letter; families without one (`B4`) have a single digit, so that `C11` stays the language.

use std::collections::BTreeSet;
use std::path::Path;

use super::Finding;
use super::source::{Source, Test};
use super::workspace::Workspace;

const PAGE: &str = "docs/invariants.md";

pub(super) fn check(workspace: &Workspace) -> Vec<Finding> {
    let Some(page) = workspace.page(PAGE) else {
        return vec![Finding::fault(PAGE, "the page that defines invariants is missing")];
    };
    let defined = defined(&page.text);
    let families: BTreeSet<String> = defined.iter().map(|id| family(id)).collect();
    let mut findings = Vec::new();
    let texts = workspace.sources_but_tidy().map(|source| (source.path.as_path(), source.text.as_str()));
    let pages = workspace.pages.iter().filter(|page| page.path != Path::new(PAGE));
    for (path, text) in texts.chain(pages.map(|page| (page.path.as_path(), page.text.as_str()))) {
        for (line, id) in cites(text, &families).filter(|(_, id)| !defined.contains(id)) {
            let place = format!("{}:{line}", path.display());
            findings.push(Finding::fault(place, format!("cites {id}, which {PAGE} does not define")));
        }
    }
    let tested: BTreeSet<String> =
        workspace.sources_but_tidy().flat_map(|source| tested_by(source, &families)).collect();
    let untested = defined.iter().filter(|id| id.contains('-') && !tested.contains(*id));
    findings.extend(untested.map(|id| Finding::warning(PAGE, format!("no test cites {id}"))));
    findings
}

/// The first cells of the page's tables, where they are ids.
fn defined(page: &str) -> BTreeSet<String> {
    let first_cell = |line: &str| Some(line.strip_prefix('|')?.split('|').next()?.trim().to_owned());
    page.lines().filter_map(first_cell).filter(|cell| is_id(cell)).collect()
}

/// A capital letter, perhaps a dash, and a number with perhaps a small letter.
fn is_id(word: &str) -> bool {
    let Some(rest) = word.strip_prefix(|first: char| first.is_ascii_uppercase()) else { return false };
    let (number, dashed) = rest.strip_prefix('-').map_or((rest, false), |number| (number, true));
    let number =
        if dashed { number.trim_end_matches(|last: char| last.is_ascii_lowercase()) } else { number };
    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) && (dashed || number.len() == 1)
}

/// `S-` of `S-31`, `B` of `B4`.
fn family(id: &str) -> String {
    id.trim_end_matches(|last: char| last.is_ascii_digit() || last.is_ascii_lowercase()).to_owned()
}

/// Ids of the page's families in a text, with their lines.
fn cites<'a>(text: &'a str, families: &'a BTreeSet<String>) -> impl Iterator<Item = (usize, String)> + 'a {
    let words =
        |line: &'a str| line.split(|sign: char| !sign.is_alphanumeric() && sign != '-' && sign != '_');
    text.lines().enumerate().flat_map(move |(at, line)| {
        let ids = words(line).map(|word| word.trim_matches('-')).filter(|word| is_id(word));
        ids.filter(|id| families.contains(&family(id))).map(move |id| (at + 1, id.to_owned()))
    })
}

/// Ids that the tests of a file cite: anywhere in a file of tests, else in the tests' names and documentation.
fn tested_by(source: &Source, families: &BTreeSet<String>) -> Vec<String> {
    let tests = source.tests();
    let mut ids: Vec<String> = tests.iter().flat_map(|test| named(test, families)).collect();
    if source.is_test() {
        ids.extend(cites(&source.text, families).map(|(_, id)| id));
    }
    ids
}

fn named(test: &Test, families: &BTreeSet<String>) -> Vec<String> {
    let parts: Vec<String> = test.name.split('_').map(str::to_uppercase).collect();
    let joined = parts.windows(2).map(|pair| format!("{}-{}", pair[0], pair[1]));
    let dashed = parts
        .iter()
        .filter(|part| part.is_ascii() && part.len() > 1)
        .map(|part| format!("{}-{}", &part[..1], &part[1..]));
    let candidates = joined.chain(dashed).chain(parts.iter().cloned());
    let in_name = candidates.filter(|id| is_id(id) && families.contains(&family(id)));
    in_name.chain(cites(&test.doc, families).map(|(_, id)| id)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::workspace::{Member, Page};

    const INVARIANTS: &str =
        "| id | what |\n|---|---|\n| B1 | one block |\n| S-31 | removed block |\n| L-30a | twice |\n";

    fn house(path: &str, text: &str) -> Workspace {
        let sources = vec![Source::parse(path, text).unwrap()];
        Workspace {
            members: vec![Member { sources, ..Member::default() }],
            pages: vec![Page { path: PAGE.into(), text: INVARIANTS.into() }],
            ..Workspace::default()
        }
    }

    fn faults(text: &str) -> Vec<String> {
        let findings = check(&house("x/src/lib.rs", text));
        findings
            .into_iter()
            .filter(|it| it.severity == super::super::Severity::Fault)
            .map(|it| it.what)
            .collect()
    }

    fn warnings(path: &str, text: &str) -> Vec<String> {
        let findings = check(&house(path, text));
        findings
            .into_iter()
            .filter(|it| it.severity == super::super::Severity::Warning)
            .map(|it| it.what)
            .collect()
    }

    #[test]
    fn a_cite_of_an_undefined_number_is_a_fault() {
        assert_eq!(faults("// B7: no such thing\n"), ["cites B7, which docs/invariants.md does not define"]);
        assert_eq!(faults("// as S-99 says.\n").len(), 1);
        assert_eq!(faults("// B1 and S-31, L-30a; C11, K4 and PB1 are other words.\n"), Vec::<String>::new());
    }

    #[test]
    fn an_impossible_bug_that_no_test_cites_is_a_warning() {
        assert_eq!(warnings("x/src/lib.rs", "// S-31\n"), ["no test cites L-30a", "no test cites S-31"]);
    }

    #[test]
    fn tests_cite_by_name_by_documentation_and_by_being_test_files() {
        let by_name = "#[test] fn s_31_is_impossible() {}";
        assert_eq!(warnings("x/src/lib.rs", by_name), ["no test cites L-30a"]);
        let by_doc = "/// L-30a: twice.\n#[test] fn resent() {}";
        assert_eq!(warnings("x/src/lib.rs", by_doc), ["no test cites S-31"]);
        assert_eq!(warnings("x/src/tests/loom_evict.rs", "//! S-31, L-30a\n"), Vec::<String>::new());
    }

    #[test]
    fn a_missing_page_is_a_fault() {
        assert_eq!(check(&Workspace::default()).len(), 1);
    }
}
