//! `fix`: format, and apply what clippy can apply by itself.

use anyhow::Result;

use crate::process::{cargo, run as step};

pub(crate) fn run() -> Result<()> {
    step(cargo().args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--fix",
        "--allow-dirty",
        "--allow-staged",
    ]))?;
    step(cargo().args(["fmt", "--all"]))
}
