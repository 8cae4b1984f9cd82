//! Looking again and again for a short while before going to sleep, as long as that pays.
//!
//! A lock server answers sooner than a thread wakes up: the processor that it slept on has to leave its idle state first, and
//! in a virtual machine that is the host's affair. So whoever is served soon may be served much sooner if it does not sleep.
//! But where every processor has something to do, a thread that looks around keeps others from running, perhaps those that
//! it waits for. Which of the two it is, is not guessed but measured:
//!
//! - the *while* doubles when something came soon enough to have been worth it, and halves when nothing did, down to none. A
//!   link on which nothing happens costs nothing, and one that falls silent less than twice the longest while. (So do
//!   hypervisors poll before they halt a processor.)
//! - within it, waits of both kinds are timed, and the kind that is shorter on average is used; now and then the other one is,
//!   so that its average is not of another day. (Asking more, that spinning take half the time, was tried: a client and a
//!   server then keep each other asleep.)

use std::time::{Duration, Instant};

/// How long a thread looks before it sleeps.
#[derive(Clone, Debug)]
pub struct Spin {
    max: Duration,
    now: Duration,
    /// How long waits took in which the thread went to sleep at once, and those in which it looked around.
    means: [Mean; 2],
    waits: u32,
}

/// A moving average; nothing at first.
#[derive(Clone, Copy, Debug)]
struct Mean(Duration);

/// Of so many waits, one is of the kind that is not used.
const TRIAL: u32 = 32;

impl Spin {
    /// Many times what an answer takes, and as much as a question and its answer where both ends sleep in virtual machines: so
    /// that who begins so finds out that there is a better way.
    pub const DEFAULT_MAX: Duration = Duration::from_micros(200);

    /// A while that is not looked for is shorter than this part of the longest.
    const PARTS: u32 = 16;

    /// Never looks for longer than `max` before it sleeps; not at all, if that is zero.
    pub const fn new(max: Duration) -> Self {
        Self { max, now: Duration::ZERO, means: [Mean(Duration::ZERO); 2], waits: 0 }
    }

    /// Has `look` wait for something: perhaps a few times without any time, and at last for as long as is left of `limit`;
    /// without a limit, for ever. `look` tells whether there is something.
    ///
    /// # Errors
    /// That of `look`, at once.
    pub fn wait<E>(
        &mut self,
        limit: Option<Duration>,
        mut look: impl FnMut(Option<Duration>) -> Result<bool, E>,
    ) -> Result<(), E> {
        if limit == Some(Duration::ZERO) || self.max.is_zero() {
            look(limit)?;
            return Ok(());
        }
        let began = Instant::now();
        let spins = self.pays();
        let until = limit.map_or(self.now, |limit| limit.min(self.now));
        // Bound: `until` is over some time.
        while spins && began.elapsed() < until {
            if look(Some(Duration::ZERO))? {
                self.learn(spins, began.elapsed());
                return Ok(());
            }
        }
        let is_found = look(limit.map(|limit| limit.saturating_sub(began.elapsed())))?;
        self.learn(spins, if is_found { began.elapsed() } else { Duration::MAX });
        Ok(())
    }

    /// Whether to look around this time.
    fn pays(&mut self) -> bool {
        if self.now.is_zero() {
            return false;
        }
        self.waits = self.waits.wrapping_add(1);
        let [asleep, spun] = self.means;
        (spun.0 <= asleep.0) != self.waits.is_multiple_of(TRIAL)
    }

    /// Something came after that time.
    fn learn(&mut self, spun: bool, waited: Duration) {
        let least = self.max / Self::PARTS;
        // One that took very long says that it did, and no more.
        self.means[usize::from(spun)].add(waited.min(self.max * 2));
        if waited <= self.max {
            self.now = (self.now * 2).clamp(least, self.max);
        } else {
            self.now /= 2;
            if self.now < least {
                self.now = Duration::ZERO;
            }
        }
    }
}

impl Mean {
    fn add(&mut self, time: Duration) {
        self.0 = if self.0.is_zero() { time } else { (self.0 * 7 + time) / 8 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: Duration = Duration::from_micros(160);

    /// Looks that found nothing before this one, and how long each could have taken.
    fn looks(spin: &mut Spin, limit: Option<Duration>, finds_at: usize) -> Vec<Option<Duration>> {
        let mut looks = Vec::new();
        let look = |limit| {
            looks.push(limit);
            Ok::<_, ()>(looks.len() == finds_at)
        };
        spin.wait(limit, look).unwrap();
        looks
    }

    #[test]
    fn who_was_never_served_sleeps_at_once() {
        assert_eq!(looks(&mut Spin::new(MAX), None, 1), [None]);
    }

    #[test]
    fn who_was_served_soon_looks_before_it_sleeps() {
        let mut spin = Spin::new(Duration::from_secs(60));
        looks(&mut spin, None, 1);
        assert_eq!(looks(&mut spin, None, 3), [Some(Duration::ZERO); 3]);
    }

    #[test]
    fn the_while_doubles_up_to_the_longest_and_halves_down_to_none() {
        let mut spin = Spin::new(MAX);
        let after = |spin: &mut Spin, waited| {
            spin.learn(false, waited);
            spin.now.as_micros()
        };
        assert_eq!([(); 6].map(|()| after(&mut spin, MAX)), [10, 20, 40, 80, 160, 160]);
        assert_eq!([(); 6].map(|()| after(&mut spin, MAX * 2)), [80, 40, 20, 10, 0, 0]);
    }

    #[test]
    fn no_time_is_no_time_to_spin_and_a_limit_is_kept() {
        let mut spin = Spin::new(Duration::from_secs(60));
        looks(&mut spin, None, 1);
        assert_eq!(looks(&mut spin, Some(Duration::ZERO), 9), [Some(Duration::ZERO)]);
        let limit = Duration::from_millis(1);
        let looked = looks(&mut spin, Some(limit), usize::MAX);
        assert_eq!(looked.last(), Some(&Some(Duration::ZERO)), "nothing is left of the limit");
    }

    #[test]
    fn looking_around_is_used_while_it_pays_and_tried_now_and_then_while_it_does_not() {
        let mut spin = Spin::new(MAX);
        spin.learn(false, MAX);
        let mut spun_of = |spun_takes, waits: u32| {
            let wait = |_| {
                let spins = spin.pays();
                spin.learn(spins, if spins { spun_takes } else { MAX / 2 });
                u32::from(spins)
            };
            (0..waits).map(wait).sum::<u32>()
        };
        spun_of(MAX, 100);
        assert_eq!(spun_of(MAX, TRIAL * 10), 10, "it only tries");
        spun_of(MAX / 4, TRIAL * 20);
        assert_eq!(spun_of(MAX / 4, TRIAL * 10), TRIAL * 10 - 10, "it has found that this has changed");
    }

    #[test]
    fn who_wants_no_spinning_has_none() {
        let mut spin = Spin::new(Duration::ZERO);
        looks(&mut spin, None, 1);
        assert_eq!(looks(&mut spin, None, 1), [None]);
    }

    #[test]
    fn a_look_that_fails_ends_the_wait() {
        assert_eq!(Spin::new(MAX).wait(None, |_| Err("no")), Err("no"));
    }
}
