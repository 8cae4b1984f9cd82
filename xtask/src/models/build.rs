//! Building a crate's models, and asking the built program for their names.

use std::io::Cursor;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use cargo_metadata::Message;

use super::Tool;
use crate::process::{announce, cargo, output, target};

/// One model of one built program.
#[derive(Clone, Debug)]
pub(super) struct Model {
    /// The crate's folder.
    pub(super) folder: String,
    /// The test's path in its crate.
    pub(super) path: String,
    /// The program that holds it.
    pub(super) program: PathBuf,
}

/// Where the code under test is made weaker than it should be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weakening<'a> {
    /// Value of the cfg `tidelock_weaken`.
    pub(super) name: &'a str,
    /// The switch is in another crate than the model, so every crate must be built with it.
    pub(super) elsewhere: bool,
}

/// The models of a crate as it ships.
pub(super) fn sound(tool: &Tool, folder: &str) -> Result<Vec<Model>> {
    let mut command = release(tool, &[]);
    command.args(["test", "--lib", "--no-run", "--release", "-p", &package(folder)]);
    models(tool, folder, &mut command)
}

/// The models of a crate with one step taken out of the code under test.
///
/// `cargo rustc` hands the cfg to that one crate, so its dependencies are not built again for each weakening.
pub(super) fn weakened(tool: &Tool, folder: &str, weakening: Weakening<'_>) -> Result<Vec<Model>> {
    let flags = ["--cfg".to_owned(), format!("tidelock_weaken=\"{}\"", weakening.name)];
    if weakening.elsewhere {
        let mut command = release(tool, &flags);
        command.args(["test", "--lib", "--no-run", "--release", "-p", &package(folder)]);
        return models(tool, folder, &mut command);
    }
    let mut command = release(tool, &[]);
    // Profile `bench` is how `cargo rustc` says: the test harness, with the release profile's settings.
    command.args(["rustc", "--lib", "--profile", "bench", "-p", &package(folder)]);
    command.arg("--message-format=json-render-diagnostics").arg("--").args(flags);
    built(tool, folder, &mut command)
}

/// Cargo with the tool's cfg, every assertion on, and no link-time optimisation: it would cost more than it returns.
fn release(tool: &Tool, flags: &[String]) -> Command {
    let flags = [&["--cfg".to_owned(), tool.cfg.to_owned()], flags].concat();
    let mut command = cargo();
    command
        // It would win over RUSTFLAGS.
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env("RUSTFLAGS", flags.join(" "))
        .env("CARGO_TARGET_DIR", target(tool.name))
        .env("CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS", "true")
        .env("CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS", "true")
        .env("CARGO_PROFILE_RELEASE_LTO", "off");
    command
}

fn models(tool: &Tool, folder: &str, command: &mut Command) -> Result<Vec<Model>> {
    built(tool, folder, command.arg("--message-format=json-render-diagnostics"))
}

fn built(tool: &Tool, folder: &str, command: &mut Command) -> Result<Vec<Model>> {
    announce(command);
    let messages = output(command)?;
    let program = Message::parse_stream(Cursor::new(messages))
        .filter_map(|message| match message {
            Ok(Message::CompilerArtifact(artifact)) => artifact.executable,
            _ => None,
        })
        .last()
        .with_context(|| format!("cargo built no test program for {folder}"))?
        .into_std_path_buf();
    let listing = output(Command::new(&program).args(["--list", "--format", "terse"]))?;
    let paths = listing.lines().filter_map(|line| line.strip_suffix(": test"));
    Ok(paths
        .filter(|path| is_model(tool.name, path))
        .map(|path| Model { folder: folder.into(), path: path.into(), program: program.clone() })
        .collect())
}

fn is_model(tool: &str, path: &str) -> bool {
    path.split("::").any(|part| part.strip_prefix(tool).is_some_and(|rest| rest.starts_with('_')))
}

fn package(folder: &str) -> String {
    format!("tidelock-{folder}")
}

#[cfg(test)]
mod tests {
    use super::is_model;

    #[test]
    fn a_model_is_named_by_its_tool_in_its_module_or_in_itself() {
        assert!(is_model("loom", "tests::loom_evict::one_party_wins"));
        assert!(is_model("loom", "word::loom_two_writers"));
        assert!(!is_model("loom", "tests::shuttle_cache::holds"));
        assert!(!is_model("loom", "tests::looming_limits"));
    }
}
