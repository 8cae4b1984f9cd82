//! A whole cluster of Tidelock's locks in one thread, from one seed: real clients, real servers, and a world around them in
//! which everything goes wrong that can.
//!
//! The machines are those that run in production: [`Client`](tidelock_lock_client::Client) with its desk, its fast path and
//! its session, and [`Server`](tidelock_lock_server::Server), two or three of which campaign at one authority. What is
//! simulated is what they are given: clocks, a network, the time that a record takes, an embedder with a cache, a store,
//! people who use locks, and the [`Fault`]s. Everything is drawn from the seed before or while the run goes on, in one
//! thread and without a hash map's order, so a seed is a run: twice the same, to the byte.
//!
//! ```
//! use tidelock_sim::{Settings, run};
//!
//! let report = run(7, &Settings::default());
//! assert_eq!(report.violation, None);
//! assert_eq!(report.digest, run(7, &Settings::default()).digest);
//! ```
//!
//! A run has three parts. In the first, faults happen. Then nothing goes wrong any more, everybody uses every lock once, and
//! whoever still waits after a long time has been forgotten. Then everybody leaves, and nothing may be left. What has to hold
//! all the while are the [`Property`]s. That each of them can fail is shown by planted bugs: the [`Canary`]s.
//!
//! [`shrink()`] makes a failing seed small; [`Fleet`] runs many.
#![forbid(unsafe_code)]

mod canary;
mod clock;
mod facts;
mod fault;
mod fleet;
mod log;
mod plan;
mod properties;
mod queue;
mod quiet;
mod random;
mod report;
mod run;
mod settings;
mod shrink;
mod world;

#[cfg(test)]
mod tests;

pub use canary::Canary;
pub use fault::{Fault, Faults, Tally, UnknownFault};
pub use fleet::{Fleet, Summary};
pub use properties::{Property, Violation};
pub use report::{Counts, Report};
pub use run::run;
pub use settings::Settings;
pub use shrink::{Shrunk, shrink};
