//! The result as tables: the ratios with their goals, and whatever else was measured.

use std::collections::{BTreeMap, BTreeSet};

use comfy_table::{Cell, CellAlignment, Table};

use super::Finding;
use crate::{goals::Verdict, sample::Figure};

/// Who beat whom, by how much, and whether that was asked for.
pub fn ratio_table(findings: &[Finding]) -> Table {
    let mut table = plain(["workload", "thr", "ours", "ns", "peer", "ns", "ratio", "min – max", "goal", ""]);
    for finding in findings {
        table.add_row(vec![
            Cell::new(finding.workload),
            number(finding.threads),
            Cell::new(finding.ours),
            number(short(finding.ours_ns)),
            Cell::new(&finding.peer),
            number(short(finding.peer_ns)),
            number(short(finding.ratio.median)),
            number(format!("{} – {}", short(finding.ratio.min), short(finding.ratio.max))),
            Cell::new(listed(finding, |verdict| verdict.text.clone())),
            Cell::new(listed(finding, told)),
        ]);
    }
    table
}

/// Hit ratios, percentiles and the like: a table for each workload that has any, a line for each contender.
pub fn figures_tables(findings: &[Finding]) -> Vec<Table> {
    let by_workload = findings.chunk_by(|one, other| one.workload == other.workload);
    by_workload.filter_map(figures_table).collect()
}

/// The figures of one workload. Where ours has several rows, its line is that of the first.
fn figures_table(findings: &[Finding]) -> Option<Table> {
    let mut lines: BTreeMap<(usize, usize, &str), &BTreeMap<Figure, f64>> = BTreeMap::new();
    for (order, finding) in findings.iter().enumerate() {
        let threads = finding.threads;
        lines.entry((threads, 0, finding.ours)).or_insert(&finding.ours_figures);
        lines.entry((threads, 1 + order, &finding.peer)).or_insert(&finding.peer_figures);
    }
    lines.retain(|_, figures| has_news(figures));
    let figures: BTreeSet<Figure> = lines.values().flat_map(|figures| figures.keys().copied()).collect();
    let workload = findings.first()?.workload;
    let mut table = plain([workload, "thr"].into_iter().chain(figures.iter().map(|figure| figure.label())));
    for ((threads, _, name), measured) in &lines {
        let value = |figure| measured.get(figure).map_or_else(String::new, |&value| short(value));
        let values = figures.iter().map(|figure| number(value(figure)));
        table.add_row([Cell::new(name), number(threads)].into_iter().chain(values));
    }
    (!lines.is_empty()).then_some(table)
}

/// That every block of a resident set was found is what one expects.
fn has_news(figures: &BTreeMap<Figure, f64>) -> bool {
    figures.iter().any(|(&figure, &value)| figure != Figure::Hit || value < 0.9995)
}

fn plain<'a>(header: impl IntoIterator<Item = &'a str>) -> Table {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_header(header);
    table
}

fn number(value: impl ToString) -> Cell {
    Cell::new(value).set_alignment(CellAlignment::Right)
}

fn listed(finding: &Finding, tell: impl Fn(&Verdict) -> String) -> String {
    finding.verdicts.iter().map(tell).collect::<Vec<_>>().join("\n")
}

fn told(verdict: &Verdict) -> String {
    let word = if verdict.is_met { "met" } else { "MISSED" };
    if verdict.measured.is_nan() {
        "not measured".to_owned()
    } else {
        format!("{word} ({})", short(verdict.measured))
    }
}

/// As many digits as matter.
fn short(value: f64) -> String {
    match value.abs() {
        size if size < 1.0 => format!("{value:.3}"),
        size if size < 10.0 => format!("{value:.2}"),
        size if size < 1000.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}
