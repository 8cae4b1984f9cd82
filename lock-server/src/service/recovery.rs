//! Recovery: from when a server begins until it grants.
//!
//! Missing is every session of an earlier term that may hold something which this server does not know: its client has not
//! come, or has not told all, or it is being ended and its lease may not be over. While somebody is missing, nobody is granted
//! anything (K5); who wants something waits, and is served when it is over. New clients get sessions all the while.
//!
//! Whoever does not come is not waited for any longer than the plan's grace, counted anew whenever somebody gets on, and
//! `grace_max` at the most. It is expelled then; that its lease is over counts from when this server began, at the latest.
//!
//! That the grace is over is durable before anything is granted: should the server die right after, its successor has to
//! ask those who hold something now, and not those who did before.

use std::time::Duration;

use tidelock_authority::{AuthorityError, Change, Outcome};

use super::changes::Purpose;
use super::timers::Timer;
use super::{Effect, Expulsion, Notice, Phase, Seat, Server};

impl Server {
    /// When those who are missing are not waited for any longer.
    pub(super) fn grace_ends(&self) -> Duration {
        let plan = self.config.plan;
        let most = self.began + plan.grace_max;
        (self.progress + plan.grace).min(most).max(self.deaf_until)
    }

    /// The time for those who are missing may be over.
    pub(super) fn look_at_grace(&mut self) {
        if self.phase != Phase::Recovering || self.missing.is_empty() {
            return;
        }
        let ends = self.grace_ends();
        if self.now < ends {
            return self.timers.set(ends, Timer::Grace);
        }
        let missing: Vec<Seat> = self.missing.iter().copied().collect();
        for seat in missing {
            self.give_up(seat);
        }
    }

    fn give_up(&mut self, seat: Seat) {
        use super::session::Stage;
        let has_told = self.sessions.get(seat).is_some_and(|session| session.stage == Stage::Told);
        if !has_told {
            self.expel(seat, Expulsion::Missing);
        }
    }

    /// Somebody may have been the last who was missing.
    pub(super) fn look_at_recovery(&mut self) {
        let is_over = self.phase == Phase::Recovering && self.missing.is_empty();
        if is_over && !self.changes.has(Purpose::EndGrace) {
            self.ask(Purpose::EndGrace, Change::EndGrace);
        }
    }

    pub(super) fn grace_ended(&mut self, result: Result<Outcome, AuthorityError>) {
        if let Err(error) = result {
            return self.records_disagree(error);
        }
        if self.phase == Phase::Recovering {
            self.phase = Phase::Serving;
            self.effects.push(Effect::Notice(Notice::Recovered));
            let mut answers = std::mem::take(&mut self.answers);
            self.grants.open(self.now, &mut answers);
            self.pass_on(answers);
        }
    }
}
