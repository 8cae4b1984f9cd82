//! The bytes of a message of each kind, pinned: a change of them is a change of the protocol.

use std::fmt::Write;

use super::samples::{ENVELOPE, to_client, to_server};

/// What is drawn on the page about the wire.
const PAGE: &str = include_str!("../../../docs/wire.md");

fn lines() -> String {
    let mut lines = String::new();
    let mut add = |name: &str, encode: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = Vec::new();
        encode(&mut bytes);
        writeln!(lines, "{name}").expect("a string takes all");
        for row in bytes.chunks(32) {
            let hex: String = row.iter().map(|byte| format!("{byte:02x}")).collect();
            writeln!(lines, "  {hex}").expect("a string takes all");
        }
    };
    for (name, message) in to_server() {
        add(name, &|bytes| message.encode(ENVELOPE, bytes));
    }
    for (name, message) in to_client() {
        add(name, &|bytes| message.encode(ENVELOPE, bytes));
    }
    lines
}

#[test]
fn the_page_about_the_wire_shows_the_bytes_of_every_message() {
    let lines = lines();
    assert!(
        PAGE.contains(&format!("```text\n{lines}```\n")),
        "docs/wire.md does not show these bytes; if the protocol was meant to change, they belong there:\n{lines}"
    );
}
