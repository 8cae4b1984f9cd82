//! No dead dependencies: what the workspace shares some member asks for, and what a member asks for its sources name.

use std::collections::HashSet;

use proc_macro2::TokenTree;

use super::Finding;
use super::source::visit;
use super::workspace::{Member, Workspace};

pub(super) fn check(workspace: &Workspace) -> Vec<Finding> {
    let asked: HashSet<&str> = workspace
        .members
        .iter()
        .flat_map(|member| &member.dependencies)
        .map(|dependency| dependency.key.as_str())
        .collect();
    let unshared = workspace.shared.iter().filter(|name| !asked.contains(name.as_str()));
    let mut findings: Vec<Finding> = unshared
        .map(|name| Finding::fault("Cargo.toml", format!("no member uses the shared dependency {name}")))
        .collect();
    findings.extend(workspace.members.iter().flat_map(check_member));
    findings
}

fn check_member(member: &Member) -> Vec<Finding> {
    let words = words(member);
    let unused = member.dependencies.iter().filter(|dependency| !words.contains(&dependency.library));
    let mut names: Vec<&str> = unused.map(|dependency| dependency.key.as_str()).collect();
    names.dedup();
    let place = format!("{}/Cargo.toml", member.folder);
    names
        .into_iter()
        .map(|name| Finding::fault(&place, format!("no source names the dependency {name}")))
        .collect()
}

fn words(member: &Member) -> HashSet<String> {
    let mut words = HashSet::new();
    for source in &member.sources {
        visit(&source.tokens, &mut |tokens| {
            words.extend(tokens.iter().filter_map(|token| match token {
                TokenTree::Ident(word) => Some(word.to_string()),
                _ => None,
            }));
        });
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::source::Source;
    use crate::tidy::workspace::Dependency;

    fn house(text: &str) -> Workspace {
        let dependency = Dependency {
            package: "crossbeam-utils".into(),
            key: "crossbeam-utils".into(),
            library: "crossbeam_utils".into(),
        };
        let member = Member {
            folder: "sync".into(),
            dependencies: vec![dependency],
            sources: vec![Source::parse("sync/src/lib.rs", text).unwrap()],
            ..Member::default()
        };
        Workspace { members: vec![member], shared: vec!["crossbeam-utils".into()], ..Workspace::default() }
    }

    #[test]
    fn a_dependency_that_only_a_comment_names_is_dead() {
        assert_eq!(check(&house("// crossbeam_utils is fast\nfn f() {}")).len(), 1);
        assert_eq!(check(&house("use crossbeam_utils::CachePadded;")), []);
    }

    #[test]
    fn a_shared_dependency_that_no_member_asks_for_is_dead() {
        let mut house = house("use crossbeam_utils::CachePadded;");
        house.shared.push("left-pad".into());
        assert_eq!(
            check(&house),
            [Finding::fault("Cargo.toml", "no member uses the shared dependency left-pad")]
        );
    }
}
