//! Messages about locks: what is taken in from a session, and what goes to others because of it.
//!
//! A session of an earlier term first tells what it held, in parts. What it wants waits until it has told all: a want of a
//! lock that it holds in another mode has to find that grant. Where the server has no table from before, each part is
//! entered; where it has one, the client is asked to confirm it, and what it does not name it does not hold (Y9).

use tidelock_format::Key;
use tidelock_lock_proto::{Acquire, Held, Lost, Reason, Refused, Snapshot, ToClient, ToServer};

use super::session::Stage;
use super::{Effect, Notice, Offence, Seat, Server};
use crate::{Answer, RestoreError, Violation};

impl Server {
    pub(super) fn locks_message(&mut self, seat: Seat, message: ToServer) -> Result<(), Offence> {
        let Some(session) = self.sessions.get_mut(seat) else { return Ok(()) };
        match (message, &session.stage) {
            (ToServer::Snapshot(part), Stage::Telling) => self.told(seat, part),
            (ToServer::Snapshot(_), _) => return Err(Violation::OutOfPlace.into()),
            (ToServer::Acquire(acquire), Stage::Telling) => self.wants_early(seat, acquire),
            (message, _) => return self.step_grants(seat, message),
        }
        Ok(())
    }

    fn step_grants(&mut self, seat: Seat, message: ToServer) -> Result<(), Offence> {
        let mut answers = std::mem::take(&mut self.answers);
        let result = self.grants.step(seat.holder(), message, self.now, &mut answers);
        self.pass_on(answers);
        result.map_err(Offence::from)
    }

    /// Hands answers to those whom they are for.
    pub(super) fn pass_on(&mut self, mut answers: Vec<Answer>) {
        for (holder, message) in answers.drain(..) {
            self.tell(Seat::of(holder), message);
        }
        self.answers = answers;
    }

    fn tell(&mut self, seat: Seat, message: ToClient) {
        let Some(session) = self.sessions.get_mut(seat) else { return };
        // Y4.
        if session.ending().is_none() {
            match message {
                ToClient::Granted(_) => self.counters.grants_told += 1,
                ToClient::Revoke(_) => self.counters.revocations_told += 1,
                _ => {}
            }
            session.talk.tell(message);
            self.touch(seat);
        }
    }

    // --- recovery ----------------------------------------------------------------------------------------------------

    /// A part of what a client held and wanted.
    fn told(&mut self, seat: Seat, part: Snapshot) {
        self.progress = self.now;
        let Snapshot { held, wanted, is_last } = part;
        let last = [held.last().map(|held| held.range.start()), wanted.last().map(|want| want.range.start())];
        let upto = if is_last { Some(Key::MAX) } else { last.into_iter().flatten().max() };
        held.into_iter().for_each(|held| self.told_of(seat, held));
        wanted.into_iter().for_each(|acquire| self.wants_early(seat, acquire));
        if let Some(session) = self.sessions.get_mut(seat) {
            upto.into_iter().for_each(|upto| session.talk.tell(ToClient::SnapshotTaken(upto)));
            self.touch(seat);
        }
        if is_last {
            self.has_told(seat);
        }
    }

    fn wants_early(&mut self, seat: Seat, acquire: Acquire) {
        let Some(session) = self.sessions.get_mut(seat) else { return };
        if session.early.len() < self.config.limits.locks_per_client_max {
            return session.early.push(acquire);
        }
        let (start, wanted) = (acquire.range.start(), acquire.change.to);
        self.tell(seat, ToClient::Refused(Refused { start, wanted, reason: Reason::TooMany }));
    }

    fn told_of(&mut self, seat: Seat, held: Held) {
        let start = held.range.start();
        let Some(session) = self.sessions.get_mut(seat) else { return };
        if session.told < session.handed
            && let Some(is_taken) =
                self.grants.reconcile(seat.holder(), session.told, &held, self.now, &mut self.answers)
        {
            session.told += 1;
            let answers = std::mem::take(&mut self.answers);
            self.pass_on(answers);
            if !is_taken {
                self.lose(seat, held, None);
            }
            return;
        }
        if self.grants.share(seat.holder()) >= self.config.limits.locks_per_client_max {
            return self.lose(seat, held, Some(RestoreError::TooMany { start }));
        }
        if let Err(error) = self.grants.restore(seat.holder(), held, self.now) {
            self.lose(seat, held, Some(error));
        }
    }

    /// Of what the client has not told, it holds nothing.
    fn deny_untold(&mut self, seat: Seat) {
        let Some(session) = self.sessions.get_mut(seat).filter(|session| session.told < session.handed)
        else {
            // It has told of all.
            return;
        };
        session.told = session.handed;
        let mut answers = std::mem::take(&mut self.answers);
        self.grants.deny_untold(seat.holder(), self.now, &mut answers);
        self.pass_on(answers);
    }

    fn lose(&mut self, seat: Seat, held: Held, why: Option<RestoreError>) {
        self.counters.locks_lost += 1;
        let Some(session) = self.sessions.get(seat) else { return };
        let client = session.client;
        let why = why.filter(|why| !matches!(why, RestoreError::TooLate { .. }));
        self.effects.push(Effect::Notice(Notice::Lost { client, why }));
        self.tell(seat, ToClient::Lost(Lost { start: held.range.start(), token: held.token }));
    }

    /// The client has told all that it held, and what it wants can be taken in.
    pub(super) fn has_told(&mut self, seat: Seat) {
        self.deny_untold(seat);
        let is_missing = self.missing.contains(&seat);
        let Some(session) = self.sessions.get_mut(seat) else { return };
        session.stage = if is_missing { Stage::Told } else { Stage::Live };
        let (client, early) = (session.client, std::mem::take(&mut session.early));
        for acquire in early {
            // A want is granted, refused, or waits: it offends nobody.
            let _ = self.step_grants(seat, ToServer::Acquire(acquire));
        }
        self.counters.sessions_recovered += 1;
        self.advance(client);
    }
}
