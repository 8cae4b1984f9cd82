//! One of the processes that take locks from each other.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rand::rngs::SmallRng;
use rand::{Rng, RngExt, SeedableRng};
use serde::{Deserialize, Serialize};
use tidelock_lock_client::Locks;
use tidelock_lock_proto::Mode;
use tidelock_net::transport::Address;

use super::ground::{client, range};
use super::history::{Op, Operation, Writer, letter, now};
use crate::error::CliError;
use crate::quantity;

/// How long the end may take.
const FAREWELL: Duration = Duration::from_secs(5);

/// Longest wait for one lock.
const WAIT_MAX: Duration = Duration::from_secs(60);

#[derive(Debug, clap::Args)]
pub(crate) struct WorkerArgs {
    #[arg(long)]
    pub(super) server: Address,
    #[arg(long)]
    pub(super) client: u32,
    #[arg(long)]
    pub(super) locks: u64,
    #[arg(long)]
    pub(super) write_share: f64,
    #[arg(long, value_parser = quantity::seconds)]
    pub(super) seconds: Duration,
    #[arg(long)]
    pub(super) history: Option<PathBuf>,
}

/// What one process tells at its end.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Told {
    pub(super) lost: u64,
    /// How many acquisitions took how many nanoseconds.
    pub(super) times: Vec<(u64, u64)>,
}

pub(crate) fn run(args: &WorkerArgs) -> Result<ExitCode, CliError> {
    let client = client(&args.server)?;
    let locks = client.locks();
    let mut worker = Worker {
        args,
        writer: Writer::at(args.history.as_deref()).map_err(CliError::failed)?,
        times: Histogram::new(3).expect("three digits"),
        lost: 0,
        random: SmallRng::seed_from_u64(args.client.into()),
    };
    let end = Instant::now() + args.seconds;
    while Instant::now() < end {
        worker.work(&locks)?;
    }
    let _report = client.shutdown(FAREWELL).destroy(FAREWELL);
    let times = worker.times.iter_recorded().map(|step| (step.value_iterated_to(), step.count_at_value()));
    let told = Told { lost: worker.lost, times: times.collect() };
    println!("{}", serde_json::to_string(&told).map_err(CliError::failed)?);
    Ok(ExitCode::SUCCESS)
}

struct Worker<'a> {
    args: &'a WorkerArgs,
    writer: Writer,
    times: Histogram<u64>,
    lost: u64,
    random: SmallRng,
}

impl Worker<'_> {
    /// Takes a lock, and drops it.
    fn work(&mut self, locks: &Locks) -> Result<(), CliError> {
        let lock = self.random.next_u64() % self.args.locks;
        let is_write = self.random.random_bool(self.args.write_share);
        let mode = if is_write { Mode::Write } else { Mode::Read };
        let begun = self.operation(lock, mode, Op::Acquire);
        self.writer.begins(&begun).map_err(CliError::failed)?;
        let guard = locks
            .lock(range(lock), mode)
            .wait_timeout(WAIT_MAX)
            .map_err(|_| CliError::failed(format!("lock {lock} was not to be had in {WAIT_MAX:?}")))?
            .map_err(CliError::failed)?;
        let end = now();
        self.times.saturating_record(end - begun.call);
        self.ended(&begun, end, true)?;
        let release = self.operation(lock, mode, if guard.is_valid() { Op::Release } else { Op::Lost });
        self.lost += u64::from(release.op == Op::Lost);
        self.writer.begins(&release).map_err(CliError::failed)?;
        drop(guard);
        self.ended(&release, now(), release.op == Op::Release)
    }

    fn operation(&self, lock: u64, mode: Mode, op: Op) -> Operation {
        Operation {
            client: self.args.client,
            lock,
            mode: letter(mode),
            op,
            call: now(),
            ret: None,
            ok: false,
        }
    }

    fn ended(&mut self, begun: &Operation, ret: u64, ok: bool) -> Result<(), CliError> {
        let ended = Operation { ret: Some(ret), ok, ..begun.clone() };
        self.writer.write(&ended).map_err(CliError::failed)
    }
}
