//! How a session ends: farewell, expulsion, and a client that opened another, all by one way.
//!
//! | step | farewell | expelled | superseded | a server that begins right after it |
//! |---|---|---|---|---|
//! | intent | record: leaving | record: expelled | the record is the next session's | finds it there, and goes on |
//! | lease | - | waits | waits | waits for a whole lease |
//! | fence | - | raised | raised | need not wait |
//! | depart | locks go | locks go | locks go | has no locks of it |
//! | close | record deleted | tombstone for record | - | knows nothing of it any more |
//!
//! Every change can be asked for twice. What is done next follows from the session's step alone, so nothing is kept that would
//! have to be remembered over a failure.

use std::time::Duration;

use tidelock_authority::{AuthorityError, Change, Outcome};
use tidelock_format::ClientId;
use tidelock_net::Frame;

use super::changes::Purpose;
use super::session::{Cause, Ending, Stage, Step, Talk};
use super::timers::Timer;
use super::{Effect, Expulsion, Notice, Phase, Seat, Server};

impl Server {
    /// The session loses everything.
    pub(super) fn expel(&mut self, seat: Seat, why: Expulsion) {
        let Some(session) = self.sessions.get(seat).filter(|session| session.ending().is_none()) else {
            return;
        };
        let (client, incarnation) = (session.client, session.incarnation);
        self.counters.sessions_expelled += 1;
        self.effects.push(Effect::Notice(Notice::Expelled { client, incarnation, why: why.clone() }));
        self.end(seat, Cause::Expelled(why));
    }

    /// The session is being ended from here on (Y4), if it is not already.
    pub(super) fn end(&mut self, seat: Seat, cause: Cause) {
        let Some(session) = self.sessions.get_mut(seat) else { return };
        let client = session.client;
        if session.ending().is_none() {
            let step = if cause == Cause::Superseded { Step::Lease } else { Step::Intent };
            self.begin_ending(seat, cause, step);
        } else if cause == Cause::Superseded {
            self.hang_up(seat);
        }
        self.advance(client);
    }

    pub(super) fn begin_ending(&mut self, seat: Seat, cause: Cause, step: Step) {
        let wants = Some(self.grants.share(seat.holder()));
        let is_farewell = cause == Cause::Farewell;
        let Some(session) = self.sessions.get_mut(seat) else { return };
        session.stage = Stage::Ending(Ending { cause, step, wants });
        session.early = Vec::new();
        session.talk.forget();
        if !is_farewell {
            session.talk = Talk::new(0);
            self.hang_up(seat);
            self.arm_lease(seat);
        }
        self.work_at(seat);
    }

    fn hang_up(&mut self, seat: Seat) {
        let link = self.sessions.get_mut(seat).and_then(|session| session.link.take());
        link.into_iter().for_each(|connection| self.cut(connection));
    }

    // --- leases --------------------------------------------------------------------------------------------------------

    /// When the session's client has stopped to use what it holds, by the slowest of clocks.
    fn lease_ends(&self, seat: Seat) -> Duration {
        let heard = self.sessions.get(seat).and_then(|session| session.heard);
        heard.map_or(Duration::ZERO, |heard| heard + self.config.plan.server_waits_for())
    }

    pub(super) fn arm_lease(&mut self, seat: Seat) {
        let ends = self.lease_ends(seat).max(self.now);
        if let Some(session) = self.sessions.get_mut(seat).filter(|session| !session.is_timed) {
            session.is_timed = true;
            self.timers.set(ends, Timer::Lease(seat));
        }
    }

    /// The lease of a session may be over.
    pub(super) fn look_at_lease(&mut self, seat: Seat) {
        if self.phase == Phase::Stopping {
            return;
        }
        let ends = self.lease_ends(seat);
        let Some(session) = self.sessions.get_mut(seat) else { return };
        session.is_timed = false;
        let (client, is_ending) = (session.client, session.ending().is_some());
        if self.now < ends {
            self.arm_lease(seat);
        } else if is_ending {
            self.advance(client);
        } else if self.now >= self.deaf_until {
            self.expel(seat, Expulsion::Silent);
        } else {
            session.is_timed = true;
            self.timers.set(self.deaf_until, Timer::Lease(seat));
        }
    }

    // --- steps ---------------------------------------------------------------------------------------------------------

    /// Goes as far with a client's sessions as it can now.
    pub(super) fn advance(&mut self, client: ClientId) {
        if matches!(self.phase, Phase::Stopping | Phase::Stopped) {
            return;
        }
        // Bound: each round takes a session a step on, and there are five.
        while self.advance_one(client) {}
        if !self.is_changing(client) && !self.is_being_expelled(client) {
            self.ask_to_open(client);
        }
        self.tidy(client);
    }

