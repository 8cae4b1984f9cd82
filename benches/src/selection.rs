//! What of the plan the caller wants to see, resolved to contenders and workloads that exist.

use thiserror::Error;

use crate::{
    contender::{Entrant, roster},
    plan::{MATCHES, Match, Opponent},
    workload::{self, Described},
};

/// What the caller asked for.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// Names of workloads and contenders; of a kind that none is named of, all.
    pub only: Vec<String>,
    /// A contender that takes our place in every match.
    pub ours: Option<String>,
}

/// A workload and all its bouts.
#[derive(Clone, Debug)]
pub struct Fixture {
    /// What is done.
    pub workload: Described,
    /// By whom.
    pub bouts: Vec<Bout>,
}

/// One of ours against some opponents, all with the same number of threads.
#[derive(Clone, Debug)]
pub struct Bout {
    /// How many threads.
    pub threads: usize,
    /// Our side.
    pub ours: Entrant,
    /// The others, in the order of the plan.
    pub rivals: Vec<Rival>,
}

/// The other side of one row.
#[derive(Clone, Debug)]
pub struct Rival {
    /// As the plan calls it.
    pub opponent: Opponent,
    /// As the reader sees it.
    pub label: String,
    /// Who it is.
    pub entrant: Entrant,
    /// With how many threads.
    pub threads: usize,
}

/// Nothing can be run as asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// A name that is neither a workload nor a contender.
    #[error("{flag} names `{name}`, which is neither a workload nor a contender; --list shows all names")]
    Unknown {
        /// The flag it was given to.
        flag: &'static str,
        /// The name.
        name: String,
    },
    /// The plan wants a contender that this build does not have.
    #[error(
        "this build has no contender `{name}`; --ours NAME lets another take its place, --list shows all names"
    )]
    Absent {
        /// The contender.
        name: &'static str,
    },
    /// Names that exist, but never meet.
    #[error("no match of the plan has all that --only asks for; --list shows who meets whom")]
    Empty,
}

impl Wishes {
    /// The part of the plan that they leave.
    pub fn resolve(&self) -> Result<Vec<Fixture>, Error> {
        let roster = roster();
        self.check_names(&roster)?;
        let mut fixtures: Vec<Fixture> = Vec::new();
        for one in MATCHES.iter().filter(|one| self.wants_workload(one.workload)) {
            let bouts = self.bouts(one, &roster)?;
            match fixtures.last_mut() {
                _ if bouts.is_empty() => {}
                Some(last) if last.workload.name == one.workload => last.bouts.extend(bouts),
                _ => fixtures.push(Fixture { workload: described(one.workload), bouts }),
            }
        }
        if fixtures.is_empty() { Err(Error::Empty) } else { Ok(fixtures) }
    }

    fn check_names(&self, roster: &[Entrant]) -> Result<(), Error> {
        let is_contender = |name: &str| roster.iter().any(|entrant| entrant.name == name);
        let is_known = |name: &&String| is_contender(name) || is_workload(name);
        if let Some(name) = self.only.iter().find(|name| !is_known(name)) {
            return Err(Error::Unknown { flag: "--only", name: name.clone() });
        }
        match &self.ours {
            Some(name) if !is_contender(name) => Err(Error::Unknown { flag: "--ours", name: name.clone() }),
            _ => Ok(()),
        }
    }

    fn wants_workload(&self, name: &str) -> bool {
        let mut named = self.only.iter().filter(|name| is_workload(name)).peekable();
        named.peek().is_none() || named.any(|wanted| wanted == name)
    }

    /// Whether a row with these two sides is wanted.
    fn wants_row(&self, ours: &str, theirs: &str) -> bool {
        let mut named = self.only.iter().filter(|name| !is_workload(name)).peekable();
        named.peek().is_none() || named.any(|wanted| wanted == ours || wanted == theirs)
    }

