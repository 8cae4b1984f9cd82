//! Servers that are killed, or replaced on purpose, under processes that hold many locks and take others without pause.
//!
//! A program of their own, and one test at a time: they keep every processor of a small machine busy, and tell what they
//! measured (`--nocapture`).

mod handing_over;
mod holder;
mod recovering;
#[path = "../serving/mod.rs"]
mod serving;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Until the test that has this is over, the others wait.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}
