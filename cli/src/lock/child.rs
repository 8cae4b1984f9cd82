//! The command that runs while the lock is held.

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tidelock_lock_client::Guard;

use super::OnLoss;
use crate::error::{CliError, LOST};

/// How often to look at the command and at the lock. A lock that is lost has been out of this client's hands for its lease's
/// margin at least, and the command has as long to end.
const PAUSE: Duration = Duration::from_millis(20);

/// How long a command has to end after SIGTERM.
const PATIENCE: Duration = Duration::from_secs(5);

/// Runs the command. Its exit code, as a shell would tell it; or that the lock was lost.
pub(super) fn run(command: &[String], guard: &Guard<'_>, on_loss: OnLoss) -> Result<u8, CliError> {
    let [program, arguments @ ..] = command else { unreachable!("clap asks for a command") };
    // The command hears Ctrl-C too, and ends; the lock is held until it has.
    ctrlc::set_handler(|| {}).map_err(CliError::failed)?;
    let mut child = Command::new(program)
        .args(arguments)
        .spawn()
        .map_err(|error| CliError::input(format!("COMMAND: {program} cannot be run: {error}")))?;
    loop {
        if let Some(status) = child.try_wait().map_err(CliError::failed)? {
            return Ok(code(status));
        }
        if on_loss == OnLoss::Terminate
            && let Err(error) = guard.check()
        {
            eprintln!("error: {error}: {program} is told to end");
            end(&mut child)?;
            return Ok(LOST);
        }
        std::thread::sleep(PAUSE);
    }
}

fn code(status: ExitStatus) -> u8 {
    let code = status.code().or(status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

fn end(child: &mut Child) -> Result<(), CliError> {
    // A process that has ended by itself meanwhile needs no signal.
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let _gone = pid.map(|pid| kill_process(pid, Signal::TERM));
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if child.try_wait().map_err(CliError::failed)?.is_some() {
            return Ok(());
        }
        std::thread::sleep(PAUSE);
    }
    let _gone = child.kill();
    child.wait().map(drop).map_err(CliError::failed)
}
