//! Says on standard error how far a run is. Says nothing where that is no terminal.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// One bar for the whole run, in thousandths of a measurement.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    /// Never drawn: counts the bytes that the volume is filled with.
    filling: ProgressBar,
}

const STEP: u64 = 1000;
const TICK: Duration = Duration::from_millis(100);

impl Progress {
    /// A run of `steps` measurements.
    pub(crate) fn new(steps: u64) -> Self {
        let bar = ProgressBar::new(steps * STEP).with_style(style("{bar:32} {percent:>3}%  {msg}"));
        Self { bar, filling: ProgressBar::hidden() }
    }

    /// What is going on.
    pub(crate) fn says(&self, what: &str) {
        self.bar.set_message(what.to_owned());
    }

    /// Waits until `duration` is over, or until `is_over` says so earlier, while the bar moves by one step.
    pub(crate) fn wait(&self, duration: Duration, is_over: impl Fn() -> bool) {
        let (start, from) = (Instant::now(), self.bar.position());
        while !is_over() {
            let elapsed = start.elapsed();
            let Some(left) = duration.checked_sub(elapsed).filter(|left| !left.is_zero()) else { break };
            self.bar
                .set_position(from + (STEP as f64 * elapsed.as_secs_f64() / duration.as_secs_f64()) as u64);
            std::thread::sleep(left.min(TICK));
        }
        self.bar.set_position(from + STEP);
    }

    /// A measurement that no time was set for has ended.
    pub(crate) fn step(&self) {
        self.bar.inc(STEP);
    }

    /// The volume is going to be filled with `bytes`.
    pub(crate) fn fill(&self, bytes: u64) {
        self.filling.set_length(bytes);
    }

    /// So many more of them are written.
    pub(crate) fn filled(&self, bytes: u64) {
        self.filling.inc(bytes);
        let (done, all) = (self.filling.position() >> 20, self.filling.length().unwrap_or(0) >> 20);
        self.bar.set_message(format!("filling the volume: {done} of {all} MiB"));
    }

    /// The run is over.
    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates above are valid")
}
