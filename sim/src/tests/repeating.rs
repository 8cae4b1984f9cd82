//! A seed is a run.

use crate::{Settings, run, shrink};
use std::time::Duration;

#[test]
fn the_same_seed_twice_gives_the_same_log_to_the_byte() {
    let settings = Settings { keeps_log: true, ..Settings::default() };
    for seed in 0..6 {
        let (one, other) = (run(seed, &settings), run(seed, &settings));
        let (one_log, other_log) = (one.log.as_deref().unwrap(), other.log.as_deref().unwrap());
        let differs = one_log.lines().zip(other_log.lines()).find(|(one, other)| one != other);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(one, other, "seed {seed}");
        assert!(one_log.lines().count() > 100, "seed {seed} is so short that it shows nothing");
    }
}

#[test]
fn whether_a_log_is_kept_changes_nothing() {
    for seed in 0..6 {
        let logged = run(seed, &Settings { keeps_log: true, ..Settings::default() });
        let silent = run(seed, &Settings::default());
        assert_eq!((logged.digest, logged.counts), (silent.digest, silent.counts), "seed {seed}");
    }
}

#[test]
fn two_seeds_are_two_runs() {
    assert_ne!(run(1, &Settings::default()).digest, run(2, &Settings::default()).digest);
}

#[test]
fn what_is_left_of_a_failing_seed_fails_the_same_way_and_says_how_to_repeat_it() {
    let canary = Some(crate::Canary::TokenRepeats);
    let settings = Settings { canary, ..Settings::default() };
    let shrunk = (0..50).find_map(|seed| shrink(seed, &settings, &|_, _| {})).expect("one of them fails");
    let (settings, report) = (shrunk.settings, shrunk.report);
    let again = run(report.seed, &settings);
    assert_eq!(again.violation, report.violation);
    assert!(report.time < Duration::from_secs(100) && report.planned.len() < 4, "{report:?}");
    let command = report.command(&settings);
    assert!(
        command.starts_with("tidelock sim replay ") && command.contains("--canary token-repeats"),
        "{command}"
    );
}
