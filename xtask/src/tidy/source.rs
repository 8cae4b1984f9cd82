//! A Rust file as text and as tokens.
//!
//! The lexer is proc-macro2's. Comments that are not documentation exist only in the text.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use proc_macro2::{Delimiter, TokenStream, TokenTree};
use walkdir::WalkDir;

use super::workspace::{is_built, relative};

/// One Rust file.
#[derive(Debug)]
pub(crate) struct Source {
    /// Path from the workspace's root.
    pub(super) path: PathBuf,
    pub(super) text: String,
    pub(super) tokens: TokenStream,
}

/// A function marked as a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Test {
    pub(super) name: String,
    /// Its documentation.
    pub(super) doc: String,
}

/// Every Rust file below `folder`.
pub(crate) fn sources(folder: &Path) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    for entry in
        WalkDir::new(folder).sort_by_file_name().into_iter().filter_entry(|entry| !is_built(entry.path()))
    {
        let entry = entry?;
        if entry.file_type().is_file() && entry.path().extension().is_some_and(|extension| extension == "rs")
        {
            sources.push(Source::parse(relative(entry.path()), fs::read_to_string(entry.path())?)?);
        }
    }
    Ok(sources)
}

impl Source {
    /// Splits the text into tokens.
    pub(super) fn parse(path: impl Into<PathBuf>, text: impl Into<String>) -> Result<Source> {
        let (path, text) = (path.into(), text.into());
        let tokens = text.parse().map_err(|error| anyhow!("{error}"));
        let tokens = tokens.with_context(|| format!("{} is not Rust", path.display()))?;
        Ok(Source { path, text, tokens })
    }

    /// Is it compiled for tests alone?
    pub(super) fn is_test(&self) -> bool {
        let name = self.path.file_stem().unwrap_or_default().to_string_lossy();
        let prefixes = ["loom_", "shuttle_", "found_"];
        self.path.components().any(|part| part.as_os_str() == "tests" || part.as_os_str() == "fuzz")
            || ["tests", "reference", "crash"].contains(&&*name)
            || name.ends_with("_test")
            || prefixes.iter().any(|prefix| name.starts_with(prefix))
    }

    /// Is it part of what users build, rather than a test, an example or a benchmark?
    pub(super) fn is_shipped(&self) -> bool {
        !self.is_test() && self.path.iter().any(|part| part == "src")
    }

    /// The lines before the module of tests at the file's end, if there is one.
    pub(super) fn untested_text(&self) -> &str {
        let module =
            ["#[cfg(test)]\nmod ", "#[cfg(all(test"].iter().filter_map(|start| self.text.find(start));
        let inline =
            module.filter(|at| self.text[*at..].lines().nth(1).is_some_and(|line| line.ends_with('{')));
        &self.text[..inline.min().unwrap_or(self.text.len())]
    }

    /// Functions with an attribute `#[test]`, or a call of a macro that makes tests (`proptest!`) around them.
    pub(super) fn tests(&self) -> Vec<Test> {
        let mut tests = Vec::new();
        collect_tests(&self.tokens, &mut tests);
        tests
    }

    /// Names of the models that `tool` runs: tests in a file or folder named after it, or named after it themselves.
    pub(crate) fn models(&self, tool: &str) -> Vec<String> {
        let named = |name: &str| name.strip_prefix(tool).is_some_and(|rest| rest.starts_with('_'));
        let whole_file = self.path.iter().any(|part| named(&part.to_string_lossy()));
        let tests = self.tests().into_iter().map(|test| test.name);
        tests.filter(|name| whole_file || named(name)).collect()
    }

