//! Running models side by side within one budget of time.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::build::Model;
use super::{Tool, logs};
use crate::process::{Ending, announce, within};

/// How one model ended.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) model: Model,
    pub(super) ending: Ending,
    pub(super) took: Duration,
    /// It passed because its time was up, not because nothing was left to explore.
    pub(super) bounded: bool,
}

impl Outcome {
    pub(super) fn verdict(&self) -> &'static str {
        match self.ending {
            Ending::Passed if self.bounded => "passed, bounded by time",
            Ending::Passed => "passed",
            Ending::Failed => "FAILED",
            Ending::Stopped => "DID NOT FINISH",
        }
    }
}

/// Runs every model, `jobs` at a time, and returns the outcomes in the order given.
pub(super) fn all(tool: &Tool, models: Vec<Model>, jobs: usize, budget: Duration) -> Result<Vec<Outcome>> {
    let queue = Mutex::new(Queue { jobs, deadline: Instant::now() + budget, waiting: models.len(), next: 0 });
    let outcomes = Mutex::new(Vec::new());
    thread::scope(|scope| {
        let worker = || -> Result<()> {
            loop {
                let Some((index, share)) = queue.lock().expect("no worker panics").take() else {
                    return Ok(());
                };
                let outcome = one(tool, &models[index], share)?;
                if outcome.ending == Ending::Failed {
                    show_failure(tool, &outcome.model, share)?;
                }
                eprintln!(
                    "{:>8.1} s  {}  {}",
                    outcome.took.as_secs_f64(),
                    outcome.verdict(),
                    outcome.model.path
                );
                outcomes.lock().expect("no worker panics").push((index, outcome));
            }
        };
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("no worker panics"))
    })?;
    let mut outcomes = outcomes.into_inner().expect("no worker panics");
    outcomes.sort_by_key(|(index, _)| *index);
    Ok(outcomes.into_iter().map(|(_, outcome)| outcome).collect())
}

/// Runs one model that may take `share`.
pub(super) fn one(tool: &Tool, model: &Model, share: Duration) -> Result<Outcome> {
    let log = log(tool, model);
    let start = Instant::now();
    let ending = within(&mut command(tool, model, share), share + tool.grace, &log)?;
    let took = start.elapsed();
    Ok(Outcome { model: model.clone(), ending, took, bounded: took >= share })
}

fn command(tool: &Tool, model: &Model, share: Duration) -> Command {
    let mut command = Command::new(&model.program);
    command.args(["--exact", &model.path, "--nocapture"]).envs((tool.environment)(share));
    command
}

fn show_failure(tool: &Tool, model: &Model, share: Duration) -> Result<()> {
    let log = log(tool, model);
    eprintln!("{}\n(all of it: {}; to run it again:)", gist(&fs::read_to_string(&log)?, 12), log.display());
    announce(&command(tool, model, share));
    Ok(())
}

fn log(tool: &Tool, model: &Model) -> PathBuf {
    logs(tool).join(format!("{}-{}.log", model.folder, model.path.replace("::", "-")))
}

/// The first panic and what follows it; without one, the end.
fn gist(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let end = lines.len().saturating_sub(count);
    let start = lines.iter().position(|line| line.contains("panicked at")).unwrap_or(end);
    lines.iter().skip(start).take(count).copied().collect::<Vec<_>>().join("\n")
}

/// The models not yet started, and the time left for them.
#[derive(Debug)]
struct Queue {
    jobs: usize,
    deadline: Instant,
    waiting: usize,
    next: usize,
}

impl Queue {
    /// The next model and its share of what is left.
    fn take(&mut self) -> Option<(usize, Duration)> {
        if self.waiting == 0 {
            return None;
        }
        let left = self.deadline.saturating_duration_since(Instant::now());
        let share = share(left, self.jobs, self.waiting);
        let index = self.next;
        self.next += 1;
        self.waiting -= 1;
        Some((index, share))
    }
}

/// An even share of `left` for each of `waiting` models on `jobs` workers; late models still get a second.
fn share(left: Duration, jobs: usize, waiting: usize) -> Duration {
    let rounds = waiting.div_ceil(jobs).max(1);
    (left / u32::try_from(rounds).unwrap_or(u32::MAX)).max(Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_shared_evenly_among_the_rounds_still_to_run() {
        let minute = Duration::from_secs(60);
        assert_eq!(share(minute, 2, 8), minute / 4);
        assert_eq!(share(minute, 2, 7), minute / 4);
        assert_eq!(share(minute, 2, 1), minute);
        assert_eq!(share(Duration::ZERO, 2, 3), Duration::from_secs(1));
    }

    #[test]
    fn each_model_is_taken_once() {
        let mut queue = Queue { jobs: 2, deadline: Instant::now(), waiting: 3, next: 0 };
        let taken: Vec<usize> = std::iter::from_fn(|| queue.take().map(|(index, _)| index)).collect();
        assert_eq!(taken, [0, 1, 2]);
    }

    #[test]
    fn the_gist_of_a_log_is_its_first_panic_or_its_end() {
        assert_eq!(gist("a\nthread panicked at x:1\nwhy\nb\nc", 2), "thread panicked at x:1\nwhy");
        assert_eq!(gist("a\nb\nc", 2), "b\nc");
        assert_eq!(gist("a", 2), "a");
    }
}
