//! Running fio, and reading what it prints.
//!
//! fio is given its best case: io_uring with O_DIRECT, registered files and registered buffers.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::scratch::Place;
use super::{Effort, Sample};
use crate::process::{Prerequisite, answers, output, run};

/// Finds fio, or installs it from the distribution where that needs no question: on Debian, as root.
pub(super) fn ensure_installed() -> Result<()> {
    if answers("fio", "--version") {
        return Ok(());
    }
    let is_root = output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    if is_root && answers("apt-get", "--version") {
        run(Command::new("apt-get").args(["install", "-y", "--no-install-recommends", "fio"]))?;
    }
    if !answers("fio", "--version") {
        bail!(Prerequisite(
            "fio is not installed: take it from your distribution (`apt-get install fio`)".into()
        ));
    }
    Ok(())
}

/// Random reads of whole blocks all over the volume, `depth` of them in flight.
pub(super) fn random_reads(file: &Path, block_size: u32, depth: u32, effort: Effort) -> Result<Sample> {
    let mut fio = fio(file, block_size, depth);
    fio.args(["--rw=randread", "--readonly", "--norandommap", "--randrepeat=0", "--time_based"]);
    fio.arg(format!("--runtime={}", effort.seconds)).arg(format!("--size={}", effort.volume_bytes));
    parse(&output(&mut fio)?)?.sample(|job| &job.read)
}

/// Commits as fio can do them: `blocks` sequential writes and a flush, over blocks that exist already, again and again. The
/// flush is queued behind the writes and does not wait for those in flight, as a commit's would; of fio's ways to ask for one it is
/// the one that reaches the device at the end of every loop. (`end_fsync` does not.)
pub(super) fn sequential_write(place: &Place, block_size: u32, blocks: u32) -> Result<Sample> {
    let mut fio = fio(&place.path, block_size, 128);
    fio.arg(format!("--offset={}", place.offset));
    fio.args(["--rw=write", "--overwrite=1", COMMITS]).arg(format!("--fdatasync={blocks}"));
    fio.arg(format!("--size={}", u64::from(block_size) * u64::from(blocks)));
    parse(&output(&mut fio)?)?.sample(|job| &job.write)
}

fn fio(file: &Path, block_size: u32, depth: u32) -> Command {
    let mut fio = Command::new("fio");
    fio.args(["--name=tidelock", "--ioengine=io_uring", "--direct=1", "--registerfiles=1", "--fixedbufs=1"]);
    fio.args(["--output-format=json", "--lat_percentiles=1", "--clat_percentiles=0"]);
    fio.arg("--filename").arg(file).arg(format!("--bs={block_size}")).arg(format!("--iodepth={depth}"));
    fio
}

/// One commit is over in a few milliseconds; fio reports the mean of these.
const COMMITS: &str = "--loops=100";

#[derive(Debug, Deserialize)]
struct Output {
    jobs: Vec<Job>,
}

#[derive(Debug, Deserialize)]
struct Job {
    error: i32,
    /// Percent of one processor.
    usr_cpu: f64,
    sys_cpu: f64,
    read: Direction,
    write: Direction,
}

#[derive(Debug, Deserialize)]
struct Direction {
    iops: f64,
    bw_bytes: f64,
    /// Milliseconds.
    runtime: f64,
    total_ios: f64,
    lat_ns: Latency,
}

#[derive(Debug, Deserialize)]
struct Latency {
    /// Absent for a direction without I/O.
    percentile: Option<Percentiles>,
}

#[derive(Debug, Deserialize)]
struct Percentiles {
    #[serde(rename = "50.000000")]
    p50: f64,
}

fn parse(json: &str) -> Result<Job> {
    // Warnings stand before the object.
    let object = json.find('{').map_or("", |at| &json[at..]);
    let output: Output = serde_json::from_str(object).context("fio's JSON is not as expected")?;
    let Some(job) = output.jobs.into_iter().next() else { bail!("fio reports no job") };
    if job.error != 0 {
        bail!("fio's job ended with error {}", job.error);
    }
    Ok(job)
}

impl Job {
    fn sample(&self, direction: impl Fn(&Job) -> &Direction) -> Result<Sample> {
        let did = direction(self);
        let latency = did.lat_ns.percentile.as_ref().context("fio reports no latency: did it do any I/O?")?;
        Ok(Sample {
            iops: did.iops,
            bytes_per_second: did.bw_bytes,
            p50_ns: latency.p50,
            cpu_ns: (self.usr_cpu + self.sys_cpu) / 100.0 * did.runtime * 1e6 / did.total_ios,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What fio 3.33 printed for one second of random reads, shortened to the fields read here and a few more.
    const RECORDED: &str = include_str!("sample.json");

    #[test]
    fn a_recorded_run_is_read() {
        let sample = parse(RECORDED).unwrap().sample(|job| &job.read).unwrap();
        assert_eq!(sample.iops, 16_987.012_987);
        assert_eq!(sample.p50_ns, 27_008.0);
        assert!((sample.cpu_ns - 18_955.0).abs() < 10.0, "{}", sample.cpu_ns);
    }

    #[test]
    fn warnings_before_the_object_are_skipped() {
        assert!(parse(&format!("fio: a warning\n{RECORDED}")).is_ok());
    }

    #[test]
    fn a_direction_without_io_and_a_failed_job_are_errors() {
        assert!(parse(RECORDED).unwrap().sample(|job| &job.write).is_err());
        assert!(parse(&RECORDED.replace("\"error\": 0", "\"error\": 5")).is_err());
        assert!(parse("").is_err());
    }
}
