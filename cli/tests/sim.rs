//! `tidelock sim` as a user calls it.

use std::process::{Command, Output};

fn sim(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tidelock")).arg("sim").args(args).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn seeds_in_which_everything_holds_end_with_zero() {
    let output = sim(&["run", "--seeds", "5", "--jobs", "2"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(said(&output).contains("everything held"));
    assert!(output.stderr.is_empty(), "no bar where there is no terminal");
}

#[test]
fn a_planted_bug_is_found_and_the_command_that_repeats_it_does() {
    let output = sim(&["run", "--seeds", "100", "--canary", "token-repeats"]);
    assert_eq!(output.status.code(), Some(1));
    let said_first = said(&output);
    let replay =
        said_first.lines().find_map(|line| line.trim().strip_prefix("replay: tidelock sim ")).unwrap();
    let again = sim(&replay.split(' ').collect::<Vec<_>>());
    assert_eq!(again.status.code(), Some(1));
    assert!(said(&again).contains("VIOLATION Z-13"), "{}", said(&again));
}

#[test]
fn a_seed_that_holds_cannot_be_made_smaller() {
    let output = sim(&["shrink", "1", "--faults", "none"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(said(&output).contains("nothing to make smaller"));
}

#[test]
fn what_programs_read_is_json() {
    let one: serde_json::Value = serde_json::from_str(&said(&sim(&["replay", "7", "--json"]))).unwrap();
    assert!(one["violation"].is_null() && one["counts"]["granted"].as_u64() > Some(0));
    let many: serde_json::Value =
        serde_json::from_str(&said(&sim(&["run", "--seeds", "3", "--json"]))).unwrap();
    assert_eq!(many["seeds"], 3);
}

#[test]
fn names_that_do_not_exist_are_refused_with_those_that_do() {
    for (flag, hint) in [("--faults", "half-open"), ("--canary", "no-gate")] {
        let output = sim(&["run", flag, "flood"]);
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains(hint));
    }
}