    fn bouts(&self, one: &Match, roster: &[Entrant]) -> Result<Vec<Bout>, Error> {
        let is_wanted = |opponent: &&Opponent| match **opponent {
            Opponent::OursWith(_) => self.wants_row(self.ours_of(one), self.ours_of(one)),
            Opponent::Named(name) => !self.is_displaced(name) && self.wants_row(self.ours_of(one), name),
        };
        let opponents: Vec<Opponent> = one.opponents.iter().filter(is_wanted).copied().collect();
        if opponents.is_empty() {
            return Ok(Vec::new());
        }
        let find = |name: &str| roster.iter().find(|entrant| entrant.name == name).copied();
        let ours = find(self.ours_of(one)).ok_or(Error::Absent { name: one.ours })?;
        let rival = |opponent, threads| match opponent {
            Opponent::OursWith(other) => Ok(Rival::ourselves(ours, other)),
            Opponent::Named(name) => {
                Ok(Rival::other(find(name).ok_or(Error::Absent { name })?, name, threads))
            }
        };
        let bout = |&threads: &usize| {
            let rivals: Result<_, Error> =
                opponents.iter().map(|&opponent| rival(opponent, threads)).collect();
            Ok(Bout { threads, ours, rivals: rivals? })
        };
        one.threads.iter().map(bout).collect()
    }

    fn ours_of<'a>(&'a self, one: &Match) -> &'a str {
        self.ours.as_deref().unwrap_or(one.ours)
    }

    /// Whether `--ours` leaves no place for this opponent: none of our own take part then, nor does the stand-in
    /// meet itself.
    fn is_displaced(&self, name: &str) -> bool {
        self.ours.as_deref().is_some_and(|ours| name == ours || name.starts_with("ours-"))
    }
}

impl Rival {
    fn ourselves(entrant: Entrant, threads: usize) -> Self {
        let label = format!("{}@{threads}", entrant.name);
        Self { opponent: Opponent::OursWith(threads), label, entrant, threads }
    }

    fn other(entrant: Entrant, name: &'static str, threads: usize) -> Self {
        Self { opponent: Opponent::Named(name), label: name.to_owned(), entrant, threads }
    }
}

fn is_workload(name: &str) -> bool {
    workload::ALL.iter().any(|known| known.name == name)
}

fn described(name: &str) -> Described {
    let known = workload::ALL.iter().find(|known| known.name == name);
    *known.expect("the plan's tests see to it that every workload in it exists")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wishes(only: &[&str], ours: &str) -> Wishes {
        Wishes { only: only.iter().map(|&name| name.to_owned()).collect(), ours: Some(ours.to_owned()) }
    }

    fn labels(fixtures: &[Fixture]) -> Vec<&str> {
        let bouts = fixtures.iter().flat_map(|fixture| &fixture.bouts);
        bouts.flat_map(|bout| &bout.rivals).map(|rival| rival.label.as_str()).collect()
    }

    #[test]
    fn a_workload_and_a_peer_leave_only_their_rows() {
        let fixtures = wishes(&["pinned-zipf", "scc"], "dashmap").resolve().unwrap();
        assert_eq!(fixtures.len(), 1);
        assert_eq!(labels(&fixtures), ["scc"; 3]);
    }

    #[test]
    fn a_stand_in_does_not_meet_itself_nor_ours() {
        let fixtures = wishes(&["dram-pinned", "growth"], "dashmap").resolve().unwrap();
        let bout = &fixtures[0].bouts[0];
        assert_eq!((bout.ours.name, bout.threads), ("dashmap", 1));
        assert!(!labels(&fixtures).iter().any(|label| *label == "dashmap" || label.starts_with("ours-")));
    }

    #[test]
    fn ourselves_with_other_threads_is_a_rival_too() {
        let fixtures = wishes(&["guarded-hot", "papaya"], "papaya").resolve().unwrap();
        assert!(labels(&fixtures).contains(&"papaya@1"), "{:?}", labels(&fixtures));
    }

    #[test]
    fn an_unknown_name_is_told_with_its_flag() {
        let told = wishes(&["pinned-zpif"], "dashmap").resolve().unwrap_err().to_string();
        assert!(told.contains("--only") && told.contains("pinned-zpif"), "{told}");
        let told = wishes(&[], "nobody").resolve().unwrap_err().to_string();
        assert!(told.contains("--ours") && told.contains("nobody"), "{told}");
    }

    #[test]
    fn names_that_never_meet_are_an_error() {
        assert!(matches!(wishes(&["growth", "scc"], "dashmap").resolve(), Err(Error::Empty)));
    }
}
