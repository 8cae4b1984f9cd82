//! Rows of the comparison: medians with their range, as a table or as JSON lines.

use anyhow::Result;
use comfy_table::{Table, presets};
use serde::Serialize;

use super::Sample;

/// The two of one repetition, measured one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair {
    pub(super) fio: Sample,
    pub(super) ours: Sample,
}

/// All repetitions of one workload.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) workload: &'static str,
    pub(super) block_size: u32,
    pub(super) depth: u32,
    pub(super) pairs: Vec<Pair>,
}

/// A row as it is printed. Ratios are ours over fio's: above one is faster than fio.
#[derive(Debug, PartialEq, Serialize)]
struct Summary {
    workload: &'static str,
    block_size: u32,
    depth: u32,
    fio_iops: f64,
    ours_iops: f64,
    fio_mb_per_s: f64,
    ours_mb_per_s: f64,
    ratio_median: f64,
    ratio_min: f64,
    ratio_max: f64,
    fio_p50_us: f64,
    ours_p50_us: f64,
    /// Ours minus fio's, median over the pairs.
    p50_more_us: f64,
    fio_cpu_us: f64,
    ours_cpu_us: f64,
    cpu_more_us: f64,
}

impl Row {
    fn summary(&self) -> Summary {
        let ratios = self.sorted(|pair| pair.ours.bytes_per_second / pair.fio.bytes_per_second);
        Summary {
            workload: self.workload,
            block_size: self.block_size,
            depth: self.depth,
            fio_iops: self.median(|pair| pair.fio.iops),
            ours_iops: self.median(|pair| pair.ours.iops),
            fio_mb_per_s: self.median(|pair| pair.fio.bytes_per_second / 1e6),
            ours_mb_per_s: self.median(|pair| pair.ours.bytes_per_second / 1e6),
            ratio_median: middle(&ratios),
            ratio_min: ratios[0],
            ratio_max: ratios[ratios.len() - 1],
            fio_p50_us: self.median(|pair| pair.fio.p50_ns / 1e3),
            ours_p50_us: self.median(|pair| pair.ours.p50_ns / 1e3),
            p50_more_us: self.median(|pair| (pair.ours.p50_ns - pair.fio.p50_ns) / 1e3),
            fio_cpu_us: self.median(|pair| pair.fio.cpu_ns / 1e3),
            ours_cpu_us: self.median(|pair| pair.ours.cpu_ns / 1e3),
            cpu_more_us: self.median(|pair| (pair.ours.cpu_ns - pair.fio.cpu_ns) / 1e3),
        }
    }

    fn median(&self, value: impl Fn(&Pair) -> f64) -> f64 {
        middle(&self.sorted(value))
    }

    fn sorted(&self, value: impl Fn(&Pair) -> f64) -> Vec<f64> {
        let mut values: Vec<f64> = self.pairs.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        values
    }
}

/// The median of sorted values: the middle one, or the mean of the two in the middle.
fn middle(sorted: &[f64]) -> f64 {
    let half = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[half] } else { f64::midpoint(sorted[half - 1], sorted[half]) }
}

pub(super) fn print_json(rows: &[Row]) -> Result<()> {
    for row in rows {
        println!("{}", serde_json::to_string(&row.summary())?);
    }
    Ok(())
}

pub(super) fn print_table(rows: &[Row]) -> Result<()> {
    let mut reads = Table::new();
    reads.load_style(presets::NOTHING).set_header([
        "cold read",
        "depth",
        "fio IOPS",
        "ours",
        "ratio",
        "min..max",
        "fio p50 us",
        "ours",
        "more",
        "fio CPU us",
        "ours",
        "more",
    ]);
    let mut writes = Table::new();
    writes.load_style(presets::NOTHING).set_header(["commit", "fio MB/s", "ours", "ratio", "min..max"]);
    for summary in rows.iter().map(Row::summary) {
        let size = format!("{} KiB", summary.block_size >> 10);
        let ratio = format!("{:.2}", summary.ratio_median);
        let range = format!("{:.2}..{:.2}", summary.ratio_min, summary.ratio_max);
        if summary.workload == "commit" {
            let (fio, ours) = (summary.fio_mb_per_s, summary.ours_mb_per_s);
            writes.add_row([size, format!("{fio:.0}"), format!("{ours:.0}"), ratio, range]);
            continue;
        }
        reads.add_row([
            size,
            summary.depth.to_string(),
            format!("{:.0}", summary.fio_iops),
            format!("{:.0}", summary.ours_iops),
            ratio,
            range,
            format!("{:.1}", summary.fio_p50_us),
            format!("{:.1}", summary.ours_p50_us),
            format!("{:+.1}", summary.p50_more_us),
            format!("{:.2}", summary.fio_cpu_us),
            format!("{:.2}", summary.ours_cpu_us),
            format!("{:+.2}", summary.cpu_more_us),
        ]);
    }
    println!(
        "{reads}\n\n{writes}\n\nratio: ours over fio, median of interleaved pairs; latency and CPU for one block"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(speed: f64) -> Sample {
        Sample { iops: speed, bytes_per_second: speed * 4096.0, p50_ns: 1e6 / speed, cpu_ns: 1000.0 }
    }

    #[test]
    fn ratios_are_taken_pair_by_pair() {
        // The machine slowed down between the pairs: no pair differs by more than a tenth.
        let pairs = [(100.0, 95.0), (50.0, 50.0), (10.0, 9.0)];
        let pairs = pairs.map(|(fio, ours)| Pair { fio: sample(fio), ours: sample(ours) }).to_vec();
        let summary = Row { workload: "cold-read", block_size: 4096, depth: 1, pairs }.summary();
        let ratios = [summary.ratio_min, summary.ratio_median, summary.ratio_max];
        for (ratio, expected) in ratios.into_iter().zip([0.9, 0.95, 1.0]) {
            assert!((ratio - expected).abs() < 1e-9, "{ratio} is not {expected}");
        }
    }

    #[test]
    fn the_median_of_an_even_count_is_between_the_two_in_the_middle() {
        assert_eq!(middle(&[1.0, 2.0, 4.0, 9.0]), 3.0);
        assert_eq!(middle(&[1.0, 2.0, 9.0]), 2.0);
    }
}
