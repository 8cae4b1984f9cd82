//! What does not compile: ending a client in the wrong order, and using what has ended..

#[test]
fn the_wrong_order_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
