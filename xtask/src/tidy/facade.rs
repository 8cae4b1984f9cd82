//! What models explore takes its atomics and cells from `sync`: loom and shuttle cannot see those of `std`.
//!
//! `dev` is left out: its drivers talk to a kernel that no model plays.

use proc_macro2::TokenTree;

use super::Finding;
use super::source::{Source, visit};
use super::workspace::Workspace;

const MODELLED: [&str; 1] = ["block-cache"];

pub(super) fn check(workspace: &Workspace) -> Vec<Finding> {
    let modelled = workspace.members.iter().filter(|member| MODELLED.contains(&member.folder.as_str()));
    let shipped = modelled.flat_map(|member| &member.sources).filter(|source| source.is_shipped());
    shipped.filter(|source| goes_around(source)).map(fault).collect()
}

fn fault(source: &Source) -> Finding {
    Finding::fault(
        source.path.display(),
        "atomics and cells come from tidelock-sync, where models can see them",
    )
}

/// Is there a path through `std` or `core` to an atomic or an `UnsafeCell`, be it in a list of imports?
fn goes_around(source: &Source) -> bool {
    let mut found = false;
    visit(&source.tokens, &mut |tokens| {
        // A path is `std`, two colons, a module, two colons, and a name or a group of names.
        found |= tokens.windows(7).any(|path| match path {
            [TokenTree::Ident(root), _, _, TokenTree::Ident(module), _, _, rest] => {
                (*root == "std" || *root == "core") && names_hidden(&module.to_string(), rest)
            }
            _ => false,
        });
    });
    found
}

fn names_hidden(module: &str, rest: &TokenTree) -> bool {
    let hidden = match module {
        "sync" => "atomic",
        "cell" => "UnsafeCell",
        _ => return false,
    };
    match rest {
        TokenTree::Ident(name) => *name == hidden,
        TokenTree::Group(names) => {
            names.stream().into_iter().any(|token| matches!(token, TokenTree::Ident(name) if name == hidden))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::workspace::Member;

    fn faults(folder: &str, path: &str, text: &str) -> usize {
        let sources = vec![Source::parse(path, text).unwrap()];
        let member = Member { folder: folder.into(), sources, ..Member::default() };
        check(&Workspace { members: vec![member], ..Workspace::default() }).len()
    }

    #[test]
    fn an_atomic_that_models_cannot_see_is_a_fault() {
        assert_eq!(faults("block-cache", "block-cache/src/a.rs", "use std::sync::atomic::AtomicU64;"), 1);
        assert_eq!(
            faults("block-cache", "block-cache/src/a.rs", "use std::sync::{Arc, atomic::AtomicU64};"),
            1
        );
        assert_eq!(faults("block-cache", "block-cache/src/a.rs", "struct S(core::cell::UnsafeCell<u8>);"), 1);
    }

    #[test]
    fn the_facade_itself_tests_and_other_paths_are_fine() {
        assert_eq!(faults("sync", "sync/src/a.rs", "use std::sync::atomic::AtomicU64;"), 0);
        assert_eq!(
            faults("block-cache", "block-cache/src/tests/a.rs", "use std::sync::atomic::AtomicU64;"),
            0
        );
        assert_eq!(
            faults("block-cache", "block-cache/examples/a.rs", "use std::sync::atomic::AtomicU64;"),
            0
        );
        assert_eq!(
            faults("block-cache", "block-cache/src/a.rs", "use std::sync::Arc; use std::cell::Cell;"),
            0
        );
    }
}
