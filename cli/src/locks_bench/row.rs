//! What was measured, for people and for machines.

use comfy_table::{Cell, CellAlignment, Table, presets};
use serde::Serialize;

use super::turns::Duel;

/// One measurement.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    pub(super) measurement: &'static str,
    pub(super) what: String,
    /// One operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ns_per_op: Option<f64>,
    /// What it was compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) beside: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) beside_ns_per_op: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ratio: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ratio_min: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ratio_max: Option<f64>,
    /// What it should be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) goal: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) is_met: Option<bool>,
    #[serde(flatten)]
    pub(super) more: serde_json::Map<String, serde_json::Value>,
}

impl Row {
    pub(super) fn new(measurement: &'static str, what: impl Into<String>) -> Self {
        Self {
            measurement,
            what: what.into(),
            ns_per_op: None,
            beside: None,
            beside_ns_per_op: None,
            ratio: None,
            ratio_min: None,
            ratio_max: None,
            goal: None,
            is_met: None,
            more: serde_json::Map::new(),
        }
    }

    pub(super) fn beside(mut self, beside: &'static str, duel: &Duel) -> Self {
        (self.ns_per_op, self.beside_ns_per_op) = (Some(duel.ours_ns), Some(duel.theirs_ns));
        (self.beside, self.ratio) = (Some(beside), Some(duel.ratio[0]));
        (self.ratio_min, self.ratio_max) = (Some(duel.ratio[1]), Some(duel.ratio[2]));
        self
    }

    pub(super) fn goal(mut self, goal: &'static str, is_met: bool) -> Self {
        (self.goal, self.is_met) = (Some(goal), Some(is_met));
        self
    }

    pub(super) fn with(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        self.more.insert(name.into(), value.into());
        self
    }

    fn cells(&self) -> Vec<Cell> {
        let number = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
        let time = |ns: Option<f64>| number(ns.map_or(String::new(), shown));
        let ratio = self.ratio.map_or(String::new(), |ratio| format!("{ratio:.2}"));
        let range = self.ratio_min.zip(self.ratio_max);
        let range = range.map_or(String::new(), |(min, max)| format!("{min:.2} to {max:.2}"));
        let goal = self
            .goal
            .zip(self.is_met)
            .map_or(String::new(), |(goal, is_met)| format!("{goal}{}", if is_met { "" } else { " MISSED" }));
        vec![
            Cell::new(self.measurement),
            Cell::new(&self.what),
            time(self.ns_per_op),
            Cell::new(self.beside.unwrap_or_default()),
            time(self.beside_ns_per_op),
            number(ratio),
            number(range),
            Cell::new(goal),
        ]
    }
}

fn shown(ns: f64) -> String {
    if ns < 10_000.0 { format!("{ns:.1} ns") } else { format!("{:.1} us", ns / 1000.0) }
}

/// All that was measured. JSON is shown as it comes, a table at the end.
#[derive(Debug)]
pub(super) struct Rows {
    is_json: bool,
    rows: Vec<Row>,
}

impl Rows {
    pub(super) fn new(is_json: bool) -> Self {
        Self { is_json, rows: Vec::new() }
    }

    pub(super) fn add(&mut self, row: Row) {
        if self.is_json {
            println!("{}", serde_json::to_string(&row).expect("a row is JSON"));
        }
        self.rows.push(row);
    }

    pub(super) fn finish(&self) {
        if self.is_json {
            return;
        }
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_header(["measurement", "", "one", "beside", "one", "ratio", "", "goal"]);
        for row in &self.rows {
            table.add_row(row.cells());
        }
        println!("{table}");
    }
}
