//! Running `tidelock bench cache`, and reading the JSON lines that it prints.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::{Effort, Sample};
use crate::process::{cargo, output, run, target};

/// The command, and the volume it works on.
#[derive(Debug)]
pub(super) struct Tidelock {
    program: PathBuf,
    volume: PathBuf,
}

impl Tidelock {
    /// Builds the command as users get it.
    pub(super) fn build(volume: PathBuf) -> Result<Tidelock> {
        run(cargo().args(["build", "--release", "-p", "tidelock-cli"]))?;
        Ok(Tidelock { program: target("release").join("tidelock"), volume })
    }

    /// Makes the volume anew with blocks of this size, and fills it.
    pub(super) fn fill(&self, block_size: u32, bytes: u64) -> Result<()> {
        let effort = Effort { volume_bytes: bytes, seconds: 1, repetitions: 1 };
        self.cold_reads(block_size, 1, effort).map(|_| ())
    }

    /// Reads of blocks that are not cached, checksums verified.
    pub(super) fn cold_reads(&self, block_size: u32, depth: u32, effort: Effort) -> Result<Sample> {
        let mut command = self.bench("cold-read", block_size, effort);
        command.args(["--depth", &depth.to_string()]);
        parse(&output(&mut command)?, "cold-read")
    }

    /// Commits: dirty blocks written in order and flushed.
    pub(super) fn commits(&self, block_size: u32, effort: Effort) -> Result<Sample> {
        parse(&output(&mut self.bench("commit", block_size, effort))?, "commit")
    }

    fn bench(&self, workload: &str, block_size: u32, effort: Effort) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["bench", "cache", "--json", "--yes", "--threads", "1", "--workload", workload]);
        command.arg("--device").arg(&self.volume);
        command.args(["--block-size", &block_size.to_string()]);
        // One block less than fit: the volume keeps a superblock.
        command.args(["--blocks", &(effort.volume_bytes / u64::from(block_size) - 1).to_string()]);
        command.args(["--seconds", &effort.seconds.to_string()]);
        command
    }
}

/// One line of the command's output; it has more fields than these.
#[derive(Debug, Deserialize)]
struct Line {
    workload: String,
    ops: f64,
    seconds: f64,
    p50_ns: f64,
    device_reads: f64,
    device_writes: f64,
    cpu_ns_per_op: f64,
    bytes: f64,
}

fn parse(lines: &str, workload: &str) -> Result<Sample> {
    let parsed: Vec<Line> = lines
        .lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("tidelock bench printed: {line}")))
        .collect::<Result<_>>()?;
    let line = parsed.into_iter().find(|line| line.workload == workload);
    let line = line.with_context(|| format!("tidelock bench printed no line for {workload}"))?;
    // A hit costs the device nothing, and one commit writes many blocks: what fio counts is what the device did.
    let transfers = line.device_reads + line.device_writes;
    Ok(Sample {
        iops: transfers / line.seconds,
        bytes_per_second: line.bytes / line.seconds,
        p50_ns: line.p50_ns,
        cpu_ns: line.cpu_ns_per_op * line.ops / transfers,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = concat!(
        r#"{"workload":"uniform","ops":9,"seconds":1.0,"p50_ns":20,"device_reads":0,"device_writes":0,"cpu_ns_per_op":20,"bytes":0}"#,
        "\n",
        r#"{"workload":"cold-read","threads":1,"depth":32,"block_size":4096,"ops":1010,"seconds":2.0,"ns_per_op":1,"#,
        r#""p50_ns":90000,"device_reads":1000,"device_writes":0,"cpu_ns_per_op":1500.0,"bytes":4096000}"#,
        "\n"
    );

    #[test]
    fn the_line_of_the_workload_is_read() {
        let sample = parse(LINES, "cold-read").unwrap();
        let expected =
            Sample { iops: 500.0, bytes_per_second: 2_048_000.0, p50_ns: 90_000.0, cpu_ns: 1515.0 };
        assert_eq!(sample, expected);
    }

    #[test]
    fn a_missing_workload_and_a_line_of_prose_are_errors_that_say_so() {
        assert!(parse(LINES, "commit").unwrap_err().to_string().contains("commit"));
        assert!(parse("done!\n", "commit").unwrap_err().to_string().contains("done!"));
    }
}
