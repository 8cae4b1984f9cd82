//! Which figures must come out: data, and how a row is held against it.
//!
//! Every goal is a ratio or a figure of one row of the plan. "At most 1.6 times the bare pair" is thus written as
//! a ratio of at least 1 / 1.6 against it, and "no slower than with one thread" as one against ourselves.

use crate::{
    plan::Opponent::{self, Named, OursWith},
    sample::Figure,
    spread::median,
    tournament::{Round, Row},
};

/// A figure that must come out in one workload against one opponent.
#[derive(Clone, Copy, Debug)]
pub struct Goal {
    /// The workload's name.
    pub workload: &'static str,
    /// The number of threads.
    pub threads: usize,
    /// In whose row it is shown.
    pub opponent: Opponent,
    /// What must hold.
    pub bound: Bound,
}

/// What must hold.
#[derive(Clone, Copy, Debug)]
pub enum Bound {
    /// The opponent's time over ours is at least this.
    Ratio(f64),
    /// Our figure is at least this.
    AtLeast(Figure, f64),
    /// Our figure is at most this.
    AtMost(Figure, f64),
    /// Our figure is at most so many times the opponent's.
    TimesTheirs(Figure, f64),
}

/// A goal, and whether a row reached it.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// What must hold, for people.
    pub text: String,
    /// The median of what was measured.
    pub measured: f64,
    /// Whether it does; of a figure that nobody measured, no.
    pub is_met: bool,
}

const QUICK: Opponent = Named("quick_cache");
const PAPAYA: Opponent = Named("papaya");
const PAPAYA_ARC: Opponent = Named("papaya-arc");

/// All of them.
pub const GOALS: &[Goal] = &[
    goal("pinned-uniform", 1, QUICK, Bound::Ratio(1.5)),
    goal("pinned-uniform", 2, QUICK, Bound::Ratio(3.0)),
    goal("pinned-uniform", 1, PAPAYA_ARC, Bound::Ratio(1.0)),
    goal("pinned-uniform", 2, PAPAYA_ARC, Bound::Ratio(2.0)),
    goal("pinned-zipf", 1, QUICK, Bound::Ratio(1.5)),
    goal("pinned-zipf", 2, QUICK, Bound::Ratio(3.0)),
    goal("pinned-zipf", 1, PAPAYA_ARC, Bound::Ratio(1.0)),
    goal("pinned-zipf", 2, PAPAYA_ARC, Bound::Ratio(2.0)),
    goal("pinned-hot", 2, Named("fetch-pair"), Bound::Ratio(1.0 / 1.6)),
    goal("guarded-uniform", 1, PAPAYA, Bound::Ratio(1.0)),
    goal("guarded-uniform", 2, PAPAYA, Bound::Ratio(1.0)),
    goal("guarded-zipf", 1, PAPAYA, Bound::Ratio(1.0)),
    goal("guarded-zipf", 2, PAPAYA, Bound::Ratio(1.0)),
    goal("guarded-hot", 2, QUICK, Bound::Ratio(8.0)),
    goal("guarded-hot", 2, OursWith(1), Bound::Ratio(1.0 / 1.15)),
    goal("guarded-hot", 8, OursWith(2), Bound::Ratio(0.95)),
    goal("guarded-hot", 8, OursWith(2), Bound::AtMost(Figure::P999Ns, 1000.0)),
    goal("dram-pinned", 1, QUICK, Bound::Ratio(2.0)),
    goal("dram-pinned", 2, QUICK, Bound::Ratio(2.0)),
    goal("dram-guarded", 1, QUICK, Bound::Ratio(2.0)),
    goal("dram-guarded", 2, QUICK, Bound::Ratio(2.0)),
    goal("dram-batch", 1, Named("ours-guarded"), Bound::Ratio(2.0)),
    goal("dram-batch", 2, Named("ours-guarded"), Bound::Ratio(2.0)),
    goal("pressure", 1, QUICK, Bound::Ratio(0.85)),
    goal("pressure", 1, QUICK, Bound::AtLeast(Figure::Hit, 0.70)),
    goal("pressure", 1, QUICK, Bound::AtMost(Figure::InsertP999Ns, 5000.0)),
    goal("pressure", 2, QUICK, Bound::Ratio(1.25)),
    goal("pressure", 2, QUICK, Bound::AtLeast(Figure::Hit, 0.70)),
    goal("pressure", 2, QUICK, Bound::AtMost(Figure::InsertP999Ns, 5000.0)),
    goal("scan", 1, QUICK, Bound::AtMost(Figure::ScanLostPoints, 0.5)),
    goal("scan", 1, QUICK, Bound::AtMost(Figure::VisitedPerFreed, 2.5)),
    goal("scan", 2, QUICK, Bound::AtMost(Figure::ScanLostPoints, 0.5)),
    goal("scan", 2, QUICK, Bound::AtMost(Figure::VisitedPerFreed, 2.5)),
    goal("growth", 1, Named("ours-presized"), Bound::TimesTheirs(Figure::InsertMaxUs, 1.5)),
];

