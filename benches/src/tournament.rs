//! The interleaved run.
//!
//! A repetition plays the whole plan once. In a bout, ours and its rivals take turns: ours, one rival, ours, the
//! next rival, ours again. Each rival is held against the mean of the two turns of ours beside it, so a machine
//! that slows down or speeds up over some seconds shifts both sides of the ratio.

use std::{thread, time::Duration};

use crate::{
    contender::{Entrant, Prepared},
    plan::Opponent,
    rig::Rig,
    sample::Sample,
    scale::Scale,
    selection::{Bout, Fixture},
    workload::{Content, Setup, Workload},
};

/// One line of the result: two sides, over all repetitions.
#[derive(Clone, Debug)]
pub struct Row {
    /// The workload's name.
    pub workload: &'static str,
    /// How many threads ours had.
    pub threads: usize,
    /// Our side.
    pub ours: &'static str,
    /// The other side, as the reader sees it.
    pub peer: String,
    /// The other side, as the plan calls it.
    pub opponent: Opponent,
    /// One for each repetition.
    pub rounds: Vec<Round>,
}

/// Two sides, measured beside one another.
#[derive(Clone, Debug)]
pub struct Round {
    /// Ours: the mean of the turns before and after.
    pub ours: Sample,
    /// The other side.
    pub theirs: Sample,
}

impl Round {
    /// Their time over ours: above 1, ours is faster.
    pub fn ratio(&self) -> f64 {
        self.theirs.ns / self.ours.ns
    }
}

/// Plays all fixtures as often as `scale` says. `note` is told what comes next, before each rival's turn.
///
/// A workload that uses its caches up gets a new one for every turn, after a pause. What the turn before gave back goes on to
/// the host of a virtual machine some seconds later: the kernel keeps others from running for that, and whoever touches
/// the memory again waits for the host. After the pause every turn finds the machine in the same state.
pub fn play(
    fixtures: &[Fixture],
    scale: &Scale,
    seed: u64,
    rig: &Rig,
    mut note: impl FnMut(&str),
) -> Vec<Row> {
    let mut rows: Vec<Row> = fixtures.iter().flat_map(rows_of).collect();
    for repetition in 0..scale.repetitions as u64 {
        let mut stage = Stage { settling: scale.settling, setup: None, built: Vec::new() };
        let mut rounds = rows.iter_mut().map(|row| &mut row.rounds);
        for fixture in fixtures {
            if repetition >= repetitions_of(fixture, scale) as u64 {
                rounds.by_ref().take(rows_of(fixture).count()).for_each(drop);
                continue;
            }
            let workload = (fixture.workload.load)(scale, seed.wrapping_add(repetition));
            stage.enter(&workload, fixture);
            for bout in &fixture.bouts {
                let noted =
                    |rival: &str| note(&format!("{} ×{} {rival}", fixture.workload.name, bout.threads));
                let played = play_bout(bout, &mut stage, &workload, rig, noted);
                played.into_iter().zip(&mut rounds).for_each(|(round, rounds)| rounds.push(round));
            }
        }
    }
    rows
}

/// How often [`play`] notes something.
pub fn notes(fixtures: &[Fixture], scale: &Scale) -> usize {
    fixtures.iter().map(|fixture| rows_of(fixture).count() * repetitions_of(fixture, scale)).sum()
}

fn repetitions_of(fixture: &Fixture, scale: &Scale) -> usize {
    let most = match fixture.workload.name {
        "growth" => scale.growths,
        name if name.starts_with("dram") => scale.far_repetitions,
        _ => scale.repetitions,
    };
    most.min(scale.repetitions)
}

/// Its rows, in the order they are played, without rounds.
fn rows_of(fixture: &Fixture) -> impl Iterator<Item = Row> {
    let workload = fixture.workload.name;
    fixture.bouts.iter().flat_map(move |bout| {
        bout.rivals.iter().map(move |rival| Row {
            workload,
            threads: bout.threads,
            ours: bout.ours.name,
            peer: rival.label.clone(),
            opponent: rival.opponent,
            rounds: Vec::new(),
        })
    })
}

