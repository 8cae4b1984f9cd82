//! Pages lead to each other: every link to a file finds one, and every page below `docs/` is linked from another page.

use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};

use super::Finding;
use super::workspace::{Page, Workspace};
use crate::process::root;

pub(super) fn check(workspace: &Workspace) -> Vec<Finding> {
    check_with(workspace, |path| root().join(path).exists())
}

fn check_with(workspace: &Workspace, exists: impl Fn(&Path) -> bool) -> Vec<Finding> {
    let pages =
        || workspace.pages.iter().filter(|page| page.path.extension().is_some_and(|kind| kind == "md"));
    let mut linked = HashSet::new();
    let mut findings = Vec::new();
    for page in pages() {
        for target in links(page) {
            if !exists(&target) {
                let what = format!("links to {}, which does not exist", target.display());
                findings.push(Finding::fault(page.path.display(), what));
            }
            if target != page.path {
                linked.insert(target);
            }
        }
    }
    let unlinked = pages().filter(|page| page.path.starts_with("docs") && !linked.contains(&page.path));
    findings.extend(unlinked.map(|page| Finding::fault(page.path.display(), "no other page links here")));
    findings
}

/// Files that a page links to, as paths from the root.
fn links(page: &Page) -> Vec<PathBuf> {
    let folder = page.path.parent().unwrap_or(Path::new(""));
    let targets = page.text.match_indices("](").filter_map(|(at, _)| page.text[at + 2..].split(')').next());
    targets
        .filter(|target| !target.contains("://") && !target.starts_with(['#', '<']) && !target.contains(' '))
        .filter_map(|target| target.split('#').next())
        .map(|target| plain(&folder.join(target)))
        .collect()
}

/// The path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(pages: &[(&str, &str)]) -> Vec<Finding> {
        let page = |(path, text): &(&str, &str)| Page { path: path.into(), text: (*text).into() };
        let workspace = Workspace { pages: pages.iter().map(page).collect(), ..Workspace::default() };
        check_with(&workspace, |target| pages.iter().any(|(path, _)| Path::new(path) == target))
    }

    #[test]
    fn a_page_that_only_links_to_itself_is_a_fault() {
        let found = findings(&[("README.md", "hello"), ("docs/media.md", "[me](media.md#top)")]);
        assert_eq!(found, [Finding::fault("docs/media.md", "no other page links here")]);
    }

    #[test]
    fn a_link_to_nowhere_is_a_fault() {
        let found = findings(&[("README.md", "[a](docs/gone.md) [b](https://example.org/x.md)")]);
        assert_eq!(found, [Finding::fault("README.md", "links to docs/gone.md, which does not exist")]);
    }

    #[test]
    fn links_are_followed_from_where_the_page_lies() {
        let pages = [
            ("ARCHITECTURE.md", "see [media](docs/media.md)"),
            ("docs/media.md", "[up](../ARCHITECTURE.md)"),
        ];
        assert_eq!(findings(&pages), []);
    }
}
