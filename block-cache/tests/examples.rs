//! The examples run, and say what they are there to say. Cargo builds them before it runs the tests of a package.
#![cfg(not(any(tidelock_loom, tidelock_shuttle)))]

use std::path::PathBuf;
use std::process::Command;

/// `target/<profile>/examples`, beside the `deps` that this test runs from.
fn folder() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(2).unwrap().join("examples")
}

/// Runs an example to its end and returns what it printed.
fn run(name: &str) -> String {
    let program = folder().join(name);
    assert!(
        program.exists(),
        "{} is missing: cargo build -p tidelock-block-cache --examples",
        program.display()
    );
    let output = Command::new(program).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{name}: {said}\n{}", String::from_utf8_lossy(&output.stderr));
    said
}

#[test]
fn the_second_round_of_the_read_through_cache_hits() {
    let said = run("read_through");
    assert!(said.contains("cold: ") && said.contains("warm: ") && said.contains("batched: "), "{said}");
    assert!(said.contains("256 hits"), "{said}");
}

#[test]
fn threads_read_while_one_commits() {
    let said = run("embed_threads");
    assert!(said.contains("2000 commits") && said.contains("none torn"), "{said}");
}

#[test]
fn tasks_share_the_reads_of_their_blocks() {
    assert!(run("embed_async").contains("2000 tasks read 8000 blocks with 128 device reads"));
}

#[test]
fn a_device_of_ones_own_sees_every_transfer() {
    let said = run("custom_device");
    assert!(said.contains("write: 16 times") && said.contains("flush: 1 times"), "{said}");
}
