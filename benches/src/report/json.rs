//! One JSON object a line and row.
//!
//! Always there: `workload, threads, peer, ours, ratio_median, ratio_min, ratio_max, ours_ns, peer_ns, ours_hit,
//! peer_hit, goals`. A figure that a workload measures beside these appears as `ours_<figure>` and
//! `peer_<figure>`.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Finding;
use crate::goals::Verdict;

#[derive(Serialize)]
struct Line<'a> {
    workload: &'a str,
    threads: usize,
    peer: &'a str,
    ours: &'a str,
    ratio_median: f64,
    ratio_min: f64,
    ratio_max: f64,
    ours_ns: f64,
    peer_ns: f64,
    #[serde(flatten)]
    figures: BTreeMap<String, f64>,
    goals: Vec<Judged<'a>>,
}

#[derive(Serialize)]
struct Judged<'a> {
    goal: &'a str,
    measured: f64,
    met: bool,
}

/// The lines, without line ends.
pub fn lines(findings: &[Finding]) -> Result<Vec<String>, serde_json::Error> {
    findings.iter().map(|finding| serde_json::to_string(&Line::of(finding))).collect()
}

impl<'a> Line<'a> {
    fn of(finding: &'a Finding) -> Self {
        let ours =
            finding.ours_figures.iter().map(|(figure, &value)| (format!("ours_{}", figure.name()), value));
        let theirs =
            finding.peer_figures.iter().map(|(figure, &value)| (format!("peer_{}", figure.name()), value));
        Self {
            workload: finding.workload,
            threads: finding.threads,
            peer: &finding.peer,
            ours: finding.ours,
            ratio_median: finding.ratio.median,
            ratio_min: finding.ratio.min,
            ratio_max: finding.ratio.max,
            ours_ns: finding.ours_ns,
            peer_ns: finding.peer_ns,
            figures: ours.chain(theirs).collect(),
            goals: finding.verdicts.iter().map(Judged::of).collect(),
        }
    }
}

impl<'a> Judged<'a> {
    fn of(verdict: &'a Verdict) -> Self {
        Self { goal: &verdict.text, measured: verdict.measured, met: verdict.is_met }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        plan::Opponent,
        sample::{Figure, Sample},
        tournament::{Round, Row},
    };

    #[test]
    fn a_line_has_every_promised_field() {
        let side = |ns| Sample::new(ns, 1.0).with([(Figure::P999Ns, 300.0)]);
        let row = Row {
            workload: "pinned-uniform",
            threads: 2,
            ours: "ours-pinned",
            peer: "quick_cache".to_owned(),
            opponent: Opponent::Named("quick_cache"),
            rounds: vec![Round { ours: side(20.0), theirs: side(80.0) }],
        };
        let lines = lines(&[Finding::of(&row)]).unwrap();
        let line: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
        for (field, value) in [
            ("ratio_median", 4.0),
            ("ratio_min", 4.0),
            ("ratio_max", 4.0),
            ("ours_ns", 20.0),
            ("peer_ns", 80.0),
            ("ours_hit", 1.0),
            ("peer_hit", 1.0),
            ("ours_p999_ns", 300.0),
            ("threads", 2.0),
        ] {
            assert_eq!(line[field].as_f64(), Some(value), "{field}");
        }
        assert_eq!(line["workload"], "pinned-uniform");
        assert_eq!(line["peer"], "quick_cache");
        assert_eq!(line["ours"], "ours-pinned");
        assert_eq!(line["goals"][0]["met"], true);
    }
}