    /// Folder of the crate it belongs to.
    pub(crate) fn folder(&self) -> String {
        self.path.iter().next().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Names of the switch points `cfg!(tidelock_weaken = "NAME")` and `#[cfg(tidelock_weaken = "NAME")]`.
    pub(crate) fn switches(&self) -> Vec<String> {
        let mut switches = Vec::new();
        visit(&self.tokens, &mut |tokens| {
            for window in tokens.windows(3) {
                if let [TokenTree::Ident(key), TokenTree::Punct(equals), TokenTree::Literal(value)] = window
                    && *key == "tidelock_weaken"
                    && equals.as_char() == '='
                {
                    switches.push(unquoted(&value.to_string()));
                }
            }
        });
        switches
    }
}

/// Calls `see` with the tokens of this stream, and of every group within it.
pub(super) fn visit(tokens: &TokenStream, see: &mut impl FnMut(&[TokenTree])) {
    let tokens: Vec<TokenTree> = tokens.clone().into_iter().collect();
    see(&tokens);
    for token in &tokens {
        if let TokenTree::Group(group) = token {
            visit(&group.stream(), see);
        }
    }
}

/// The content of an attribute, when `tokens` begins with one: `[..]` after `#` or `#!`.
pub(super) fn attribute(tokens: &[TokenTree]) -> Option<&proc_macro2::Group> {
    let is =
        |token: &TokenTree, wanted| matches!(token, TokenTree::Punct(punct) if punct.as_char() == wanted);
    let rest = tokens.split_first().filter(|(first, _)| is(first, '#'))?.1;
    let rest = rest.split_first().filter(|(first, _)| is(first, '!')).map_or(rest, |(_, rest)| rest);
    match rest.first()? {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Bracket => Some(group),
        _ => None,
    }
}

/// A string literal's content, near enough for names and prose.
pub(super) fn unquoted(literal: &str) -> String {
    literal.trim_start_matches(['r', '#']).trim_end_matches('#').trim_matches('"').to_owned()
}

fn collect_tests(tokens: &TokenStream, tests: &mut Vec<Test>) {
    visit(tokens, &mut |tokens| {
        let (mut doc, mut is_test) = (String::new(), false);
        for (at, token) in tokens.iter().enumerate() {
            if let Some(group) = attribute(&tokens[at..]) {
                let words: Vec<TokenTree> = group.stream().into_iter().collect();
                is_test |= matches!(words.as_slice(), [TokenTree::Ident(only)] if *only == "test");
                if let [TokenTree::Ident(key), _, TokenTree::Literal(text)] = words.as_slice()
                    && *key == "doc"
                {
                    doc.push_str(&unquoted(&text.to_string()));
                    doc.push('\n');
                }
                continue;
            }
            match (token, tokens.get(at + 1)) {
                (TokenTree::Ident(word), Some(TokenTree::Ident(name))) if *word == "fn" => {
                    if is_test {
                        tests.push(Test { name: name.to_string(), doc: doc.clone() });
                    }
                    (doc, is_test) = (String::new(), false);
                }
                // The end of an item: what stood before it does not describe the next one.
                (TokenTree::Group(group), _) if group.delimiter() == Delimiter::Brace => {
                    (doc, is_test) = (String::new(), false);
                }
                (TokenTree::Punct(punct), _) if punct.as_char() == ';' => {
                    (doc, is_test) = (String::new(), false);
                }
                _ => {}
            }
        }
    });
}

#[cfg(test)]
mod unit {
    use super::*;

    fn source(text: &str) -> Source {
        Source::parse("x/src/lib.rs", text).unwrap()
    }

    #[test]
    fn tests_are_found_with_their_documentation() {
        let source = source(
            "/// Of a struct.\nstruct S;\nmod t {\n/// S-31: reader\n#[test]\nfn a() {}\nfn b() {}\n}",
        );
        assert_eq!(source.tests(), [Test { name: "a".into(), doc: " S-31: reader\n".into() }]);
    }

    #[test]
    fn tests_inside_of_a_macro_are_found() {
        assert_eq!(source("proptest! { #[test] fn p(x in 0..3u8) { assert!(x < 3) } }").tests().len(), 1);
    }

    #[test]
    fn switch_points_are_found_in_expressions_and_attributes() {
        let text = "fn f() { if cfg!(tidelock_weaken = \"one\") {} }\n#[cfg(all(test, tidelock_weaken = \"two\"))] fn g() {}";
        assert_eq!(source(text).switches(), ["one", "two"]);
    }

    #[test]
    fn the_module_of_tests_is_not_part_of_the_untested_text() {
        let text = "fn f() {}\n#[cfg(test)]\nmod tests {\n}\n";
        assert_eq!(source(text).untested_text(), "fn f() {}\n");
        let declared = "#[cfg(test)]\nmod tests;\nfn f() {}\n";
        assert_eq!(source(declared).untested_text(), declared);
    }

    #[test]
    fn a_model_is_named_after_its_tool_or_in_a_file_that_is() {
        let text = "#[test] fn loom_a() {}\n#[test] fn b() {}";
        assert_eq!(source(text).models("loom"), ["loom_a"]);
        assert_eq!(Source::parse("x/src/loom_c.rs", text).unwrap().models("loom"), ["loom_a", "b"]);
        assert_eq!(source(text).folder(), "x");
    }

    #[test]
    fn text_that_is_not_rust_is_an_error_that_names_the_file() {
        assert!(Source::parse("x/src/lib.rs", "fn f( {").unwrap_err().to_string().contains("x/src/lib.rs"));
    }
}
