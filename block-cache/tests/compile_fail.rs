//! What the types rule out: programs that must not compile (S-27, S-29, S-30, B2).

#[test]
fn what_the_types_rule_out_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
