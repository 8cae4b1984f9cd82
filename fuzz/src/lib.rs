//! Fuzz targets, as functions of bytes that panic when something does not hold.
//!
//! Each is run in two ways. Guided by coverage, by a program in `fuzz_targets/` that only `cargo fuzz` builds in full
//! (built as usual the same program replays inputs). And as properties on any stable toolchain, in `tests/`, which also
//! replays the corpus.
//!
//! `machine` runs operations against a cache and a [`Model`](model::Model) side by side: it is the reference that says
//! what a sequence of operations must come to, whoever thought of it.
//!
//! `session`, `server` and `client` are machines that talk, each with peers who say anything in any order, and as often as not
//! what the protocol asks for: who is wrong from the first word on is not listened to any further. A peer may lose its own
//! session by that. It must not make a machine panic, loop or grow, nor keep others from being served.
#![forbid(unsafe_code)]

pub mod carrier;
pub mod client;
pub mod figure;
mod frame;
mod header;
mod lock_message;
pub mod machine;
pub mod model;
pub mod operation;
pub mod server;
pub mod session;
pub mod speech;

use std::io;

use arbitrary::Unstructured;

pub use client::client_ops;
pub use frame::frame_decode;
pub use header::header_decode;
pub use lock_message::lock_message_decode;
use machine::Machine;
use operation::Operation;
pub use server::server_ops;
pub use session::session_ops;

/// Operations that one input is good for.
const OPERATIONS_MAX: usize = 300;

/// Takes `data` as a sequence of operations, and compares a cache with the model after each.
pub fn cache_ops(data: &[u8]) {
    let mut bytes = Unstructured::new(data);
    let operations =
        std::iter::from_fn(|| if bytes.is_empty() { None } else { bytes.arbitrary::<Operation>().ok() });
    Machine::run(operations.take(OPERATIONS_MAX));
}

/// Runs `target` on every file that the program was given.
///
/// # Errors
/// When a file cannot be read.
pub fn replay(target: fn(&[u8])) -> io::Result<()> {
    std::env::args_os().skip(1).try_for_each(|path| {
        println!("{}", path.display());
        target(&std::fs::read(path)?);
        Ok(())
    })
}
