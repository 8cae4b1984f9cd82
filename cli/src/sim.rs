//! `tidelock sim`: a cluster's locks in a simulated world.
//!
//! Everything that is simulated is in the crate `sim`; here it is asked for and shown.

use std::io::IsTerminal;
use std::num::NonZero;
use std::process::ExitCode;
use std::time::Instant;

use comfy_table::{Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use tidelock_sim::{Counts, Fault, Fleet, Report, Settings, Summary, Tally, run as run_seed, shrink};

use crate::args::{Sim, SimArgs, SimReplayArgs, SimRunArgs, SimShrinkArgs};
use crate::error::{CliError, FAILED};

pub(crate) fn run(sim: &Sim) -> Result<ExitCode, CliError> {
    let holds = match sim {
        Sim::Run(args) => run_many(args),
        Sim::Replay(args) => replay(args),
        Sim::Shrink(args) => make_small(args),
    };
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

fn settings(args: &SimArgs) -> Settings {
    let mut settings = Settings::default();
    settings.faults = args.faults;
    settings.is_swarm = !args.every_fault;
    settings.canary = args.canary;
    settings.only = args.only;
    settings.clients = args.clients.map(usize::from);
    settings.users = args.users.map(usize::from);
    settings.locks = args.locks.map(usize::from);
    settings.servers = args.servers.map(usize::from);
    settings.chaos = args.chaos;
    settings.without = args.without.iter().copied().collect();
    settings
}

// --- many seeds ----------------------------------------------------------------------------------------------------------

fn run_many(args: &SimRunArgs) -> bool {
    let settings = settings(&args.sim);
    let mut fleet = Fleet::new(args.start, args.seeds, settings.clone());
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    fleet.jobs = args.jobs.map_or(processors, |jobs| jobs.get().into());
    fleet.goes_on = args.keep_going;
    let bar = progress_bar(args.seeds, args.json);
    let began = Instant::now();
    let summary = fleet.run(|report| {
        bar.inc(1);
        if let Some(violation) = &report.violation {
            bar.suspend(|| eprintln!("seed {}: {violation}", report.seed));
        }
    });
    bar.finish_and_clear();
    let seconds = began.elapsed().as_secs_f64();
    if args.json {
        println!("{}", summary_json(&summary, &settings, seconds));
    } else {
        print_summary(&summary, &settings, seconds);
    }
    summary.failed.is_empty()
}

/// Hidden where standard error is no terminal.
fn progress_bar(seeds: u64, is_json: bool) -> ProgressBar {
    if is_json || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:32} {pos}/{len} seeds  {per_sec}  {eta} left");
    ProgressBar::new(seeds).with_style(style.expect("a template that is tried by hand"))
}

fn print_summary(summary: &Summary, settings: &Settings, seconds: f64) {
    let Summary { seeds, counts, time, recovery, settling, .. } = summary;
    println!(
        "{seeds} seeds in {seconds:.1} s, {:.0} a second: {} simulated hours, {} steps, {} frames",
        *seeds as f64 / seconds,
        time.as_secs() / 3600,
        counts.steps,
        counts.frames
    );
    println!(
        "{} locks asked for, {} granted; {} reads, {} of them cached; {} writes, {} refused, {} of unknown outcome",
        counts.operations,
        counts.granted,
        counts.reads,
        counts.reads_cached,
        counts.writes,
        counts.writes_refused,
        counts.writes_unknown
    );
    println!(
        "longest without grants {:.1} s (seed {}), longest until everybody was answered {:.1} s (seed {})",
        recovery.0.as_secs_f64(),
        recovery.1,
        settling.0.as_secs_f64(),
        settling.1
    );
    println!("{}", fault_table(&summary.faults));
    if summary.failed.is_empty() {
        println!("everything held");
    }
    for report in &summary.failed {
        print_violation(report, settings);
    }
}

fn fault_table(faults: &Tally) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    for row in Fault::ALL.chunks(4) {
        table.add_row(row.iter().flat_map(|fault| [fault.name().to_owned(), faults.of(*fault).to_string()]));
    }
    table
}