    /// Y6.
    fn is_changing(&self, client: ClientId) -> bool {
        self.clients.get(&client).is_some_and(|lives| lives.change.is_some())
    }

    /// While its record says that it is expelled, the authority opens no session of it.
    fn is_being_expelled(&self, client: ClientId) -> bool {
        let session = self.present(client).and_then(|seat| self.sessions.get(seat));
        session
            .and_then(|session| session.ending())
            .is_some_and(|ending| matches!(ending.cause, Cause::Expelled(_)))
    }

    pub(super) fn tidy(&mut self, client: ClientId) {
        if self.clients.get(&client).is_some_and(|lives| lives.is_empty()) {
            self.clients.remove(&client);
        }
    }

    /// Whether some session of the client got a step on.
    fn advance_one(&mut self, client: ClientId) -> bool {
        let Some(lives) = self.clients.get(&client) else { return false };
        let seats: Vec<Seat> = lives.all().collect();
        seats.into_iter().any(|seat| self.move_on(client, seat))
    }

    fn move_on(&mut self, client: ClientId, seat: Seat) -> bool {
        let Some(session) = self.sessions.get(seat) else { return false };
        match &session.stage {
            Stage::Told => self.reclaim(client, seat),
            Stage::Ending(ending) => match ending.step {
                Step::Intent => self.ask_end(client, seat),
                Step::Lease => self.wait_for_lease(seat),
                // Y5: the fence covers the sessions before.
                Step::Fence => self.is_eldest(client, seat) && self.ask_end(client, seat),
                Step::Depart => false,
                // Y1: the record stays as long as something of an older session does.
                Step::Close => self.is_eldest(client, seat) && self.close(client, seat),
            },
            _ => false,
        }
    }

    fn is_eldest(&self, client: ClientId, seat: Seat) -> bool {
        self.clients.get(&client).is_some_and(|lives| lives.is_eldest(seat))
    }

    fn is_present(&self, client: ClientId, seat: Seat) -> bool {
        self.present(client) == Some(seat)
    }

    fn wait_for_lease(&mut self, seat: Seat) -> bool {
        let is_over = self.now >= self.lease_ends(seat);
        if is_over {
            self.set_step(seat, Step::Fence);
        }
        is_over
    }

    fn set_step(&mut self, seat: Seat, step: Step) {
        if let Some(ending) = self.sessions.get_mut(seat).and_then(|session| session.ending_mut()) {
            ending.step = step;
        }
    }

    fn reclaim(&mut self, client: ClientId, seat: Seat) -> bool {
        let Some(session) = self.sessions.get(seat).filter(|_| !self.is_changing(client)) else {
            return false;
        };
        let incarnation = session.incarnation;
        self.ask(Purpose::Reclaim(seat), Change::Reclaimed { client, incarnation });
        false
    }

    /// Asks for the change that the session's step is. It is not a step on before that is answered.
    fn ask_end(&mut self, client: ClientId, seat: Seat) -> bool {
        if self.is_changing(client) {
            return false;
        }
        if let Some(change) = self.end_change(client, seat) {
            self.ask(Purpose::End(seat), change);
        }
        false
    }

    fn end_change(&self, client: ClientId, seat: Seat) -> Option<Change> {
        let session = self.sessions.get(seat)?;
        let (ending, incarnation) = (session.ending()?, session.incarnation);
        let fence = Change::RaiseFence { client, to: incarnation };
        Some(match (ending.step, &ending.cause) {
            (Step::Intent, Cause::Farewell) => Change::LeaveSession { client, incarnation },
            (Step::Intent, Cause::Expelled(why)) => {
                Change::Expel { client, incarnation, reason: reason_of(why) }
            }
            (Step::Fence, _) => fence,
            (Step::Close, Cause::Farewell) if self.is_present(client, seat) => {
                Change::CloseSession { client, incarnation }
            }
            // The record is the next session's. That nothing is left of this one has to be known all the same.
            (Step::Close, Cause::Farewell) => fence,
            (Step::Close, Cause::Expelled(_)) => {
                Change::Bury { client, incarnation, expires_ms: self.tombstone_expires_ms() }
            }
            _ => return None,
        })
    }

    fn tombstone_expires_ms(&self) -> u64 {
        let stands = u64::try_from(self.config.tombstone.as_millis()).unwrap_or(u64::MAX);
        self.wall_ms.saturating_add(stands)
    }

    fn close(&mut self, client: ClientId, seat: Seat) -> bool {
        let session = self.sessions.get(seat).and_then(|session| session.ending());
        match session.map(|ending| &ending.cause) {
            Some(Cause::Superseded) => {
                self.gone(client, seat);
                true
            }
            _ => self.ask_end(client, seat),
        }
    }

