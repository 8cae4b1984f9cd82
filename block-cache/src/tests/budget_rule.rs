//! The rule behind a budget's limit, stepped through what systems do.

use std::time::Duration;

use crate::{BudgetRule, Governor, Reading, Room};

const SECOND: Duration = Duration::from_secs(1);
/// A ceiling of 1000 makes percent and bytes the same thing, times ten.
const RULE: fn() -> BudgetRule = || BudgetRule::between(100, 1000);

fn used(used_bytes: u64) -> Reading {
    Reading { used_bytes, ..Reading::default() }
}

fn with_room(used_bytes: u64, limit_bytes: u64, charged_bytes: u64) -> Reading {
    Reading { room: Some(Room { limit_bytes, charged_bytes }), ..used(used_bytes) }
}

fn stalled(used_bytes: u64, milliseconds: u64) -> Reading {
    Reading { stalled: Some(Duration::from_millis(milliseconds)), ..used(used_bytes) }
}

#[test]
fn the_limit_a_governor_begins_with_is_brought_between_floor_and_ceiling() {
    assert_eq!(Governor::new(RULE(), 5).limit(), 100);
    assert_eq!(Governor::new(RULE(), 5000).limit(), 1000);
}

#[test]
fn without_limits_and_pressure_it_rises_to_the_ceiling_step_by_step() {
    let mut governor = Governor::new(RULE(), 700);
    let limits: Vec<_> = (0..50).filter_map(|second| governor.step(&used(700), SECOND * second)).collect();
    assert_eq!(limits, [800, 900, 1000], "one raise in ten seconds, none beyond the ceiling");
}

#[test]
fn a_cgroup_that_fills_up_takes_its_room_back_at_once() {
    let mut governor = Governor::new(RULE(), 600);
    // 1200 allowed, 1000 taken, of which 600 are ours: 80 % of 800.
    assert_eq!(governor.step(&with_room(600, 1200, 1000), SECOND), Some(640));
    // The others take 300 more: 80 % of 500, in the very next second.
    assert_eq!(governor.step(&with_room(600, 1200, 1300), SECOND * 2), Some(400));
    // They take everything.
    assert_eq!(governor.step(&with_room(400, 1200, 1600), SECOND * 3), Some(100), "the floor");
}

/// The caches' own growth must not look like somebody else's.
#[test]
fn growing_into_the_room_leaves_the_limit_where_it_is() {
    let mut governor = Governor::new(RULE(), 480);
    for used in (0..=480).step_by(40) {
        let reading = with_room(used, 900, 300 + used);
        assert_eq!(governor.step(&reading, SECOND * used as u32), None, "{used} bytes in use");
    }
}

#[test]
fn small_changes_are_not_made() {
    let mut governor = Governor::new(RULE(), 480);
    assert_eq!(
        governor.step(&with_room(480, 1000, 890), SECOND),
        None,
        "to 472: less than 2 % of the ceiling"
    );
    assert_eq!(governor.step(&with_room(480, 1000, 910), SECOND), Some(456));
}

#[test]
fn pressure_cuts_what_is_in_use_and_not_an_unreached_limit() {
    let mut governor = Governor::new(RULE(), 1000);
    assert_eq!(governor.step(&stalled(500, 70_000), SECOND), None, "what was lost before counts for nothing");
    assert_eq!(governor.step(&stalled(500, 70_049), SECOND * 2), None, "less than 5 % of a second");
    assert_eq!(governor.step(&stalled(500, 70_149), SECOND * 3), Some(450));
    assert_eq!(governor.step(&stalled(450, 70_249), SECOND * 4), Some(405));
}

#[test]
fn a_cut_gets_time_to_work_before_the_next() {
    let mut governor = Governor::new(RULE(), 1000);
    let tenth = SECOND / 10;
    let limits: Vec<_> = (0..=25)
        .filter_map(|step: u32| governor.step(&stalled(1000, u64::from(step) * 50), tenth * step))
        .collect();
    assert_eq!(limits.len(), 3, "half of the time lost for 2.5 seconds: {limits:?}");
}

#[test]
fn nothing_is_raised_until_it_was_calm_for_a_while() {
    let mut governor = Governor::new(RULE(), 1000);
    governor.step(&stalled(1000, 0), Duration::ZERO);
    assert_eq!(governor.step(&stalled(1000, 500), SECOND), Some(900));
    for second in 2..11 {
        assert_eq!(governor.step(&stalled(900, 500), SECOND * second), None, "second {second}");
    }
    assert_eq!(governor.step(&stalled(900, 500), SECOND * 11), Some(1000));
}

#[test]
fn nothing_is_raised_while_a_source_is_silent() {
    let mut governor = Governor::new(RULE(), 500);
    let silent = Reading { is_partial: true, ..used(500) };
    assert_eq!(governor.step(&silent, SECOND), None);
    let silent_and_short = Reading { is_partial: true, ..with_room(500, 1000, 1000) };
    assert_eq!(governor.step(&silent_and_short, SECOND), Some(400), "what is known still counts");
    assert_eq!(governor.step(&used(400), SECOND * 20), Some(500));
}

#[test]
fn a_clock_or_a_total_that_goes_back_is_no_pressure() {
    let mut governor = Governor::new(RULE(), 500);
    governor.step(&stalled(500, 900), SECOND * 5);
    assert_eq!(governor.limit(), 600, "raised at the first look");
    assert_eq!(governor.step(&stalled(500, 100), SECOND * 6), None, "the total went back");
    assert_eq!(governor.step(&stalled(500, 100), SECOND * 2), None, "the clock went back");
}

#[test]
fn the_largest_numbers_do_not_overflow() {
    let mut governor = Governor::new(BudgetRule::between(0, u64::MAX), u64::MAX);
    assert_eq!(governor.step(&with_room(u64::MAX, u64::MAX, u64::MAX), SECOND), Some(0));
    assert!(governor.step(&with_room(u64::MAX, u64::MAX, 0), Duration::MAX).is_some());
}

#[test]
#[should_panic = "floor"]
fn a_floor_above_the_ceiling_is_the_callers_mistake() {
    BudgetRule::between(2, 1);
}
