//! A few seeds of each kind, and those that have found something before.

use crate::{Fault, Faults, Fleet, Settings, run};

fn passes(settings: &Settings, start: u64, seeds: u64) {
    let summary = Fleet::new(start, seeds, settings.clone()).run(|_| {});
    if let Some(report) = summary.failed.first() {
        panic!("{}\n{}", report.violation.as_ref().unwrap(), report.command(settings));
    }
}

#[test]
fn without_faults_everything_holds_and_everybody_gets_on() {
    let settings = Settings { faults: Faults::NONE, ..Settings::default() };
    passes(&settings, 0, 20);
    let report = run(3, &settings);
    assert!(report.counts.granted > 50 && report.counts.reads_cached > 10, "{:?}", report.counts);
    assert_eq!((report.counts.losses, report.counts.lapses, report.counts.terms), (0, 0, 1));
}

/// G-03, P-11, P-14: each kind of fault by itself.
#[test]
fn each_kind_of_fault_alone_breaks_nothing() {
    for fault in Fault::ALL {
        let faults = Faults::NONE.with(fault);
        passes(&Settings { faults, is_swarm: false, ..Settings::default() }, 0, 4);
    }
}

/// As above, and all of it together.
#[test]
fn a_swarm_of_faults_breaks_nothing() {
    passes(&Settings::default(), 0, 60);
}

/// A lock that nobody waited for any more was remembered over a change of servers; a client whose expulsion was forgotten out
/// of order was turned away for good; a guard was good after the farewell.
#[test]
fn seeds_that_have_found_something_find_it_no_more() {
    for seed in [5, 9, 18, 21, 32, 56] {
        passes(&Settings::default(), seed, 1);
        passes(&Settings { faults: Faults::NONE, ..Settings::default() }, seed, 1);
    }
}
