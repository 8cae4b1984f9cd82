//! Every `#[allow(..)]` and `#[expect(..)]` says why: `reason = ".."`.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::Finding;
use super::source::{Source, attribute, visit};
use super::workspace::Workspace;

pub(super) fn check(workspace: &Workspace) -> Vec<Finding> {
    workspace.sources().flat_map(unreasoned).collect()
}

fn unreasoned(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    visit(&source.tokens, &mut |tokens| {
        for at in 0..tokens.len() {
            let Some(group) = attribute(&tokens[at..]) else { continue };
            if lacks_reason(&group.stream()) {
                let place = format!("{}:{}", source.path.display(), group.span_open().start().line);
                findings.push(Finding::fault(place, "a lint is switched off without `reason = \"..\"`"));
            }
        }
    });
    findings
}

/// Is there an `allow(..)` or `expect(..)`, perhaps within `cfg_attr`, without a reason?
fn lacks_reason(attribute: &TokenStream) -> bool {
    let mut lacks = false;
    visit(attribute, &mut |tokens| {
        lacks |= tokens.windows(2).any(|pair| match pair {
            [TokenTree::Ident(word), TokenTree::Group(group)] if *word == "allow" || *word == "expect" => {
                group.delimiter() == Delimiter::Parenthesis && !has_reason(group.stream())
            }
            _ => false,
        });
    });
    lacks
}

fn has_reason(arguments: TokenStream) -> bool {
    arguments.into_iter().any(|token| matches!(token, TokenTree::Ident(word) if word == "reason"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        unreasoned(&Source::parse("a.rs", text).unwrap()).into_iter().map(|finding| finding.place).collect()
    }

    #[test]
    fn an_allow_without_a_reason_is_a_fault() {
        assert_eq!(faults("fn a() {}\n#[allow(dead_code)]\nfn f() {}"), ["a.rs:2"]);
        assert_eq!(faults("#![allow(dead_code)]"), ["a.rs:1"]);
        assert_eq!(faults("#[cfg_attr(test, expect(dead_code))] fn f() {}"), ["a.rs:1"]);
        assert_eq!(faults("mod m { fn f() { #[allow(unused)] let x = 1; } }"), ["a.rs:1"]);
    }

    #[test]
    fn an_allow_with_a_reason_and_a_call_of_expect_are_fine() {
        assert_eq!(
            faults("#[allow(dead_code, reason = \"read by the kernel\")] fn f() {}"),
            Vec::<String>::new()
        );
        assert_eq!(faults("fn f() { Some(1).expect(\"one\"); }"), Vec::<String>::new());
    }
}
