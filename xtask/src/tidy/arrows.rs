//! The arrows between our crates, as ARCHITECTURE.md draws them: normal, build and dev dependencies alike.

use super::Finding;
use super::workspace::Workspace;

/// What each crate may use: the complete list.
const ARROWS: [(&str, &[&str]); 14] = [
    ("format", &[]),
    ("sync", &[]),
    ("dev", &["sync", "format"]),
    ("lock-proto", &["format"]),
    ("net", &["format"]),
    ("authority", &["format"]),
    ("block-cache", &["sync", "format", "dev"]),
    ("lock-client", &["sync", "format", "lock-proto", "net"]),
    ("lock-server", &["format", "lock-proto", "net", "authority"]),
    ("sim", &["sync", "format", "lock-proto", "net", "authority", "lock-client", "lock-server"]),
    (
        "cli",
        &[
            "sync",
            "format",
            "dev",
            "lock-proto",
            "net",
            "authority",
            "block-cache",
            "lock-client",
            "lock-server",
            "sim",
        ],
    ),
    (
        "fuzz",
        &[
            "sync",
            "format",
            "dev",
            "lock-proto",
            "net",
            "authority",
            "block-cache",
            "lock-client",
            "lock-server",
        ],
    ),
    ("benches", &["sync", "format", "dev", "lock-proto", "net", "authority", "block-cache", "lock-server"]),
    ("xtask", &[]),
];

pub(super) fn check(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for member in &workspace.members {
        let Some((_, allowed)) = ARROWS.iter().find(|(folder, _)| *folder == member.folder) else {
            findings.push(Finding::fault(&member.folder, "a crate without a row in the table of arrows"));
            continue;
        };
        let used =
            member.dependencies.iter().filter_map(|dependency| dependency.package.strip_prefix("tidelock-"));
        for used in used.filter(|used| !allowed.contains(used)) {
            findings.push(Finding::fault(&member.folder, format!("must not depend on {used}")));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::workspace::{Dependency, Member};

    fn house(folder: &str, used: &str) -> Workspace {
        let dependency = Dependency { package: used.into(), ..Dependency::default() };
        let member = Member { folder: folder.into(), dependencies: vec![dependency], ..Member::default() };
        Workspace { members: vec![member], ..Workspace::default() }
    }

    #[test]
    fn an_arrow_that_points_up_is_a_fault() {
        assert_eq!(
            check(&house("format", "tidelock-dev")),
            [Finding::fault("format", "must not depend on dev")]
        );
        assert_eq!(check(&house("cli", "tidelock-benches")).len(), 1);
    }

    #[test]
    fn arrows_down_and_other_packages_are_fine() {
        assert_eq!(check(&house("dev", "tidelock-format")), []);
        assert_eq!(check(&house("format", "thiserror")), []);
    }

    #[test]
    fn a_crate_that_the_table_does_not_know_is_a_fault() {
        assert_eq!(check(&house("utils", "thiserror")).len(), 1);
    }
}
