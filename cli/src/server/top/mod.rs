//! `tidelock top`: what a lock server is at, again and again.

mod sample;
#[cfg(feature = "top")]
mod screen;
mod text;

use std::process::ExitCode;

use self::sample::Sampler;
use super::args::TopArgs;
use super::ask::{print_json, print_line};
use crate::error::CliError;

pub(crate) fn run(args: &TopArgs) -> Result<ExitCode, CliError> {
    if args.interval.is_zero() {
        return Err(CliError::input("--interval: give more than 0 seconds"));
    }
    let mut sampler = Sampler::begin(&args.target)?;
    if !args.once && !args.json {
        return screen(&mut sampler, args);
    }
    loop {
        std::thread::sleep(args.interval);
        let sample = sampler.sample()?;
        if args.json { print_json(&sample) } else { print_line(&text::of(&sample)) }?;
        if args.once {
            return Ok(ExitCode::SUCCESS);
        }
    }
}

#[cfg(feature = "top")]
fn screen(sampler: &mut Sampler<'_>, args: &TopArgs) -> Result<ExitCode, CliError> {
    use std::io::IsTerminal;
    if !std::io::stdout().is_terminal() {
        return Err(CliError::input("--once: this is no terminal: give --once, or --json"));
    }
    screen::run(sampler, args.interval)?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(not(feature = "top"))]
fn screen(_: &mut Sampler<'_>, _: &TopArgs) -> Result<ExitCode, CliError> {
    Err(CliError::input("--once: this tidelock was built without a screen: give --once, or --json"))
}