fn print_violation(report: &Report, settings: &Settings) {
    let Some(violation) = &report.violation else { return };
    let flags = settings.flags();
    println!("seed {}: {violation}", report.seed);
    println!("  replay: tidelock sim replay {}{flags} --log", report.seed);
    println!("  shrink: tidelock sim shrink {}{flags}", report.seed);
}

// --- one seed ------------------------------------------------------------------------------------------------------------

fn replay(args: &SimReplayArgs) -> bool {
    let mut settings = settings(&args.sim);
    settings.keeps_log = args.log;
    let report = run_seed(args.seed, &settings);
    print!("{}", report.log.as_deref().unwrap_or_default());
    if args.json {
        println!("{}", report_json(&report, &settings));
    } else {
        print_report(&report);
    }
    report.violation.is_none()
}

fn print_report(report: &Report) {
    let Report { seed, counts, time, digest, .. } = report;
    println!(
        "seed {seed}: {:.1} s, {} steps, {} faults, digest {digest:016x}",
        time.as_secs_f64(),
        counts.steps,
        report.faults.total()
    );
    match &report.violation {
        None => println!("everything held"),
        Some(violation) => println!("{violation}"),
    }
}

fn make_small(args: &SimShrinkArgs) -> bool {
    let settings = settings(&args.sim);
    let is_shown = !args.json && std::io::stderr().is_terminal();
    let told = |runs: u64, report: &Report| {
        if is_shown {
            eprintln!("run {runs}: {} events, {} faults", report.counts.steps, report.planned.len());
        }
    };
    let Some(shrunk) = shrink(args.seed, &settings, &told) else {
        println!("{}", if args.json { "null" } else { "everything held: there is nothing to make smaller" });
        return true;
    };
    if args.json {
        println!("{}", report_json(&shrunk.report, &shrunk.settings));
        return false;
    }
    println!("after {} runs:", shrunk.runs);
    print_report(&shrunk.report);
    println!("replay: {} --log", shrunk.report.command(&shrunk.settings));
    false
}

// --- for programs --------------------------------------------------------------------------------------------------------

fn report_json(report: &Report, settings: &Settings) -> Value {
    json!({
        "seed": report.seed,
        "violation": report.violation.as_ref().map(|violation| json!({
            "property": violation.property.id(),
            "name": violation.property.name(),
            "what": violation.what,
            "at_seconds": violation.at.as_secs_f64(),
        })),
        "command": report.command(settings),
        "digest": format!("{:016x}", report.digest),
        "simulated_seconds": report.time.as_secs_f64(),
        "longest_recovery_seconds": report.recovery.as_secs_f64(),
        "settling_seconds": report.settling.as_secs_f64(),
        "faults": faults_json(&report.faults),
        "counts": counts_json(&report.counts),
    })
}

fn summary_json(summary: &Summary, settings: &Settings, seconds: f64) -> Value {
    json!({
        "seeds": summary.seeds,
        "seconds": seconds,
        "simulated_seconds": summary.time.as_secs_f64(),
        "longest_recovery_seconds": summary.recovery.0.as_secs_f64(),
        "longest_recovery_seed": summary.recovery.1,
        "longest_settling_seconds": summary.settling.0.as_secs_f64(),
        "longest_settling_seed": summary.settling.1,
        "faults": faults_json(&summary.faults),
        "counts": counts_json(&summary.counts),
        "failed": summary.failed.iter().map(|report| report_json(report, settings)).collect::<Vec<_>>(),
    })
}

fn faults_json(faults: &Tally) -> Value {
    Fault::ALL.iter().map(|fault| (fault.name().to_owned(), json!(faults.of(*fault)))).collect()
}

fn counts_json(counts: &Counts) -> Value {
    json!({
        "steps": counts.steps,
        "frames": counts.frames,
        "operations": counts.operations,
        "granted": counts.granted,
        "dropped": counts.dropped,
        "reads": counts.reads,
        "reads_cached": counts.reads_cached,
        "writes": counts.writes,
        "writes_refused": counts.writes_refused,
        "writes_unknown": counts.writes_unknown,
        "lapses": counts.lapses,
        "invalidations": counts.invalidations,
        "losses": counts.losses,
        "terms": counts.terms,
        "clients": counts.clients,
    })
}
