//! A table for people: one line for each measurement, and below it what the columns mean.

use std::io::{self, Write};

use comfy_table::{Cell, CellAlignment, Table, presets};

use super::Report;
use super::units::{bytes, count, percent, time};
use crate::bench::row::Row;

pub(super) fn print(report: &Report, out: &mut impl Write) -> io::Result<()> {
    if report.rows.iter().any(|row| row.replayed.is_some()) {
        return print_replay(report, out);
    }
    let setting = &report.setting;
    writeln!(
        out,
        "\n{} blocks of {}, a cache of {} ({}), {} threads",
        setting.blocks,
        setting.block_size,
        bytes(setting.capacity_bytes() as f64),
        percent(setting.capacity as f64 / setting.blocks as f64),
        setting.threads
    )?;
    if let Some(place) = &report.place {
        writeln!(out, "{place}")?;
    }
    let mut table = table(&[
        "workload",
        "threads",
        "ops/s",
        "time/op",
        "CPU/op",
        "p50",
        "p99",
        "p99.9",
        "hits",
        "reads/s",
        "moved/s",
        "visited/freed",
        "stale",
        "errors",
    ]);
    for row in &report.rows {
        table.add_row(cells(line(row)));
    }
    writeln!(out, "\n{table}\n")?;
    for row in &report.rows {
        if let Some(grown) = &row.grown {
            let (longest, presized) =
                (grown.longest_insert_ns as f64, grown.longest_insert_presized_ns as f64);
            writeln!(
                out,
                "growth: the longest insertion took {}, with an index built at full size {}",
                time(longest),
                time(presized)
            )?;
        }
    }
    writeln!(
        out,
        "time/op is one thread's; cold reads keep N in flight (@N), so theirs is shorter than their latency;\n\
         visited/freed is what eviction looked at for each block it evicted; a commit writes up to 1000 dirty blocks and flushes"
    )
}

fn line(row: &Row) -> Vec<String> {
    let name = row.depth.map_or(row.workload.to_owned(), |depth| format!("{} @{depth}", row.workload));
    let per_second = |amount: u64| amount as f64 / row.seconds;
    let has_lookups = row.grown.is_none() && row.workload != "commit";
    let or_dash = |is_there: bool, text: String| if is_there { text } else { "-".into() };
    vec![
        name,
        row.threads.to_string(),
        count(row.ops_per_second()),
        time(row.ns_per_op),
        time(row.cpu_ns_per_op),
        time(row.p50_ns as f64),
        time(row.p99_ns as f64),
        time(row.p999_ns as f64),
        or_dash(has_lookups, percent(row.hit_ratio)),
        or_dash(row.device_reads > 0, count(per_second(row.device_reads))),
        or_dash(row.bytes > 0, bytes(per_second(row.bytes))),
        row.visited_per_freed().map_or("-".into(), |visited| format!("{visited:.2}")),
        row.stale.to_string(),
        row.errors.to_string(),
    ]
}

fn print_replay(report: &Report, out: &mut impl Write) -> io::Result<()> {
    let mut table = table(&[
        "blocks",
        "of unique",
        "tidelock",
        "optimum",
        "of optimum",
        "LRU",
        "S3-FIFO",
        "time/op",
        "visited/freed",
    ]);
    for row in &report.rows {
        let Some(replayed) = &row.replayed else { continue };
        if table.is_empty() {
            let (accesses, unique) = (replayed.accesses, replayed.unique);
            writeln!(out, "\n{}: {accesses} accesses to {unique} blocks\n", replayed.trace)?;
        }
        table.add_row(cells(vec![
            row.capacity_blocks.to_string(),
            percent(row.capacity_blocks as f64 / replayed.unique as f64),
            percent(row.hit_ratio),
            percent(replayed.belady_hit_ratio),
            percent(row.hit_ratio / replayed.belady_hit_ratio.max(f64::MIN_POSITIVE)),
            percent(replayed.lru_hit_ratio),
            percent(replayed.s3fifo_hit_ratio),
            time(row.ns_per_op),
            row.visited_per_freed().map_or("-".into(), |visited| format!("{visited:.2}")),
        ]));
    }
    writeln!(out, "{table}\n\nhit ratios at equal capacity; the optimum (Belady's) knows the future")
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header.iter().map(|name| cell(name)));
    table
}

/// The first names the line, the others are numbers.
fn cells(line: Vec<String>) -> Vec<Cell> {
    let mut cells: Vec<Cell> = line.iter().map(|text| cell(text)).collect();
    cells[0] = Cell::new(&line[0]);
    cells
}

fn cell(text: &str) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}
