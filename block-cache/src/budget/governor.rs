//! The rule that turns what is known about memory into a limit. No clock, no I/O: it is stepped.
//!
//! - **Room.** The caches may have a share of what is free to them: what they hold now, and what is left below the limit.
//!   What they hold is counted in, so growing into the room does not make it look smaller, and the rule has a fixed point.
//! - **Pressure.** When tasks lost too much time waiting for memory, the limit is cut by a part of what is in use, whatever
//!   room there seems to be: somebody else needs memory.
//! - **Down at once, up slowly.** A limit is raised by a step, after a calm time without any cut or other raise. Otherwise
//!   the caches would fill what they just gave back.
//! - **Hysteresis.** Changes smaller than the dead band are not worth the work, and are not made.

use std::time::Duration;

use super::Reading;

/// The constants of the rule. Every limit is in bytes, every share in percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BudgetRule {
    /// The limit never goes below this, in bytes.
    pub floor_bytes: u64,
    /// The limit never goes above this, in bytes.
    pub ceiling_bytes: u64,
    /// Of what is free to the caches, how much they may have, in percent. Default 80.
    pub share_percent: u8,
    /// Changes below this part of the ceiling are not made, in percent. Default 2.
    pub dead_band_percent: u8,
    /// Time lost to waiting for memory that is taken for pressure, as a share of the time passed, in percent. Default 5.
    pub stall_percent_max: u8,
    /// What a cut takes, as a part of the memory in use, in percent. Default 10.
    pub cut_percent: u8,
    /// What one raise gives at the most, as a part of the ceiling, in percent. Default 10.
    pub raise_percent: u8,
    /// Time between a change and a raise after it. Default 10 seconds.
    pub calm: Duration,
    /// Time that a cut is given to show its effect before pressure leads to the next. Default 1 second.
    pub settle: Duration,
}

impl BudgetRule {
    /// The default rule for limits from `floor_bytes` to `ceiling_bytes`.
    ///
    /// # Panics
    /// If the floor is above the ceiling.
    pub fn between(floor_bytes: u64, ceiling_bytes: u64) -> Self {
        assert!(floor_bytes <= ceiling_bytes, "a budget's floor ({floor_bytes}) is not above its ceiling");
        Self {
            floor_bytes,
            ceiling_bytes,
            share_percent: 80,
            dead_band_percent: 2,
            stall_percent_max: 5,
            cut_percent: 10,
            raise_percent: 10,
            calm: Duration::from_secs(10),
            settle: Duration::from_secs(1),
        }
    }
}

/// Decides on limits. Stepped with readings; the time is that of any clock that never goes back.
///
/// ```
/// use std::time::Duration;
/// use tidelock_block_cache::{BudgetRule, Governor, Reading, Room};
///
/// let mut governor = Governor::new(BudgetRule::between(10, 1000), 500);
/// let mut reading = Reading::default();
/// reading.used_bytes = 500;
/// // 900 of 1000 bytes are taken, 500 of them by us: 80 % of 600 are ours.
/// reading.narrow(Room::new(1000, 900));
/// assert_eq!(governor.step(&reading, Duration::ZERO), Some(480));
/// ```
#[derive(Clone, Debug)]
pub struct Governor {
    rule: BudgetRule,
    limit: u64,
    /// Time lost, and when that was read.
    stalled: Option<(Duration, Duration)>,
    changed: Option<Duration>,
}

impl Governor {
    /// A governor over a budget whose limit is `limit_bytes` now.
    pub fn new(rule: BudgetRule, limit_bytes: u64) -> Self {
        let limit = limit_bytes.clamp(rule.floor_bytes, rule.ceiling_bytes);
        Self { rule, limit, stalled: None, changed: None }
    }

    /// The limit that holds, in bytes.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Takes note of `reading`, made at `now`. `Some` is a new limit, in bytes.
    pub fn step(&mut self, reading: &Reading, now: Duration) -> Option<u64> {
        let rule = self.rule;
        let is_pressed = self.is_pressed(reading, now);
        let room = self.share_of_room(reading).clamp(rule.floor_bytes, rule.ceiling_bytes);
        let wanted = if is_pressed && self.has_passed(rule.settle, now) {
            room.min(self.cut(reading))
        } else if room < self.limit {
            room
        } else if !is_pressed && !reading.is_partial && self.has_passed(rule.calm, now) {
            room.min(self.limit.saturating_add(percent(rule.ceiling_bytes, rule.raise_percent)))
        } else {
            self.limit
        };
        let wanted = wanted.clamp(rule.floor_bytes, rule.ceiling_bytes);
        if wanted == self.limit || wanted.abs_diff(self.limit) < self.dead_band() {
            return None;
        }
        self.limit = wanted;
        self.changed = Some(now);
        Some(wanted)
    }

    /// What the caches may have by the room there is.
    fn share_of_room(&self, reading: &Reading) -> u64 {
        let Some(room) = reading.room else { return self.rule.ceiling_bytes };
        let free = (reading.used_bytes.saturating_add(room.limit_bytes)).saturating_sub(room.charged_bytes);
        percent(free, self.rule.share_percent)
    }

    /// What a cut leaves. Taken from what is in use: lowering a limit that nobody reaches frees nothing.
    fn cut(&self, reading: &Reading) -> u64 {
        let base = self.limit.min(reading.used_bytes);
        base - percent(base, self.rule.cut_percent.min(100))
    }

    /// Whether too much of the time since the last reading was lost.
    fn is_pressed(&mut self, reading: &Reading, now: Duration) -> bool {
        let Some(total) = reading.stalled else { return false };
        let Some((total_before, before)) = self.stalled.replace((total, now)) else { return false };
        let lost = total.saturating_sub(total_before).as_nanos();
        let passed = now.saturating_sub(before).as_nanos();
        lost * 100 > passed * u128::from(self.rule.stall_percent_max)
    }

    fn has_passed(&self, wait: Duration, now: Duration) -> bool {
        self.changed.is_none_or(|changed| now.saturating_sub(changed) >= wait)
    }

    fn dead_band(&self) -> u64 {
        percent(self.rule.ceiling_bytes, self.rule.dead_band_percent)
    }
}

fn percent(of: u64, share: u8) -> u64 {
    let part = u128::from(of) * u128::from(share) / 100;
    u64::try_from(part).unwrap_or(u64::MAX)
}
