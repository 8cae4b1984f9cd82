//! `tidelock bench cache`: a volume, a cache smaller than it, and one workload after the other.
//!
//! [`place`] finds somewhere to put the volume and fills it; each workload is a file that turns a [`Setting`] into rows;
//! [`report`] shows the rows. All of them measure through [`measure`], so their figures mean the same.

mod cold_read;
mod commit;
mod growth;
mod hot;
mod keys;
mod measure;
mod place;
mod pressure;
mod progress;
mod replay;
mod report;
mod row;
mod scan;
mod setting;
mod slots;
mod sweep;
mod uniform;
mod zipf;

use std::process::ExitCode;

use clap::ValueEnum;

use crate::args::{CacheArgs, Workload};
use crate::error::CliError;
use crate::scratch;
use place::Place;
use progress::Progress;
use report::Report;
use row::Row;
use setting::Setting;

pub(crate) fn run(args: &CacheArgs) -> Result<ExitCode, CliError> {
    let page = args.html.as_deref().map(report::html::Page::at).transpose()?;
    let mut report = match &args.trace {
        Some(trace) => replay::run(args, trace)?,
        None => workloads(args)?,
    };
    report.print(args.json)?;
    if let Some(page) = page {
        page.write(&report)?;
    }
    match report.failure.take() {
        Some(error) => Err(error),
        None => Ok(ExitCode::SUCCESS),
    }
}

fn workloads(args: &CacheArgs) -> Result<Report, CliError> {
    let chosen = chosen(args);
    let setting = Setting::new(args)?;
    setting.check(&chosen)?;
    scratch::end_on_interrupt();
    let mut place = Place::new(args, &setting)?;
    let progress = Progress::new(chosen.iter().map(|workload| steps(*workload, &setting)).sum());
    let mut report = Report::new(&setting);
    for workload in chosen {
        for row in run_one(workload, &setting, &mut place, &progress)? {
            report.add(row)?;
        }
    }
    report.place = place.describe();
    if args.html.is_some() {
        progress.says("hit ratio against capacity");
        report.sweep = sweep::run(&setting)?;
    }
    progress.end();
    Ok(report)
}

/// In the order asked for, each once.
fn chosen(args: &CacheArgs) -> Vec<Workload> {
    let asked = if args.workload.is_empty() { Workload::value_variants() } else { &args.workload };
    let mut chosen = Vec::new();
    for workload in asked {
        if !chosen.contains(workload) {
            chosen.push(*workload);
        }
    }
    chosen
}

/// Measurements that a workload is made of.
fn steps(workload: Workload, setting: &Setting) -> u64 {
    if workload == Workload::ColdRead { setting.depths.len() as u64 } else { 1 }
}

fn run_one(
    workload: Workload,
    setting: &Setting,
    place: &mut Place,
    progress: &Progress,
) -> Result<Vec<Row>, CliError> {
    if workload == Workload::Growth {
        // It inserts images that no device ever holds.
        return growth::run(setting, progress).map(|row| vec![row]);
    }
    let volume = place.volume(setting, progress)?;
    let row = match workload {
        Workload::Uniform => uniform::run(setting, volume, progress),
        Workload::Zipf => zipf::run(setting, volume, progress),
        Workload::Hot => hot::run(setting, volume, progress),
        Workload::Scan => scan::run(setting, volume, progress),
        Workload::Pressure => pressure::run(setting, volume, progress),
        Workload::Commit => commit::run(setting, volume, progress),
        Workload::ColdRead => return cold_read::run(setting, volume, progress),
        Workload::Growth => unreachable!("has returned above"),
    };
    row.map(|row| vec![row])
}
