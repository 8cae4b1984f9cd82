//! Each planted bug is found, by the property that it is to be found by; so each property can fail.

use std::time::{Duration, Instant};

use crate::{Canary, Property, Settings, run};

/// Seeds that each planted bug is given.
const SEEDS: u64 = 200;

/// Time that all of them may take together: on a machine that has other things to do.
const LIMIT: Duration = Duration::from_secs(600);

/// How many seeds it took until this bug was found by its property.
fn seeds_until_found(canary: Canary) -> Option<u64> {
    // Others may be quicker: of a grant that is sent too early Z-2 knows before Z-1.
    let only = Some(canary.betrayed_to());
    let settings = Settings { canary: Some(canary), only, ..Settings::default() };
    let is_found = |seed: &u64| {
        let violation = run(*seed, &settings).violation;
        violation.is_some_and(|violation| violation.property == canary.betrayed_to())
    };
    (0..SEEDS).find(is_found).map(|seed| seed + 1)
}

/// Z-1, Z-2, Z-3, Z-4, Z-5, Z-6, Z-7, Z-8, Z-9, Z-10, Z-11, Z-12, Z-13, Z-14, Z-15, Z-16: each can fail.
#[test]
fn every_planted_bug_is_found_by_its_property() {
    let began = Instant::now();
    for canary in Canary::ALL {
        let seeds = seeds_until_found(canary);
        let property = canary.betrayed_to();
        println!("{canary}: {property} after {seeds:?} seeds");
        assert!(seeds.is_some(), "{canary} was not found by {property} in {SEEDS} seeds");
    }
    assert!(began.elapsed() < LIMIT, "it took {:?}", began.elapsed());
}

#[test]
fn every_property_has_a_planted_bug() {
    for property in Property::ALL {
        let is_tried = Canary::ALL.iter().any(|canary| canary.betrayed_to() == property);
        assert!(is_tried, "nothing shows that {property} can fail");
    }
}
