//! What a client says in its session.

use tidelock_format::Incarnation;
use tidelock_lock_proto::ToServer;
use tidelock_net::{Arrival, Frame, Number};

use super::greeting::Link;
use super::session::{Cause, Stage};
use super::{Connection, Expulsion, Offence, Phase, Seat, Server};

impl Server {
    pub(super) fn heard(&mut self, connection: Connection, frame: Frame<'_>) {
        self.counters.frames_heard += 1;
        if self.phase == Phase::Stopping {
            return;
        }
        match self.links.get(connection) {
            None => {}
            Some(Link::Stranger(stranger)) => self.stranger_said(connection, stranger.clone(), frame),
            // A client that has not been answered says nothing.
            Some(Link::Opening(_)) => self.cut(connection),
            Some(Link::Session(seat)) => self.session_said(*seat, connection, frame),
        }
    }

    fn session_said(&mut self, seat: Seat, connection: Connection, frame: Frame<'_>) {
        let now = self.now;
        let Some(session) = self.sessions.get_mut(seat) else { return };
        // Y7.
        if session.link != Some(connection) {
            return;
        }
        session.heard = Some(now);
        session.is_confirmed = true;
        if session.stage == Stage::Doubted {
            self.has_told(seat);
        }
        match frame {
            Frame::Message { number, done, content } => self.message(seat, number, done, content),
            Frame::Report(done) => self.report(seat, done),
            Frame::Ping(number) => self.ping(seat, number),
            Frame::Pong(_) => {}
            Frame::Farewell => self.farewell(seat),
            _ => self.accuse(seat, Offence::Frame),
        }
    }

    fn ping(&mut self, seat: Seat, number: u64) {
        if let Some(session) = self.sessions.get_mut(seat) {
            session.talk.pong = Some(number);
            self.touch(seat);
        }
    }

    fn farewell(&mut self, seat: Seat) {
        // Y4: who says it twice has left already.
        if self.sessions.get(seat).is_some_and(|session| session.ending().is_none()) {
            self.counters.sessions_left += 1;
            self.end(seat, Cause::Farewell);
        }
    }

    fn report(&mut self, seat: Seat, done: Number) {
        let Some(session) = self.sessions.get_mut(seat) else { return };
        if let Err(violation) = session.talk.stream.peer_is_done(done) {
            return self.accuse(seat, violation);
        }
        if session.talk.backlog() > 0 {
            self.touch(seat);
        }
    }

    fn message(&mut self, seat: Seat, number: Number, done: Number, content: &[u8]) {
        self.report(seat, done);
        let Some(session) = self.sessions.get_mut(seat) else { return };
        // Y4.
        if session.ending().is_some() {
            return;
        }
        match session.talk.stream.arrived(number) {
            Ok(Arrival::Fresh) => self.fresh(seat, number, content),
            Ok(Arrival::Repeated) => {
                self.counters.messages_repeated += 1;
                session.talk.owes_report = true;
                self.touch(seat);
            }
            Err(violation) => self.accuse(seat, violation),
        }
    }

    fn fresh(&mut self, seat: Seat, number: Number, content: &[u8]) {
        if self.lets_too_much_wait(seat) {
            return self.not_now(seat, number);
        }
        let handled = match ToServer::decode(content) {
            Ok((envelope, message)) => self.enveloped(seat, envelope.incarnation, envelope.term, message),
            Err(malformed) => Err(malformed.into()),
        };
        if let Err(offence) = handled {
            return self.accuse(seat, offence);
        }
        self.counters.messages_heard += 1;
        let Some(session) = self.sessions.get_mut(seat) else { return };
        session.talk.stream.handled(number);
        session.talk.owes_report = true;
        self.touch(seat);
    }

    fn enveloped(
        &mut self,
        seat: Seat,
        incarnation: Incarnation,
        term: tidelock_format::Term,
        message: ToServer,
    ) -> Result<(), Offence> {
        let is_present = self.sessions.get(seat).is_some_and(|session| session.incarnation == incarnation);
        if !is_present || term != self.term {
            self.counters.messages_stale += 1;
            return Ok(());
        }
        self.locks_message(seat, message)
    }

    /// Y8.
    fn lets_too_much_wait(&self, seat: Seat) -> bool {
        let Some(session) = self.sessions.get(seat) else { return false };
        let (waits, quota) = (session.talk.backlog(), self.config.quotas.waiting_max);
        waits > quota && waits > quota + 2 * self.grants.share(seat.holder())
    }

    /// The message is not handled. It comes again on the next connection, when the client has got on with what waits for it.
    fn not_now(&mut self, seat: Seat, number: Number) {
        self.counters.waiting_refused += 1;
        let Some(session) = self.sessions.get_mut(seat) else { return };
        session.talk.stream.failed(number);
        session.link.into_iter().for_each(|connection| self.cut(connection));
    }

    /// The client does not follow the protocol. Its session ends, and nobody else's.
    pub(super) fn accuse(&mut self, seat: Seat, offence: impl Into<Offence>) {
        self.counters.offences += 1;
        self.expel(seat, Expulsion::Offence(offence.into()));
    }
}