const fn goal(workload: &'static str, threads: usize, opponent: Opponent, bound: Bound) -> Goal {
    Goal { workload, threads, opponent, bound }
}

/// How `row` stands against its goals.
pub fn verdicts(row: &Row) -> Vec<Verdict> {
    let is_for = |goal: &&Goal| {
        goal.workload == row.workload && goal.threads == row.threads && goal.opponent == row.opponent
    };
    GOALS.iter().filter(is_for).map(|goal| goal.bound.judge(&row.rounds)).collect()
}

impl Bound {
    fn judge(self, rounds: &[Round]) -> Verdict {
        let measured = median(rounds.iter().filter_map(|round| self.measure(round)));
        let is_met = match self {
            Self::Ratio(least) | Self::AtLeast(_, least) => measured >= least,
            Self::AtMost(_, most) | Self::TimesTheirs(_, most) => measured <= most,
        };
        Verdict { text: self.text(), measured, is_met }
    }

    /// What one repetition has to say about it.
    fn measure(self, round: &Round) -> Option<f64> {
        let ours = |figure| round.ours.figures.get(&figure).copied();
        match self {
            Self::Ratio(_) => Some(round.ratio()),
            Self::AtLeast(figure, _) | Self::AtMost(figure, _) => ours(figure),
            Self::TimesTheirs(figure, _) => Some(ours(figure)? / round.theirs.figures.get(&figure)?),
        }
    }

    fn text(self) -> String {
        match self {
            Self::Ratio(least) => format!("ratio ≥ {}", trim(least)),
            Self::AtLeast(figure, least) => format!("{} ≥ {}", figure.label(), trim(least)),
            Self::AtMost(figure, most) => format!("{} ≤ {}", figure.label(), trim(most)),
            Self::TimesTheirs(figure, most) => format!("{} ≤ {} × theirs", figure.label(), trim(most)),
        }
    }
}

/// Three digits, and no more zeros than needed.
fn trim(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{plan::MATCHES, sample::Sample};

    #[test]
    fn every_goal_has_its_row_in_the_plan() {
        for goal in GOALS {
            let is_planned = MATCHES.iter().any(|one| {
                one.workload == goal.workload
                    && one.threads.contains(&goal.threads)
                    && one.opponents.contains(&goal.opponent)
            });
            assert!(is_planned, "{goal:?}");
        }
    }

    fn round(ours_ns: f64, theirs_ns: f64, ours_max: f64, theirs_max: f64) -> Round {
        let sample = |ns, max| Sample::new(ns, 0.71).with([(Figure::InsertMaxUs, max)]);
        Round { ours: sample(ours_ns, ours_max), theirs: sample(theirs_ns, theirs_max) }
    }

    #[test]
    fn a_bound_is_held_against_the_median_repetition() {
        let rounds = [round(10.0, 20.0, 3.0, 1.0), round(10.0, 14.0, 1.0, 1.0), round(10.0, 16.0, 1.4, 1.0)];
        assert!(Bound::Ratio(1.6).judge(&rounds).is_met);
        assert!(!Bound::Ratio(1.7).judge(&rounds).is_met);
        assert!(Bound::TimesTheirs(Figure::InsertMaxUs, 1.5).judge(&rounds).is_met);
        assert!(!Bound::AtMost(Figure::InsertMaxUs, 1.3).judge(&rounds).is_met);
        assert!(Bound::AtLeast(Figure::Hit, 0.70).judge(&rounds).is_met);
    }

    #[test]
    fn a_figure_that_nobody_measured_meets_no_goal() {
        let rounds = [round(1.0, 1.0, 1.0, 1.0)];
        assert!(!Bound::AtMost(Figure::VisitedPerFreed, 2.5).judge(&rounds).is_met);
        assert!(!Bound::AtLeast(Figure::HitAfter, 0.0).judge(&rounds).is_met);
    }
}
