//! Runs the block cache beside its peers and prints ratios; `--help` teaches.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser as _;
use tidelock_benches::cli::Arguments;

/// For every contender alike: most of them allocate one block per insert, and with glibc's malloc a block freed
/// by another thread than its maker costs more than the cache does.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match Arguments::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peers: {error}");
            ExitCode::from(2)
        }
    }
}
