//! Child processes: cargo and the tools it stands beside.
//!
//! A verb prints what it runs before running it, so that anyone can repeat the step by hand. A child with a deadline is
//! killed when the deadline passes, and that outcome is its own: neither passed nor failed.

use std::env;
use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Something the caller must do before the verb can run: ends the program with exit code 2.
#[derive(Debug)]
pub(crate) struct Prerequisite(pub(crate) String);

impl std::fmt::Display for Prerequisite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Prerequisite {}

/// How a child with a deadline ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Exit code 0.
    Passed,
    /// Any other exit code, or death by a signal.
    Failed,
    /// Killed at its deadline; nothing is known.
    Stopped,
}

/// The workspace's folder: the parent of this crate's.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the workspace")
}

/// Where cargo builds; variants with their own flags build in a folder below it, so that they do not evict each other.
pub(crate) fn target(variant: &str) -> PathBuf {
    let base = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    root().join(base).join(variant)
}

/// The cargo that runs this program, in the workspace's folder.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Does `program` exist and answer to `probe`?
pub(crate) fn answers(program: impl AsRef<OsStr>, probe: &str) -> bool {
    let silent = Command::new(program).arg(probe).stdin(Stdio::null()).output();
    silent.is_ok_and(|output| output.status.success())
}

/// Runs to the end with inherited output; any exit code but 0 is an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    announce(command);
    let status = command.status().with_context(|| format!("cannot start {}", shown(command)))?;
    ended(command, status)
}

/// Runs to the end and returns what it printed on standard output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {}", shown(command)))?;
    ended(command, output.status)?;
    String::from_utf8(output.stdout).with_context(|| format!("{} printed no UTF-8", shown(command)))
}

/// Runs with all output in `log`, and kills the child when `limit` has passed.
pub(crate) fn within(command: &mut Command, limit: Duration, log: &Path) -> Result<Ending> {
    let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    let deadline = Instant::now() + limit;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .spawn()
        .with_context(|| format!("cannot start {}", shown(command)))?;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(if status.success() { Ending::Passed } else { Ending::Failed });
        }
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            return Ok(Ending::Stopped);
        }
        sleep(Duration::from_millis(10));
    }
}

/// Prints a command as a person would type it, with the variables that were set for it.
pub(crate) fn announce(command: &Command) {
    eprintln!("$ {}", shown(command));
}

fn shown(command: &Command) -> String {
    let variables = command
        .get_envs()
        .filter_map(|(name, value)| Some(format!("{}={}", name.to_string_lossy(), quoted(value?))));
    // Cargo is found by its name; a program that cargo built is not.
    let path = Path::new(command.get_program());
    let program = path.file_name().filter(|name| *name == "cargo").unwrap_or(path.as_os_str());
    let words = std::iter::once(program).chain(command.get_args()).map(quoted);
    variables.chain(words).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    if word.contains([' ', '"', '$', '*']) { format!("'{word}'") } else { word.into_owned() }
}

fn ended(command: &Command, status: ExitStatus) -> Result<()> {
    if !status.success() {
        bail!("`{}` ended with {status}", shown(command));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ending(script: &str, limit: Duration) -> Ending {
        let folder = tempfile::tempdir().unwrap();
        within(Command::new("sh").args(["-c", script]), limit, &folder.path().join("log")).unwrap()
    }

    #[test]
    fn a_child_that_outlives_its_deadline_is_stopped_not_failed() {
        assert_eq!(ending("exec sleep 30", Duration::from_millis(50)), Ending::Stopped);
    }

    #[test]
    fn death_by_a_signal_is_a_failure() {
        assert_eq!(ending("kill -9 $$", Duration::from_secs(10)), Ending::Failed);
        assert_eq!(ending("exit 101", Duration::from_secs(10)), Ending::Failed);
        assert_eq!(ending("exit 0", Duration::from_secs(10)), Ending::Passed);
    }

    #[test]
    fn a_command_is_shown_as_it_would_be_typed() {
        let mut command = Command::new("/usr/bin/cargo");
        command.env("RUSTFLAGS", "--cfg x").args(["test", "--lib"]);
        assert_eq!(shown(&command), "RUSTFLAGS='--cfg x' cargo test --lib");
    }
}
