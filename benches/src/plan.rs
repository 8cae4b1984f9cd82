//! Who meets whom, in what: data.
//!
//! The order matters only for speed: workloads that follow one another and want their caches alike share them.

/// One of our contenders against its opponents in one workload.
#[derive(Clone, Copy, Debug)]
pub struct Match {
    /// The workload's name.
    pub workload: &'static str,
    /// With how many threads: one bout each.
    pub threads: &'static [usize],
    /// Our contender: the numerator of throughput, the denominator of time.
    pub ours: &'static str,
    /// Whom it meets.
    pub opponents: &'static [Opponent],
}

/// The other side of a ratio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opponent {
    /// Another contender, with as many threads.
    Named(&'static str),
    /// Ourselves, with this many threads.
    OursWith(usize),
}

use Opponent::{Named, OursWith};

const EVERYONE: &[Opponent] = &[
    Named("quick_cache"),
    Named("moka"),
    Named("foyer"),
    Named("tinyufo"),
    Named("papaya"),
    Named("papaya-arc"),
    Named("dashmap"),
    Named("scc"),
];

const EVERYONE_AND_FLOOR: &[Opponent] = &[
    Named("fetch-pair"),
    Named("quick_cache"),
    Named("moka"),
    Named("foyer"),
    Named("tinyufo"),
    Named("papaya"),
    Named("papaya-arc"),
    Named("dashmap"),
    Named("scc"),
];

const BOUNDED: &[Opponent] = &[Named("quick_cache"), Named("moka"), Named("foyer"), Named("tinyufo")];

/// The whole plan.
pub const MATCHES: &[Match] = &[
    Match { workload: "pinned-uniform", threads: &[1, 2, 8], ours: "ours-pinned", opponents: EVERYONE },
    Match { workload: "pinned-zipf", threads: &[1, 2, 8], ours: "ours-pinned", opponents: EVERYONE },
    Match { workload: "pinned-hot", threads: &[1, 2, 8], ours: "ours-pinned", opponents: EVERYONE_AND_FLOOR },
    Match {
        workload: "guarded-uniform",
        threads: &[1, 2, 8],
        ours: "ours-guarded",
        opponents: &[Named("papaya")],
    },
    Match {
        workload: "guarded-zipf",
        threads: &[1, 2, 8],
        ours: "ours-guarded",
        opponents: &[Named("papaya")],
    },
    Match {
        workload: "guarded-hot",
        threads: &[1],
        ours: "ours-guarded",
        opponents: &[Named("papaya"), Named("quick_cache")],
    },
    Match {
        workload: "guarded-hot",
        threads: &[2],
        ours: "ours-guarded",
        opponents: &[OursWith(1), Named("papaya"), Named("quick_cache")],
    },
    Match {
        workload: "guarded-hot",
        threads: &[8],
        ours: "ours-guarded",
        opponents: &[OursWith(2), Named("papaya"), Named("quick_cache")],
    },
    Match {
        workload: "dram-pinned",
        threads: &[1, 2],
        ours: "ours-pinned",
        opponents: &[Named("quick_cache"), Named("dashmap"), Named("papaya-arc")],
    },
    Match {
        workload: "dram-guarded",
        threads: &[1, 2],
        ours: "ours-guarded",
        opponents: &[Named("quick_cache"), Named("papaya")],
    },
    Match {
        workload: "dram-batch",
        threads: &[1, 2],
        ours: "ours-batch8",
        opponents: &[Named("ours-guarded")],
    },
    Match {
        workload: "dram-batch",
        threads: &[1, 2],
        ours: "ours-batch16",
        opponents: &[Named("ours-guarded")],
    },
    Match {
        workload: "dram-batch",
        threads: &[1, 2],
        ours: "ours-batch32",
        opponents: &[Named("ours-guarded")],
    },
    Match {
        workload: "dram-batch",
        threads: &[1, 2],
        ours: "ours-batch64",
        opponents: &[Named("ours-guarded")],
    },
    Match {
        workload: "dram-batch",
        threads: &[1, 2],
        ours: "ours-step8",
        opponents: &[Named("ours-guarded")],
    },
    Match {
        workload: "dram-batch",
        threads: &[1, 2],
        ours: "ours-step16",
        opponents: &[Named("ours-guarded")],
    },
    Match { workload: "pressure", threads: &[1, 2], ours: "ours-pinned", opponents: BOUNDED },
    Match { workload: "scan", threads: &[1, 2], ours: "ours-pinned", opponents: BOUNDED },
    Match {
        workload: "growth",
        threads: &[1],
        ours: "ours-grown",
        opponents: &[Named("ours-presized"), Named("dashmap"), Named("papaya-arc"), Named("quick_cache")],
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{contender::roster, workload};

    #[test]
    fn every_workload_is_planned_and_every_planned_one_exists() {
        for one in MATCHES {
            assert!(workload::ALL.iter().any(|known| known.name == one.workload), "{}", one.workload);
        }
        for known in workload::ALL {
            assert!(MATCHES.iter().any(|one| one.workload == known.name), "{}", known.name);
        }
    }

    #[test]
    fn matches_of_one_workload_follow_one_another() {
        let mut names: Vec<&str> = MATCHES.iter().map(|one| one.workload).collect();
        names.dedup();
        assert_eq!(names.len(), workload::ALL.len());
    }

    #[test]
    fn every_peer_of_the_roster_meets_us_and_every_peer_in_the_plan_is_on_the_roster() {
        let planned: Vec<&str> = MATCHES.iter().flat_map(|one| one.opponents).filter_map(named).collect();
        let roster = roster();
        for name in planned.iter().filter(|name| !name.starts_with("ours-")) {
            assert!(roster.iter().any(|entrant| entrant.name == *name), "{name} is not on the roster");
        }
        for entrant in roster.iter().filter(|entrant| !entrant.name.starts_with("ours-")) {
            assert!(planned.contains(&entrant.name), "nobody meets {}", entrant.name);
        }
    }

    fn named(opponent: &Opponent) -> Option<&'static str> {
        match *opponent {
            Named(name) => Some(name),
            OursWith(_) => None,
        }
    }
}
