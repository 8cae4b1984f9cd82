//! Many processes, and locks that they take from each other.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use hdrhistogram::Histogram;

use super::ground::Ground;
use super::row::{Row, Rows};
use super::worker::Told;
use super::{LocksArgs, history};
use crate::error::CliError;

pub(super) fn run(args: &LocksArgs, rows: &mut Rows) -> Result<(), CliError> {
    let ground = Ground::unix()?;
    let folder = tempfile::tempdir().map_err(CliError::failed)?;
    let parts: Vec<PathBuf> =
        (0..args.clients).map(|client| folder.path().join(client.to_string())).collect();
    let workers: Vec<Child> = parts
        .iter()
        .enumerate()
        .map(|(client, part)| start(args, &ground, client, args.history.is_some().then_some(part)))
        .collect::<Result<_, _>>()?;
    let mut times: Histogram<u64> = Histogram::new(3).expect("three digits");
    let mut lost = 0;
    for worker in workers {
        let told = end(worker)?;
        lost += told.lost;
        told.times.iter().for_each(|(value, count)| times.saturating_record_n(*value, *count));
    }
    if let Some(path) = &args.history {
        history::join(&parts, path).map_err(|error| CliError::input(format!("--history: {error}")))?;
    }
    rows.add(row(args, &times, lost));
    Ok(())
}

fn start(
    args: &LocksArgs,
    ground: &Ground,
    client: usize,
    part: Option<&PathBuf>,
) -> Result<Child, CliError> {
    let program = std::env::current_exe().map_err(CliError::failed)?;
    let mut command = Command::new(program);
    command
        .args(["bench", "locks-worker", "--server", &ground.address.to_string()])
        .args(["--client", &client.to_string(), "--locks", &args.locks.to_string()])
        .args(["--write-share", &args.write_share.to_string()])
        .args(["--seconds", &args.seconds.as_secs_f64().to_string()])
        .args(part.iter().flat_map(|part| [Path::new("--history"), part.as_path()]))
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    command.spawn().map_err(CliError::failed)
}

fn end(worker: Child) -> Result<Told, CliError> {
    let output = worker.wait_with_output().map_err(CliError::failed)?;
    if !output.status.success() {
        return Err(CliError::failed(format!("a process ended with {}", output.status)));
    }
    serde_json::from_slice(&output.stdout).map_err(CliError::failed)
}

fn row(args: &LocksArgs, times: &Histogram<u64>, lost: u64) -> Row {
    let seconds = args.seconds.as_secs_f64();
    let rate = times.len() as f64 / seconds;
    let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|quantile| times.value_at_quantile(quantile));
    let what = format!(
        "{} processes, {} locks, {:.0} % writing: {:.0} a second, half within {:.1} us, 99 % within {:.1} us",
        args.clients,
        args.locks,
        args.write_share * 100.0,
        rate,
        p50 as f64 / 1000.0,
        p99 as f64 / 1000.0
    );
    Row::new("processes", what)
        .with("clients", args.clients)
        .with("locks", args.locks)
        .with("write_share", args.write_share)
        .with("seconds", seconds)
        .with("ops", times.len())
        .with("p50_ns", p50)
        .with("p99_ns", p99)
        .with("p999_ns", p999)
        .with("lost", lost)
}
