//! Small files: more than 500 lines of code usually tell two stories. A warning, since some stories are long.

use super::Finding;
use super::source::Source;
use super::workspace::Workspace;

const LINES_MAX: usize = 500;

pub(super) fn check(workspace: &Workspace) -> Vec<Finding> {
    let long =
        workspace.sources().map(|source| (source, lines(source))).filter(|(_, lines)| *lines > LINES_MAX);
    long.map(|(source, lines)| {
        Finding::warning(
            source.path.display(),
            format!("{lines} lines of code, more than {LINES_MAX}: split it?"),
        )
    })
    .collect()
}

/// Lines that are neither empty, nor comment, nor in the module of tests at the end.
fn lines(source: &Source) -> usize {
    let code = source.untested_text().lines().map(str::trim);
    code.filter(|line| !line.is_empty() && !line.starts_with("//")).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_counts_and_prose_and_tests_do_not() {
        let text = "//! Head.\n\nfn f() {\n    // Why.\n}\n\n#[cfg(test)]\nmod tests {\n    fn g() {}\n}\n";
        assert_eq!(lines(&Source::parse("a.rs", text).unwrap()), 2);
    }

    #[test]
    fn a_long_file_is_warned_about() {
        let source = Source::parse("a.rs", "fn f() {}\n".repeat(LINES_MAX + 1)).unwrap();
        assert!(lines(&source) > LINES_MAX);
    }
}