fn play_bout(
    bout: &Bout,
    stage: &mut Stage,
    workload: &Workload,
    rig: &Rig,
    mut note: impl FnMut(&str),
) -> Vec<Round> {
    let mut before = None;
    let mut rounds = Vec::with_capacity(bout.rivals.len());
    for rival in &bout.rivals {
        note(&rival.label);
        let first = before.take().unwrap_or_else(|| stage.measure(&bout.ours, workload, rig, bout.threads));
        let theirs = stage.measure(&rival.entrant, workload, rig, rival.threads);
        let second = stage.measure(&bout.ours, workload, rig, bout.threads);
        rounds.push(Round { ours: first.mean(&second), theirs });
        before = Some(second);
    }
    rounds
}

/// The caches that are built at the moment.
struct Stage {
    /// See [`Scale::settling`].
    settling: Duration,
    setup: Option<Setup>,
    built: Vec<(&'static str, Box<dyn Prepared>)>,
}

impl Stage {
    /// Makes ready for a workload: drops what it cannot use, then builds what it lacks, so that no cache is built
    /// or torn down between two turns.
    fn enter(&mut self, workload: &Workload, fixture: &Fixture) {
        let setup = workload.setup();
        if self.setup.replace(setup) != Some(setup) {
            self.built.clear();
        }
        let entrants = || fixture.bouts.iter().flat_map(Bout::entrants);
        self.built.retain(|(name, _)| entrants().any(|entrant| entrant.name == *name));
        if setup.content != Content::Nothing {
            entrants().for_each(|entrant| self.build(&entrant, workload));
        }
    }

    fn build(&mut self, entrant: &Entrant, workload: &Workload) {
        if !self.built.iter().any(|(name, _)| *name == entrant.name) {
            self.built.push((entrant.name, entrant.prepare(workload)));
        }
    }

    fn measure(&self, entrant: &Entrant, workload: &Workload, rig: &Rig, threads: usize) -> Sample {
        match self.built.iter().find(|(name, _)| *name == entrant.name) {
            Some((_, cache)) => cache.measure(workload, rig, threads),
            None => {
                thread::sleep(self.settling);
                entrant.prepare(workload).measure(workload, rig, threads)
            }
        }
    }
}

impl Bout {
    fn entrants(&self) -> impl Iterator<Item = Entrant> {
        self.rivals.iter().map(|rival| rival.entrant).chain([self.ours])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::selection::Wishes;

    const TINY: Scale = Scale {
        repetitions: 2,
        growths: 1,
        settling: Duration::ZERO,
        far_repetitions: 2,
        lookups: 1 << 10,
        fast_lookups: 1 << 10,
        far_lookups: 1 << 10,
        demands: 128 << 10,
        warming_demands: 128 << 10,
        phase_demands: 1 << 10,
    };

    fn played(only: &[&str], ours: &str) -> (Vec<Row>, usize, usize) {
        let only = only.iter().map(|&name| name.to_owned()).collect();
        let fixtures = Wishes { only, ours: Some(ours.to_owned()) }.resolve().unwrap();
        let mut noted = 0;
        let rows = play(&fixtures, &TINY, 1, &Rig::new().unwrap(), |_| noted += 1);
        (rows, noted, notes(&fixtures, &TINY))
    }

    #[test]
    fn every_row_has_a_round_for_each_repetition_and_is_noted() {
        let (rows, noted, expected) = played(&["pinned-uniform", "pinned-hot"], "papaya");
        assert!(rows.iter().all(|row| row.rounds.len() == 2));
        assert_eq!(noted, expected);
        assert_eq!(noted, 2 * rows.len());
    }

    #[test]
    fn a_resident_set_is_hit_by_everyone() {
        use crate::sample::Figure;
        let (rows, ..) = played(&["pinned-uniform"], "papaya-arc");
        for row in rows {
            for round in &row.rounds {
                assert_eq!(round.ours.figures[&Figure::Hit], 1.0);
                assert!(round.theirs.figures[&Figure::Hit] > 0.999, "{}: {:?}", row.peer, round.theirs);
            }
        }
    }

    #[test]
    fn pressure_leaves_misses_and_times_their_inserts() {
        use crate::sample::Figure;
        let (rows, ..) = played(&["pressure", "foyer"], "quick_cache");
        for round in rows.iter().flat_map(|row| &row.rounds) {
            let hit = round.ours.figures[&Figure::Hit];
            assert!((0.4..0.95).contains(&hit), "{hit}");
            assert!(round.ours.figures[&Figure::InsertP50Ns] > 0.0);
        }
    }
}
