//! The declared MSRV is true: nothing that a user of our libraries or of the command links asks for a newer Rust.
//!
//! Benchmarks, fuzz targets and this program are built by developers, with the current stable Rust.

use std::collections::BTreeSet;

use super::Finding;
use super::workspace::Workspace;

const UNPUBLISHED: [&str; 3] = ["benches", "fuzz", "xtask"];

pub(super) fn check(workspace: &Workspace) -> Vec<Finding> {
    let published = workspace.members.iter().filter(|member| !UNPUBLISHED.contains(&member.folder.as_str()));
    let mut waiting: Vec<&str> = published.map(|member| member.id.as_str()).collect();
    let mut seen = BTreeSet::new();
    let mut findings = Vec::new();
    while let Some(id) = waiting.pop() {
        let Some(package) = workspace.packages.get(id).filter(|_| seen.insert(id)) else { continue };
        waiting.extend(package.links.iter().map(String::as_str));
        let (major, minor) = workspace.msrv;
        if let Some(wanted) = package.rust_version.filter(|wanted| *wanted > workspace.msrv) {
            let what =
                format!("asks for Rust {}.{}, the workspace promises {major}.{minor}", wanted.0, wanted.1);
            findings.push(Finding::fault(format!("{} {}", package.name, package.version), what));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::workspace::{Member, Package};

    fn house(folder: &str, wanted: (u64, u64)) -> Workspace {
        let package = |name: &str, rust_version, links: &[&str]| Package {
            name: name.into(),
            version: "1.0.0".into(),
            rust_version,
            links: links.iter().map(|id| (*id).into()).collect(),
        };
        Workspace {
            members: vec![Member { id: "ours".into(), folder: folder.into(), ..Member::default() }],
            msrv: (1, 91),
            packages: [
                ("ours".into(), package("ours", Some((1, 91)), &["middle"])),
                ("middle".into(), package("middle", None, &["deep", "ours"])),
                ("deep".into(), package("deep", Some(wanted), &[])),
            ]
            .into(),
            ..Workspace::default()
        }
    }

    #[test]
    fn a_dependency_of_a_dependency_that_asks_for_more_is_a_fault() {
        assert_eq!(check(&house("dev", (1, 92)))[0].place, "deep 1.0.0");
        assert_eq!(check(&house("dev", (1, 91))), []);
    }

    #[test]
    fn what_only_developers_build_may_ask_for_more() {
        assert_eq!(check(&house("benches", (1, 92))), []);
    }
}
