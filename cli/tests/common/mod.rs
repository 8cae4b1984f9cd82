//! Running the command, and files for it to work on.

use std::path::Path;
use std::process::{Command, Output};

/// The command, with these arguments.
pub(crate) fn tidelock<'a>(args: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidelock"));
    command.args(args);
    command
}

/// Runs `tidelock bench cache` with these arguments, separated by spaces, in `folder`.
pub(crate) fn bench(folder: &Path, args: &str) -> Output {
    let args = ["bench", "cache"].into_iter().chain(args.split_whitespace());
    tidelock(args).current_dir(folder).output().expect("the command was built")
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

/// Fails with everything that was printed unless the exit code is `code`.
pub(crate) fn expect_code(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "stdout: {}\nstderr: {}", stdout(output), stderr(output));
}

/// Whether nothing was left in `folder`.
#[allow(dead_code, reason = "not every file of tests looks there")]
pub(crate) fn is_empty(folder: &Path) -> bool {
    folder.read_dir().expect("a folder").next().is_none()
}
