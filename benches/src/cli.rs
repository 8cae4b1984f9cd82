//! The command line of `peers`.

use std::{io, time::Duration};

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use thiserror::Error;

use crate::{
    contender::roster,
    machine,
    plan::{MATCHES, Opponent},
    report::{self, Finding},
    rig::Rig,
    scale::Scale,
    selection::{self, Fixture, Wishes},
    tournament, workload,
};

/// Runs the block cache beside its peers, in turns, and prints ratios
///
/// A ratio is the peer's time per operation over ours: 2 means that ours is twice as fast. It is formed within a
/// repetition, between neighbours in time; shown are the median, least and most of all repetitions. Times are
/// nanoseconds per operation per core. Everyone holds the same 64-byte blocks, with the same hash and allocator.
#[derive(Debug, Parser)]
#[command(name = "peers", version, max_term_width = 100, after_help = EXAMPLES)]
pub struct Arguments {
    /// Print one JSON object a line and row instead of tables (the machine's line goes to stderr)
    #[arg(long)]
    json: bool,

    /// Under three minutes: the same caches and keys, fewer operations, three repetitions
    #[arg(long)]
    quick: bool,

    /// Only these workloads and contenders, comma-separated; of a kind that none is named of, all
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    only: Vec<String>,

    /// Play the plan so many times [default: 7, with --quick 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    repetitions: Option<u16>,

    /// Seed of the key streams; each repetition draws new ones
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Let another contender take our place in every match, to see how peers stand to one another
    #[arg(long, value_name = "NAME")]
    ours: Option<String>,

    /// Show the workloads, the contenders and who meets whom, and run nothing
    #[arg(long)]
    list: bool,
}

const EXAMPLES: &str = "Examples:
  peers --quick                                 everything, in under three minutes
  peers --only pinned-uniform,quick_cache       one workload against one peer
  peers --only dram-guarded --repetitions 15    more repetitions for a closer look
  peers --json > figures.jsonl                  for a program to read

Run it on a machine that does nothing else; benches/README.md tells how to read the result.";

/// Why nothing was measured, or nothing shown.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The plan has nothing of what was asked for.
    #[error(transparent)]
    Selection(#[from] selection::Error),
    /// The instruments cannot be set up.
    #[error("cannot ask the kernel which processors this process may use: {0}")]
    Rig(#[from] io::Error),
    /// A row cannot be written.
    #[error("cannot write a row as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

impl Arguments {
    /// Does what was asked for.
    pub fn run(&self) -> Result<(), Error> {
        if self.list {
            list();
            return Ok(());
        }
        let fixtures = Wishes { only: self.only.clone(), ours: self.ours.clone() }.resolve()?;
        let rig = Rig::new()?;
        self.introduce(&rig);
        let findings = self.play(&fixtures, &rig);
        self.show(&findings)
    }

    fn scale(&self) -> Scale {
        let scale = if self.quick { Scale::QUICK } else { Scale::FULL };
        match self.repetitions.map(usize::from) {
            Some(repetitions) => {
                Scale { repetitions, growths: repetitions, far_repetitions: repetitions, ..scale }
            }
            None => scale,
        }
    }

    /// The machine goes on top of the tables, but not among the JSON lines.
    fn introduce(&self, rig: &Rig) {
        let machine = machine::description(&rig.processors);
        if self.json {
            eprintln!("{machine}")
        } else {
            println!("{machine}")
        }
        if let Some(warning) = machine::busy_warning() {
            eprintln!("warning: {warning}");
        }
    }

    fn play(&self, fixtures: &[Fixture], rig: &Rig) -> Vec<Finding> {
        let scale = self.scale();
        let bar = progress_bar(tournament::notes(fixtures, &scale));
        let rows = tournament::play(fixtures, &scale, self.seed, rig, |next| {
            bar.set_message(next.to_owned());
            bar.inc(1);
        });
        bar.finish_and_clear();
        rows.iter().map(Finding::of).collect()
    }

    fn show(&self, findings: &[Finding]) -> Result<(), Error> {
        if self.json {
            report::lines(findings)?.iter().for_each(|line| println!("{line}"));
            return Ok(());
        }
        println!("\n{}", report::ratio_table(findings));
        report::figures_tables(findings).iter().for_each(|table| println!("\n{table}"));
        let verdicts = || findings.iter().flat_map(|finding| &finding.verdicts);
        let met = verdicts().filter(|verdict| verdict.is_met).count();
        println!(
            "\n{met} of {} goals met; ratio = peer's ns / ours, > 1: ours is faster",
            verdicts().count()
        );
        Ok(())
    }
}

/// A bar on stderr while it is a terminal, and nothing otherwise. It is drawn between measurements only: a ticking
/// thread would take a core from one of them.
fn progress_bar(len: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {msg}");
    let bar = ProgressBar::new(len as u64).with_style(style.expect("the template is well-formed"));
    bar.disable_steady_tick();
    bar.with_elapsed(Duration::ZERO)
}

fn list() {
    println!("workloads:");
    for one in workload::ALL {
        println!("  {:16} {}", one.name, one.about);
    }
    println!("\ncontenders:");
    for one in roster() {
        println!("  {:16} {}", one.name, one.about);
    }
    println!("\nmatches:");
    for one in MATCHES {
        let opponents: Vec<String> =
            one.opponents.iter().map(|opponent| label(*opponent, one.ours)).collect();
        println!("  {} {:?}: {} against {}", one.workload, one.threads, one.ours, opponents.join(", "));
    }
}

fn label(opponent: Opponent, ours: &str) -> String {
    match opponent {
        Opponent::Named(name) => name.to_owned(),
        Opponent::OursWith(threads) => format!("{ours}@{threads}"),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn zero_repetitions_are_refused_by_name() {
        let told = Arguments::try_parse_from(["peers", "--repetitions", "0"]).unwrap_err().to_string();
        assert!(told.contains("--repetitions"), "{told}");
    }

    #[test]
    fn quick_takes_the_callers_repetitions() {
        let arguments = Arguments::parse_from(["peers", "--quick", "--repetitions", "5"]);
        assert_eq!(arguments.scale().repetitions, 5);
        assert_eq!(arguments.scale().lookups, Scale::QUICK.lookups);
    }
}
