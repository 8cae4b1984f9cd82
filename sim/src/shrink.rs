//! A failing seed made small: fewer kinds of faults, fewer faults, less time, fewer clients, users and locks, as long as the
//! same property is violated.

use std::time::Duration;

use crate::{Report, Settings, run};

/// What is left of a failing seed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Shrunk {
    /// The settings under which it still fails.
    pub settings: Settings,
    /// What came of it then.
    pub report: Report,
    /// Runs that it took.
    pub runs: u64,
}

struct Shrinking<'s> {
    seed: u64,
    best: Settings,
    report: Report,
    runs: u64,
    told: &'s dyn Fn(u64, &Report),
}

/// Makes a failing seed small. `None` if it does not fail. `told` is called after each run that still failed.
pub fn shrink(seed: u64, settings: &Settings, told: &dyn Fn(u64, &Report)) -> Option<Shrunk> {
    let report = run(seed, settings);
    report.violation.as_ref()?;
    let mut shrinking = Shrinking { seed, best: settings.clone(), report, runs: 1, told };
    // What one step leaves may make room for another: twice around is as far as it gets, mostly.
    for _ in 0..2 {
        shrinking.shorten();
        shrinking.drop_kinds();
        shrinking.drop_faults();
        shrinking.have_fewer();
    }
    let Shrinking { best, report, runs, .. } = shrinking;
    Some(Shrunk { settings: best, report, runs })
}

impl Shrinking<'_> {
    /// Whether it still fails like this; then this is kept.
    fn fails(&mut self, settings: Settings) -> bool {
        if settings == self.best {
            return false;
        }
        self.runs += 1;
        let report = run(self.seed, &settings);
        let property = |report: &Report| report.violation.as_ref().map(|violation| violation.property);
        let is_same = property(&report) == property(&self.report);
        if is_same {
            (self.best, self.report) = (settings, report);
            (self.told)(self.runs, &self.report);
        }
        is_same
    }

    fn try_with(&mut self, change: impl FnOnce(&mut Settings)) -> bool {
        let mut settings = self.best.clone();
        change(&mut settings);
        self.fails(settings)
    }

    /// Faults after the violation cannot matter, and perhaps none after half of that time.
    fn shorten(&mut self) {
        let at = self.report.violation.as_ref().map_or(Duration::ZERO, |violation| violation.at);
        let mut chaos = whole_millis(at);
        while chaos > Duration::from_millis(10) && self.try_with(|settings| settings.chaos = Some(chaos)) {
            chaos = whole_millis(chaos / 2);
        }
    }

    fn drop_kinds(&mut self) {
        for fault in self.best.faults.iter() {
            self.try_with(|settings| settings.faults = settings.faults.without(fault));
        }
    }

    /// Leaves out faults, many at a time at first: Zeller and Hildebrandt's delta debugging (TSE 2002), in its simple form.
    fn drop_faults(&mut self) {
        let mut size = self.report.planned.len().div_ceil(2);
        while size > 0 {
            let planned = self.report.planned.clone();
            for some in planned.chunks(size) {
                self.try_with(|settings| settings.without.extend(some));
            }
            size /= 2;
        }
    }

    fn have_fewer(&mut self) {
        for count in 1..=2 {
            self.try_with(|settings| settings.users = Some(count));
            self.try_with(|settings| settings.locks = Some(count));
        }
        for count in 2..=3 {
            self.try_with(|settings| settings.clients = Some(count));
        }
        for count in 1..=2 {
            self.try_with(|settings| settings.servers = Some(count));
        }
    }
}

fn whole_millis(time: Duration) -> Duration {
    Duration::from_millis(time.as_millis() as u64 + 1)
}
