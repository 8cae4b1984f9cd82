//! What is to be looked at, and when.
//!
//! A timer says "look again": whoever is looked at decides by its own state whether it is time. So nothing is ever taken
//! back, and one that finds nothing to do does nothing.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::{Connection, Seat, Ticket};

/// Who is to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// The server: it begins.
    Begin,
    /// A connection that may not have greeted.
    Stranger(Connection),
    /// A session whose lease may be over.
    Lease(Seat),
    /// The recovery, whose time may be over.
    Grace,
    /// A change that is to be asked for again.
    Retry(Ticket),
    /// Tombstones that may have expired.
    Sweep,
}

/// Timers by when they are due.
#[derive(Clone, Debug, Default)]
pub(super) struct Timers(BinaryHeap<Reverse<(Duration, Timer)>>);

impl Timers {
    pub(super) fn set(&mut self, at: Duration, timer: Timer) {
        self.0.push(Reverse((at, timer)));
    }

    pub(super) fn next(&self) -> Option<Duration> {
        self.0.peek().map(|Reverse((at, _))| *at)
    }

    /// One that is due.
    pub(super) fn due(&mut self, now: Duration) -> Option<Timer> {
        self.next().filter(|at| *at <= now)?;
        self.0.pop().map(|Reverse((_, timer))| timer)
    }
}
