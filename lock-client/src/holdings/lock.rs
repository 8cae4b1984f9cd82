//! One lock, as its client sees it.
//!
//! ```text
//!            want                   granted                    told to come down
//!   nothing ------> asked, waiting ---------> held, usable -------------------------> draining
//!      ^                                         ^                                        |
//!      |                                         | something is left                      | nobody uses more
//!      |                                         |                                        v
//!      '---------------------------------------- '--------------------------------- invalidating
//!        nothing is left, and nobody waits             the caches are dropped
//! ```

use std::collections::VecDeque;

use tidelock_format::{KeyRange, Term, Token};
use tidelock_lock_proto::{Acquire, Change, Descent, Held, Mode};

use super::Ticket;

/// One lock that is held, wanted, or on its way out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Lock {
    pub(super) range: KeyRange,
    /// What others have to take it to be held as. One that comes down counts as before until it is down (H1).
    pub(super) held: Mode,
    /// Of the last grant.
    pub(super) token: Token,
    /// Changes whenever reading begins anew, and is never the same for two locks; zero while nothing may be read.
    pub(super) refresh: u64,
    /// What the present server was asked for, until it has answered (H2).
    pub(super) asked: Option<Mode>,
    /// Who waits here, first come first.
    pub(super) waiters: VecDeque<(Ticket, Mode)>,
    /// What it has to come down for, oldest first. The first is being carried out.
    pub(super) demands: VecDeque<Demand>,
    pub(super) stage: Stage,
    /// Whether it may be used as less than it is held as, until it is opened again.
    pub(super) is_narrowed: bool,
}

/// Why a lock has to come down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Demand {
    /// This client gives it back by itself.
    Own(Mode),
    /// The server of that term told it to.
    Told(Term, Descent),
}

/// How far the first demand has got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Stage {
    /// There is none.
    #[default]
    Resting,
    /// Some still use what is not to be left.
    Draining,
    /// Nobody does, and caches are being dropped.
    Invalidating,
}

impl Demand {
    pub(super) fn to(&self) -> Mode {
        match self {
            Demand::Own(to) => *to,
            Demand::Told(_, descent) => descent.change.to,
        }
    }
}

impl Lock {
    pub(super) fn new(range: KeyRange) -> Self {
        Self {
            range,
            held: Mode::Null,
            token: Token::default(),
            refresh: 0,
            asked: None,
            waiters: VecDeque::new(),
            demands: VecDeque::new(),
            stage: Stage::Resting,
            is_narrowed: false,
        }
    }

    /// Whether `mode` is less than what it is held as.
    pub(super) fn is_above(&self, mode: Mode) -> bool {
        mode != self.held && (mode == Mode::Null || self.held.satisfies(mode))
    }

    /// What may be used of it now.
    pub(super) fn usable(&self) -> Mode {
        match self.demands.front() {
            Some(demand) if self.is_above(demand.to()) => demand.to(),
            _ => self.held,
        }
    }

    /// Whether asking has to wait: it comes down by itself, or for a server that is gone. The present server takes it to have
    /// what it had, and would find the question pointless.
    pub(super) fn is_held_up(&self, term: Term) -> bool {
        self.demands.iter().any(|demand| !matches!(demand, Demand::Told(told, _) if *told == term))
    }

    /// What to ask the server of `term` for now.
    pub(super) fn question(&self, term: Term) -> Option<Acquire> {
        let (_, to) = *self.waiters.front()?;
        let is_due = self.asked.is_none() && !self.is_held_up(term);
        is_due.then_some(Acquire { range: self.range, change: Change { from: self.held, to } })
    }

    /// What a new server is told of it.
    pub(super) fn entry(&self) -> Option<Held> {
        let held = Held { range: self.range, mode: self.held, token: self.token };
        (self.held != Mode::Null).then_some(held)
    }

    /// Comes down by itself: what to tell the server.
    pub(super) fn release(&mut self, to: Mode) -> Descent {
        let change = Change { from: self.held, to };
        self.held = to;
        Descent { start: self.range.start(), token: self.token, change }
    }

    /// Whether there is nothing left that it would have to be remembered for.
    pub(super) fn is_nothing(&self) -> bool {
        let is_wanted = self.asked.is_some() || !self.waiters.is_empty();
        self.held == Mode::Null && !is_wanted && self.demands.is_empty()
    }
}
