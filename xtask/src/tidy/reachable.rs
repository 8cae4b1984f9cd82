//! No dead files: every Rust file is a target's root, or reached from one through `mod`, `#[path]` or `include!`.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::Finding;
use super::source::{attribute, unquoted};
use super::workspace::{Member, Workspace};

pub(super) fn check(workspace: &Workspace) -> Vec<Finding> {
    workspace.members.iter().flat_map(check_member).collect()
}

fn check_member(member: &Member) -> Vec<Finding> {
    let mut reached: HashSet<PathBuf> = HashSet::new();
    let mut waiting: Vec<PathBuf> = member.targets.clone();
    while let Some(path) = waiting.pop() {
        let Some(source) = member.sources.iter().find(|source| source.path == path) else { continue };
        if reached.insert(path.clone()) {
            let is_root = member.targets.contains(&path);
            waiting.extend(Modules::of(&path, is_root).named_in(&source.tokens));
        }
    }
    let dead = member
        .sources
        .iter()
        .filter(|source| !reached.contains(&source.path) && !is_compile_fail(&source.path));
    dead.map(|source| Finding::fault(source.path.display(), "no target and no `mod` leads here")).collect()
}

/// Programs that `trybuild` compiles by name.
fn is_compile_fail(path: &Path) -> bool {
    path.parent().is_some_and(|folder| folder.ends_with("tests/ui"))
}

/// Where the modules that a file declares may lie.
struct Modules {
    /// The file's own folder: `#[path]` and `include!` start here.
    beside: PathBuf,
    /// The folder of its child modules.
    below: PathBuf,
}

impl Modules {
    fn of(path: &Path, is_root: bool) -> Modules {
        let beside = path.parent().unwrap_or(Path::new("")).to_owned();
        let owns_folder = is_root || path.file_name().is_some_and(|name| name == "mod.rs");
        let below = if owns_folder { beside.clone() } else { path.with_extension("") };
        Modules { beside, below }
    }

    fn named_in(&self, tokens: &TokenStream) -> Vec<PathBuf> {
        let tokens: Vec<TokenTree> = tokens.clone().into_iter().collect();
        let mut named = Vec::new();
        let mut path_attribute = None;
        let mut module = None;
        for (at, token) in tokens.iter().enumerate() {
            if let Some(group) = attribute(&tokens[at..]) {
                path_attribute = path_attribute.or_else(|| path_of(group.stream()));
            }
            match (token, &tokens[at + 1..]) {
                (TokenTree::Ident(word), [TokenTree::Ident(name), TokenTree::Punct(end), ..])
                    if *word == "mod" && end.as_char() == ';' =>
                {
                    named.extend(self.candidates(&name.to_string(), path_attribute.take()));
                }
                (TokenTree::Ident(word), [TokenTree::Ident(name), TokenTree::Group(_), ..])
                    if *word == "mod" =>
                {
                    module = Some(name.to_string());
                }
                (TokenTree::Ident(word), [_, TokenTree::Group(argument), ..]) if *word == "include" => {
                    named.push(self.beside.join(unquoted(&argument.stream().to_string())));
                }
                (TokenTree::Group(group), _) if group.delimiter() == Delimiter::Brace => {
                    named.extend(self.inside(module.take()).named_in(&group.stream()));
                    path_attribute = None;
                }
                _ => {}
            }
        }
        named
    }

    fn candidates(&self, name: &str, path: Option<String>) -> Vec<PathBuf> {
        match path {
            Some(path) => vec![self.beside.join(path)],
            None => vec![self.below.join(format!("{name}.rs")), self.below.join(name).join("mod.rs")],
        }
    }

    fn inside(&self, module: Option<String>) -> Modules {
        let below = module.map_or_else(|| self.below.clone(), |name| self.below.join(name));
        Modules { beside: self.beside.clone(), below }
    }
}

/// The file that `path = ".."` names.
fn path_of(attribute: TokenStream) -> Option<String> {
    let words: Vec<TokenTree> = attribute.into_iter().collect();
    match words.as_slice() {
        [TokenTree::Ident(key), _, TokenTree::Literal(value)] if *key == "path" => {
            Some(unquoted(&value.to_string()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::source::Source;

    fn dead(files: &[(&str, &str)]) -> Vec<String> {
        let sources = files.iter().map(|(path, text)| Source::parse(*path, *text).unwrap()).collect();
        let targets = vec!["x/src/lib.rs".into(), "x/examples/e.rs".into()];
        let member = Member { targets, sources, ..Member::default() };
        check_member(&member).into_iter().map(|finding| finding.place).collect()
    }

    #[test]
    fn a_file_that_nothing_declares_is_dead() {
        assert_eq!(
            dead(&[("x/src/lib.rs", "mod a;"), ("x/src/a.rs", ""), ("x/src/b.rs", "")]),
            ["x/src/b.rs"]
        );
    }

    #[test]
    fn nested_inline_and_named_modules_are_followed() {
        let files = [
            ("x/src/lib.rs", "mod raw; mod face { mod inner; } #[path = \"other/name.rs\"] mod odd;"),
            ("x/src/raw/mod.rs", "mod slot;"),
            ("x/src/raw/slot.rs", "mod state;"),
            ("x/src/raw/slot/state.rs", ""),
            ("x/src/face/inner.rs", ""),
            ("x/src/other/name.rs", ""),
            ("x/examples/e.rs", ""),
        ];
        assert_eq!(dead(&files), Vec::<String>::new());
    }

    #[test]
    fn a_declaration_in_a_comment_reaches_nothing() {
        assert_eq!(dead(&[("x/src/lib.rs", "// mod a;\n"), ("x/src/a.rs", "")]), ["x/src/a.rs"]);
    }
}
