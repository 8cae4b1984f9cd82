//! A page with charts: one file, no script, nothing from the network.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::Report;
use super::charts::{self, Bars, Lines};
use super::units::{bytes, count, percent, time};
use crate::bench::row::Row;
use crate::error::CliError;

/// A page to be.
#[derive(Debug)]
pub(crate) struct Page {
    path: PathBuf,
}

impl Page {
    /// Tries whether there can be a page at `path`, before anything is measured for it. What is there stays as it is.
    pub(crate) fn at(path: &Path) -> Result<Self, CliError> {
        let is_new = !path.exists();
        let opened = File::options().write(true).create(true).truncate(false).open(path);
        let tried = opened.and_then(|_| if is_new { fs::remove_file(path) } else { Ok(()) });
        tried.map(|()| Self { path: path.to_owned() }).map_err(|error| {
            CliError::input(format!(
                "--html: {} cannot be written: {error}; choose another place",
                path.display()
            ))
        })
    }

    /// Writes the page, and says where it is.
    pub(crate) fn write(&self, report: &Report) -> Result<(), CliError> {
        fs::write(&self.path, page(report))?;
        eprintln!("{} written", self.path.display());
        Ok(())
    }
}

const HEAD: &str = include_str!("page.html");

fn page(report: &Report) -> String {
    let mut body =
        format!("{}<h1>tidelock bench cache</h1>\n<p class=\"setting\">{}</p>\n", HEAD, setting(report));
    if report.rows.iter().any(|row| row.replayed.is_none()) {
        body += &section(
            "Throughput",
            "Operations a second, all threads together. Logarithmic.",
            &throughput(report),
        );
        body += &section(
            "Latency",
            "One operation, from its start until its caller has the result: median, 99 % and 99.9 %. Logarithmic.",
            &latency(report),
        );
    }
    if !report.sweep.is_empty() {
        body += &section("Hit ratio against capacity", sweep_caption(report), &hit_ratio(report));
    }
    if report.rows.iter().any(|row| row.shrink_freed > 0) {
        body += &section(
            "Reclaim work",
            "Blocks that eviction looked at for each block that it evicted. One would be perfect foresight.",
            &reclaim(report),
        );
    }
    body += &section("All figures", "", &figures(report));
    body + "</main></body></html>\n"
}

fn setting(report: &Report) -> String {
    let setting = &report.setting;
    let mut text = format!(
        "{} blocks of {}, a cache of {} ({} of the data), {} threads, {} seconds each, seed {}",
        setting.blocks,
        setting.block_size,
        bytes(setting.capacity_bytes() as f64),
        percent(setting.capacity as f64 / setting.blocks as f64),
        setting.threads,
        setting.seconds.as_secs_f64(),
        setting.seed
    );
    if let Some(replayed) = report.rows.first().and_then(|row| row.replayed.as_ref()) {
        text = format!("{}: {} accesses to {} blocks", replayed.trace, replayed.accesses, replayed.unique);
    }
    if let Some(place) = &report.place {
        text += &format!("; {place}");
    }
    charts::escaped(&text)
}

fn section(title: &str, caption: &str, content: &str) -> String {
    format!("<section><h2>{title}</h2>\n<p>{caption}</p>\n{content}</section>\n")
}

fn throughput(report: &Report) -> String {
    let bars = report.rows.iter().map(|row| (name(row), vec![row.ops_per_second()])).collect();
    Bars { series: &["ops/s"], bars, is_log: true, label: count }.draw()
}

fn latency(report: &Report) -> String {
    let quantiles = |row: &Row| [row.p50_ns, row.p99_ns, row.p999_ns].map(|ns| ns as f64).to_vec();
    let bars = report.rows.iter().map(|row| (name(row), quantiles(row))).collect();
    Bars { series: &["p50", "p99", "p99.9"], bars, is_log: true, label: time }.draw()
}

fn reclaim(report: &Report) -> String {
    let rows = report.rows.iter().filter_map(|row| Some((name(row), vec![row.visited_per_freed()?])));
    Bars { series: &["visited/freed"], bars: rows.collect(), is_log: false, label: |n| format!("{n:.2}") }
        .draw()
}

fn sweep_caption(report: &Report) -> &'static str {
    match report.rows.iter().any(|row| row.replayed.is_some()) {
        true => {
            "The trace, at capacities that are a share of its unique blocks. The optimum knows the future."
        }
        false => {
            "Zipf reads (0.99), at capacities that are a share of the data. The optimum knows the future."
        }
    }
}

fn hit_ratio(report: &Report) -> String {
    let points = &report.sweep;
    Lines {
        x: points.iter().map(|point| point.capacity).collect(),
        lines: vec![
            ("tidelock", points.iter().map(|point| point.ours).collect()),
            ("optimum", points.iter().map(|point| point.belady).collect()),
            ("S3-FIFO", points.iter().map(|point| point.s3fifo).collect()),
            ("LRU", points.iter().map(|point| point.lru).collect()),
        ],
    }
    .draw()
}

const COLUMNS: [&str; 10] =
    ["", "ops/s", "time/op", "CPU/op", "p50", "p99", "p99.9", "hit ratio", "device reads", "stale"];

fn figures(report: &Report) -> String {
    let header: String = COLUMNS.iter().map(|column| format!("<th>{column}</th>")).collect();
    let rows: String = report.rows.iter().map(|row| format!("<tr>{}</tr>\n", figures_of(row))).collect();
    format!("<table><thead><tr>{header}</tr></thead><tbody>\n{rows}</tbody></table>\n")
}

fn figures_of(row: &Row) -> String {
    let cells = [
        charts::escaped(&name(row)),
        count(row.ops_per_second()),
        time(row.ns_per_op),
        time(row.cpu_ns_per_op),
        time(row.p50_ns as f64),
        time(row.p99_ns as f64),
        time(row.p999_ns as f64),
        percent(row.hit_ratio),
        row.device_reads.to_string(),
        row.stale.to_string(),
    ];
    cells.iter().map(|cell| format!("<td>{cell}</td>")).collect()
}

fn name(row: &Row) -> String {
    match (row.depth, &row.replayed) {
        (Some(depth), _) => format!("{} @{depth}", row.workload),
        (_, Some(_)) => format!("{} blocks", row.capacity_blocks),
        _ => row.workload.into(),
    }
}
