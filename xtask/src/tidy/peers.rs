//! The caches and maps that we measure against are dependencies of `benches` alone: no user ever builds them.

use super::Finding;
use super::workspace::Workspace;

const PEERS: [&str; 7] = ["quick_cache", "moka", "foyer", "TinyUFO", "papaya", "dashmap", "scc"];

pub(super) fn check(workspace: &Workspace) -> Vec<Finding> {
    let others = workspace.members.iter().filter(|member| member.folder != "benches");
    others
        .flat_map(|member| member.dependencies.iter().map(move |dependency| (member, dependency)))
        .filter(|(_, dependency)| PEERS.iter().any(|peer| peer.eq_ignore_ascii_case(&dependency.package)))
        .map(|(member, peer)| {
            Finding::fault(&member.folder, format!("{} belongs to benches alone", peer.package))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::workspace::{Dependency, Member};

    fn user(folder: &str) -> Workspace {
        let dependency = Dependency { package: "tinyufo".into(), ..Dependency::default() };
        let member = Member { folder: folder.into(), dependencies: vec![dependency], ..Member::default() };
        Workspace { members: vec![member], ..Workspace::default() }
    }

    #[test]
    fn a_peer_in_a_library_is_a_fault() {
        assert_eq!(check(&user("block-cache")).len(), 1);
        assert_eq!(check(&user("benches")), []);
    }
}
