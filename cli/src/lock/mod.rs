//! `tidelock lock`: holds a cluster lock while a command runs, as flock(1) does with a file.

mod child;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use tidelock_format::KeyRange;
use tidelock_lock_client::{Cause, Invalidate, Invalidation, LockClient, LockError, Options};
use tidelock_lock_proto::Mode;

use crate::error::{CliError, TIMED_OUT};
use crate::server_args::ServerArgs;
use crate::{key_range, quantity};

const EXAMPLES: &str = "\
Examples:
  tidelock lock --server unix:/run/tidelock.sock --range 0..1024 --mode write -- make backup
  tidelock lock --server db1:7400 --range 7 --mode read --timeout 5 -- ./report
  tidelock lock --server unix:/run/tidelock.sock --range 7 --timeout 0 -- true   is it free?

All who use a service have to agree on its locks: two of them never share a key. The exit code is the command's; 75 if the
lock could not be had in time, 76 if it was lost while the command ran (which was told to end, see --on-loss).";

/// How long the end may take: somebody waits for the lock.
const FAREWELL: Duration = Duration::from_secs(2);

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct LockArgs {
    #[command(flatten)]
    server: ServerArgs,

    /// Keys that the lock covers: A..B without B, A..=B with it, or one key
    #[arg(long, value_name = "A..B", value_parser = key_range::parse)]
    range: KeyRange,

    /// Share the lock with other readers, or have it alone
    #[arg(long, value_enum, value_name = "MODE", default_value_t = ModeArg::Write)]
    mode: ModeArg,

    /// How long to wait for the lock; 0 not at all [default: for ever]
    #[arg(long, value_name = "SECONDS", value_parser = quantity::seconds_or_zero, allow_negative_numbers = true)]
    timeout: Option<Duration>,

    /// What becomes of the command if the lock is lost while it runs
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = OnLoss::Terminate)]
    on_loss: OnLoss,

    /// What to run while the lock is held, and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// How a lock is held.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ModeArg {
    /// Shared with other readers
    Read,
    /// By this command alone
    Write,
    /// Shared with others that write blindly
    WriteOnly,
}

impl From<ModeArg> for Mode {
    fn from(mode: ModeArg) -> Self {
        match mode {
            ModeArg::Read => Mode::Read,
            ModeArg::Write => Mode::Write,
            ModeArg::WriteOnly => Mode::WriteOnly,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnLoss {
    /// It gets SIGTERM, and SIGKILL five seconds later
    Terminate,
    /// It goes on, and is told nothing
    Ignore,
}

/// Nothing is cached here: whatever is called back can go.
struct Nothing;

impl Invalidate for Nothing {
    fn invalidate(&self, invalidation: Invalidation) {
        invalidation.done();
    }

    fn lost(&self, _: Cause) {}
}

pub(crate) fn run(args: &LockArgs) -> Result<ExitCode, CliError> {
    let options = Options { connect: args.server.connect()?, ..Options::new(args.server.server.clone()) };
    let client = LockClient::start(options, Arc::new(Nothing)).map_err(CliError::failed)?;
    let locks = client.locks();
    let code = {
        let waiting = locks.lock(args.range, args.mode.into());
        let limit = args.timeout.map_or(Duration::MAX, |limit| limit.max(FIRST_ANSWER));
        match waiting.wait_timeout(limit) {
            Ok(guard) => child::run(&args.command, &guard.map_err(|error| refused(&error))?, args.on_loss)?,
            Err(_) => {
                eprintln!(
                    "error: --timeout: lock {} was not to be had in time from {}",
                    args.range, args.server.server
                );
                TIMED_OUT
            }
        }
    };
    // Whoever waits for the lock has it as soon as the server has heard this.
    let _report = client.shutdown(FAREWELL).destroy(FAREWELL);
    Ok(ExitCode::from(code))
}

/// Even who does not want to wait waits for the connection, and the server's answer.
const FIRST_ANSWER: Duration = Duration::from_millis(500);

fn refused(error: &LockError) -> CliError {
    let flag = match error {
        LockError::Overlaps { .. } => "--range",
        LockError::Mismatch(_) => "--server",
        _ => return CliError::failed(error),
    };
    CliError::input(format!("{flag}: {error}"))
}
