//! `fuzz`: the same targets in two ways. Guided by coverage they need cargo-fuzz and a C++ compiler; as properties they
//! run on any stable toolchain.

use anyhow::{Result, bail};

use crate::process::{Prerequisite, answers, cargo, output, run as step};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The target to run; without it, each in turn (`--list` names them)
    target: Option<String>,
    /// How long each target runs
    #[arg(long, default_value_t = 60, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Run the targets as properties on stable Rust; nothing to install
    #[arg(long, conflicts_with_all = ["target", "seconds", "list"])]
    properties: bool,
    /// With --properties: cases for each property
    #[arg(long, default_value_t = 4096, value_name = "N", requires = "properties",
          value_parser = clap::value_parser!(u32).range(1..))]
    cases: u32,
    /// Name the targets and stop
    #[arg(long, conflicts_with = "target")]
    list: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    if args.properties {
        return step(
            cargo()
                .args(["test", "--release", "-p", "tidelock-fuzz"])
                .env("PROPTEST_CASES", args.cases.to_string()),
        );
    }
    if !answers("cargo-fuzz", "--version") {
        bail!(Prerequisite(
            "cargo-fuzz is not installed: `cargo install --locked cargo-fuzz` (needs a C++ compiler), or run the same \
             targets as properties: `cargo xtask fuzz --properties`"
                .into()
        ));
    }
    let known = output(cargo().args(["fuzz", "list", "--fuzz-dir", "fuzz"]))?;
    if args.list {
        print!("{known}");
        return Ok(());
    }
    for target in chosen(args.target.as_deref(), &known)? {
        // The sanitizers and the coverage hooks are unstable flags; the code itself stays stable Rust.
        step(
            cargo()
                .env("RUSTC_BOOTSTRAP", "1")
                .args(["fuzz", "run", "--fuzz-dir", "fuzz", target, "--"])
                .arg(format!("-max_total_time={}", args.seconds)),
        )?;
    }
    Ok(())
}

fn chosen<'a>(wanted: Option<&str>, known: &'a str) -> Result<Vec<&'a str>> {
    let names: Vec<&str> = known.lines().map(str::trim).filter(|name| !name.is_empty()).collect();
    let chosen: Vec<&str> =
        names.iter().copied().filter(|name| wanted.is_none_or(|wanted| wanted == *name)).collect();
    if chosen.is_empty() {
        bail!(Prerequisite(format!("no such fuzz target; there are: {}", names.join(", "))));
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::chosen;

    #[test]
    fn an_unknown_target_is_answered_with_the_known_ones() {
        let error = chosen(Some("heder"), "cache_ops\nheader\n").unwrap_err().to_string();
        assert!(error.contains("cache_ops, header"), "{error}");
        assert_eq!(chosen(Some("header"), "cache_ops\nheader\n").unwrap(), ["header"]);
        assert_eq!(chosen(None, "cache_ops\nheader\n").unwrap().len(), 2);
    }
}