    /// The change that a session's step is was made, or cannot be.
    pub(super) fn end_applied(&mut self, seat: Seat, result: Result<Outcome, AuthorityError>) {
        use AuthorityError::{Expelled, NoSession, SessionOver};
        if let Ok(Outcome::Fenced(epoch)) = result {
            self.fence = self.fence.max(epoch);
        }
        let Some(session) = self.sessions.get(seat) else { return };
        let (client, Some(ending)) = (session.client, session.ending()) else { return };
        match (result, ending.step, &ending.cause) {
            // Somebody expelled it meanwhile: it has no farewell any more.
            (Err(Expelled { reason, .. }), Step::Intent | Step::Close, Cause::Farewell) => {
                self.begin_ending(seat, Cause::Expelled(Expulsion::Before(reason)), Step::Lease);
            }
            // Its record is gone, or a later session's.
            (Ok(_) | Err(NoSession { .. } | SessionOver { .. }), step, cause) => {
                let is_farewell = *cause == Cause::Farewell;
                self.step_done(client, seat, step, is_farewell);
            }
            (Err(error), ..) => self.records_disagree(error),
        }
    }

    fn step_done(&mut self, client: ClientId, seat: Seat, step: Step, is_farewell: bool) {
        match step {
            Step::Intent if is_farewell => self.begin_departure(seat),
            Step::Intent => self.set_step(seat, Step::Lease),
            Step::Fence => self.begin_departure(seat),
            Step::Close => self.gone(client, seat),
            Step::Lease | Step::Depart => {}
        }
    }

    fn begin_departure(&mut self, seat: Seat) {
        self.set_step(seat, Step::Depart);
        self.work_at(seat);
    }

    // --- locks, a bounded number at a time -----------------------------------------------------------------------------

    /// Goes on with sessions of whose locks some are left to look at.
    pub(super) fn work_on(&mut self) {
        if self.phase == Phase::Stopping {
            return self.work.clear();
        }
        let Some(seat) = self.work.first().copied() else { return };
        self.work_at(seat);
    }

    /// Takes wants out, and then, at that step, locks back.
    pub(super) fn work_at(&mut self, seat: Seat) {
        let most = self.config.locks_per_step.max(1);
        let Some(session) = self.sessions.get(seat) else { return };
        let (client, Some(ending)) = (session.client, session.ending()) else { return };
        let (step, wants) = (ending.step, ending.wants);
        let mut answers = std::mem::take(&mut self.answers);
        let is_done = if step == Step::Depart {
            self.grants.depart(seat.holder(), most, self.now, &mut answers)
        } else {
            let left = wants.unwrap_or(0);
            let left = self.grants.withdraw(seat.holder(), left, most, self.now, &mut answers);
            self.set_wants(seat, left);
            left == 0
        };
        self.pass_on(answers);
        match is_done {
            false => _ = self.work.insert(seat),
            true => self.work_done(client, seat, step),
        }
    }

    fn set_wants(&mut self, seat: Seat, left: usize) {
        if let Some(ending) = self.sessions.get_mut(seat).and_then(|session| session.ending_mut()) {
            ending.wants = Some(left).filter(|left| *left > 0);
        }
    }

    fn work_done(&mut self, client: ClientId, seat: Seat, step: Step) {
        self.work.remove(&seat);
        if step == Step::Depart {
            self.set_step(seat, Step::Close);
            self.advance(client);
        }
    }

    // --- the end -------------------------------------------------------------------------------------------------------

    /// Nothing of the session is left.
    fn gone(&mut self, client: ClientId, seat: Seat) {
        debug_assert_eq!(self.grants.share(seat.holder()), 0, "Y3: it holds something still");
        let Some(session) = self.sessions.remove(seat) else { return };
        let expires_ms = self.tombstone_expires_ms();
        if let Stage::Ending(Ending { cause: Cause::Expelled(_), .. }) = session.stage {
            self.tombs.put(client, session.incarnation, expires_ms);
        }
        if let Some(connection) = session.link {
            let mut bytes = Vec::new();
            Frame::Goodbye.encode(&mut bytes);
            self.counters.writes += 1;
            self.effects.push(Effect::Write(connection, bytes));
            self.cut(connection);
        }
        if let Some(lives) = self.clients.get_mut(&client) {
            lives.forget(seat);
        }
        self.work.remove(&seat);
        self.missing.remove(&seat);
        self.look_at_recovery();
    }
}

/// A reason that a record takes.
fn reason_of(why: &Expulsion) -> String {
    let mut reason = why.to_string().replace('\0', "?");
    let end = reason.floor_char_boundary(1024);
    reason.truncate(end);
    reason
}
