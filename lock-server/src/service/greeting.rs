//! Connections, and what becomes of whoever greets on one.
//!
//! A connection is nobody's until it has greeted: it costs a place among the strangers, for a short while, and nothing that
//! comes on it can hurt a client. What becomes of a greeting is decided by [`greet`] from what is known here; this file
//! finds out what is known, and carries it out. Every outcome is answered.
//!
//! A greeting may arrive late: on a connection that its client gave up long ago, when the client is well on another. Such a
//! copy must not open a session anew, or begin a recovery anew, under a client that is past it. What tells a copy is that the
//! client has said something since it was answered (`is_confirmed`): then it knows more than the copy does.

use std::collections::HashMap;
use std::time::Duration;

use tidelock_authority::{AuthorityError, Change, OpenSession, OperationId, Outcome};
use tidelock_format::{ClientId, Incarnation};
use tidelock_net::{
    Frame, Hello, Known, Mismatch, Number, Outcome as Greeted, Principal, Service, StreamViolation, Verdict,
    Welcome, greet,
};

use super::changes::{Purpose, is_passing};
use super::lives::Opening;
use super::session::{Cause, Session, Stage, Talk};
use super::timers::Timer;
use super::{Connection, Effect, Notice, Seat, Server};

/// Every connection there is.
#[derive(Clone, Debug, Default)]
pub(super) struct Links {
    links: HashMap<Connection, Link>,
    strangers: usize,
}

/// What one connection is at.
#[derive(Clone, Debug)]
pub(super) enum Link {
    /// It has not greeted.
    Stranger(Stranger),
    /// It has, and the client's record is on its way.
    Opening(ClientId),
    /// It carries a session, or has carried one.
    Session(Seat),
}

/// Who has not greeted.
#[derive(Clone, Debug)]
pub(super) struct Stranger {
    pub(super) principal: Principal,
    pub(super) label: String,
}

impl Links {
    pub(super) fn get(&self, connection: Connection) -> Option<&Link> {
        self.links.get(&connection)
    }

    fn add(&mut self, connection: Connection, stranger: Stranger) {
        self.strangers += 1;
        self.links.insert(connection, Link::Stranger(stranger));
    }

    fn greeted(&mut self, connection: Connection, link: Link) {
        if let Some(Link::Stranger(_)) = self.links.insert(connection, link) {
            self.strangers -= 1;
        }
    }

    fn remove(&mut self, connection: Connection) -> Option<Link> {
        let link = self.links.remove(&connection)?;
        if let Link::Stranger(_) = link {
            self.strangers -= 1;
        }
        Some(link)
    }

    pub(super) fn strangers(&self) -> usize {
        self.strangers
    }

    pub(super) fn len(&self) -> usize {
        self.links.len()
    }
}

/// Bytes of a label that a record takes.
const LABEL_BYTES_MAX: usize = 1024;

impl Server {
    // --- connections -------------------------------------------------------------------------------------------------

    pub(super) fn opened(&mut self, connection: Connection, stranger: Stranger) {
        self.counters.connections_opened += 1;
        if self.links.strangers() >= self.config.quotas.strangers_max {
            self.counters.strangers_refused += 1;
            return self.put_off(connection);
        }
        self.links.add(connection, stranger);
        self.timers.set(self.now + self.config.plan.greeting, Timer::Stranger(connection));
    }

    pub(super) fn stranger_is_late(&mut self, connection: Connection) {
        if let Some(Link::Stranger(_)) = self.links.get(connection) {
            self.counters.strangers_silent += 1;
            self.cut(connection);
        }
    }

    pub(super) fn garbage(&mut self, connection: Connection) {
        if self.links.get(connection).is_some() {
            self.counters.garbage += 1;
            self.cut(connection);
        }
    }

    /// Closes a connection.
    pub(super) fn cut(&mut self, connection: Connection) {
        self.counters.connections_cut += 1;
        self.effects.push(Effect::Close(connection));
        self.closed(connection);
    }

    pub(super) fn closed(&mut self, connection: Connection) {
        match self.links.remove(connection) {
            None | Some(Link::Stranger(_)) => {}
            // The client will come again, and find its session.
            Some(Link::Opening(client)) => {
                let lives = self.clients.get_mut(&client);
                if let Some(opening) = lives.and_then(|lives| lives.opening.as_mut()) {
                    opening.connection = opening.connection.filter(|newest| *newest != connection);
                }
            }
            Some(Link::Session(seat)) => {
                if let Some(session) = self.sessions.get_mut(seat) {
                    session.link = session.link.filter(|newest| *newest != connection);
                }
            }
        }
    }

    // --- what is known -----------------------------------------------------------------------------------------------

    fn known(&self, client: ClientId) -> Known {
        let Some(session) = self.present(client).and_then(|seat| self.sessions.get(seat)) else {
            return self.tombs.get(client).map_or(Known::Nothing, Known::Expelled);
        };
        let mine = session.incarnation;
        match &session.stage {
            Stage::Unheard => Known::Unheard(mine),
            Stage::Doubted | Stage::Telling | Stage::Told | Stage::Live => Known::Live(mine),
            Stage::Ending(ending) if ending.cause == Cause::Farewell => Known::Leaving(mine),
            Stage::Ending(_) => Known::Expelled(mine),
        }
    }

    pub(super) fn present(&self, client: ClientId) -> Option<Seat> {
        self.clients.get(&client)?.present
    }

    // --- greetings ---------------------------------------------------------------------------------------------------

    /// The first frame of a connection.
    pub(super) fn stranger_said(&mut self, connection: Connection, stranger: Stranger, frame: Frame<'_>) {
        let Frame::Hello { hello, done, attempt } = frame else {
            self.counters.garbage += 1;
            return self.cut(connection);
        };
        let client = stranger.principal.client_id(hello.instance);
        let service = Service {
            versions: self.config.versions,
            service: self.config.service,
            term: self.term,
            busy_for: None,
        };
        match greet(&service, &hello, self.known(client)) {
            Greeted::New { .. } => self.greet_new(connection, client, attempt, stranger.label),
            Greeted::Resumed => self.greet_resumed(connection, client, &hello, done),
            Greeted::Recover => self.greet_recovering(connection, client),
            Greeted::Expelled { upto } => self.tell_expelled(connection, upto),
            Greeted::Mismatch(mismatch) => self.tell_mismatch(connection, client, mismatch),
            Greeted::Busy(_) => self.put_off(connection),
            Greeted::Left => {
                self.counters.greetings_left += 1;
                self.refuse(connection, Verdict::Left);
            }
        }
    }

    /// A verdict that ends the connection.
    fn refuse(&mut self, connection: Connection, verdict: Verdict) {
        let mut bytes = Vec::new();
        self.welcome(verdict).encode(&mut bytes);
        self.counters.writes += 1;
        self.effects.push(Effect::Write(connection, bytes));
        self.cut(connection);
    }

    fn put_off(&mut self, connection: Connection) {
        self.counters.greetings_put_off += 1;
        self.refuse(connection, Verdict::Busy(self.config.plan.backoff));
    }

    /// Y7. Whoever sent it does not wait for an answer any more.
    fn pass_over(&mut self, connection: Connection) {
        self.counters.greetings_late += 1;
        self.refuse(connection, Verdict::Busy(self.config.plan.backoff));
    }

    fn tell_expelled(&mut self, connection: Connection, upto: Incarnation) {
        self.counters.greetings_expelled += 1;
        self.refuse(connection, Verdict::Expelled { upto });
    }

    fn tell_mismatch(&mut self, connection: Connection, client: ClientId, mismatch: Mismatch) {
        self.counters.greetings_mismatched += 1;
        self.refuse(connection, Verdict::Mismatch { versions: self.config.versions });
        if let Mismatch::Deposed { .. } = mismatch {
            // A client's word is not enough to stop a server. The authority knows.
            self.probe();
        }
        self.effects.push(Effect::Notice(Notice::Mismatch { client, mismatch }));
    }

    fn probe(&mut self) {
        if !self.changes.has(Purpose::Probe) {
            self.ask(Purpose::Probe, Change::SweepTombstones { now_ms: self.wall_ms });
        }
    }

    fn welcome(&self, verdict: Verdict) -> Frame<'static> {
        Frame::Welcome(Welcome { service: self.config.service, term: self.term, verdict })
    }

    // --- a new session -----------------------------------------------------------------------------------------------

    fn greet_new(&mut self, connection: Connection, client: ClientId, attempt: u128, label: String) {
        if let Some(seat) = self.present(client)
            && let Some(session) = self.sessions.get(seat)
        {
            let is_sent_again = session.attempt == Some(attempt);
            match &session.stage {
                Stage::Ending(ending) if ending.cause != Cause::Farewell => return self.put_off(connection),
                _ if is_sent_again && session.is_confirmed => return self.pass_over(connection),
                Stage::Ending(_) if is_sent_again => return self.pass_over(connection),
                _ if is_sent_again => return self.welcome_new(seat, connection),
                _ => {}
            }
        }
        self.open(connection, client, attempt, label);
    }

    /// Y1: asks for a record.
    fn open(&mut self, connection: Connection, client: ClientId, attempt: u128, label: String) {
        // A greeting counts as soon as its record is asked for: that may take long, and its connection may go meanwhile.
        let is_room = self.sessions.len() + self.openings < self.config.quotas.sessions_max;
        let lives = self.clients.entry(client).or_default();
        match &mut lives.opening {
            Some(opening) if opening.attempt == attempt => {
                let before = opening.connection.replace(connection);
                self.links.greeted(connection, Link::Opening(client));
                before.into_iter().for_each(|before| self.cut(before));
            }
            Some(_) => self.put_off(connection),
            None if !is_room => {
                self.counters.sessions_refused += 1;
                self.put_off(connection);
                self.tidy(client);
            }
            None => {
                let connection = Some(connection);
                self.openings += 1;
                lives.opening = Some(Opening { attempt, connection, label: cleaned(label), is_asked: false });
                connection.into_iter().for_each(|it| self.links.greeted(it, Link::Opening(client)));
                self.advance(client);
            }
        }
    }

    /// Asks for the record, if nothing stands in the way of it.
    pub(super) fn ask_to_open(&mut self, client: ClientId) {
        let wall_ms = self.wall_ms;
        let Some(lives) = self.clients.get_mut(&client) else { return };
        let Some(opening) = lives.opening.as_mut().filter(|opening| !opening.is_asked) else { return };
        opening.is_asked = true;
        let (operation, label) = (OperationId(opening.attempt), opening.label.clone());
        let wish = OpenSession { client, operation, label, now_ms: wall_ms };
        self.ask(Purpose::Open(client), Change::OpenSession(wish));
    }

    /// The record of a greeting is there, or is not.
    pub(super) fn opening_applied(&mut self, client: ClientId, result: Result<Outcome, AuthorityError>) {
        let opening = self.clients.get_mut(&client).and_then(|lives| lives.opening.take());
        let Some(opening) = opening else { return };
        self.openings -= 1;
        let connection = opening.connection;
        match result {
            Ok(Outcome::Opened(incarnation)) => self.session_opened(client, incarnation, opening),
            // A copy of a greeting whose session is over already.
            Err(AuthorityError::SessionOver { incarnation, .. }) => {
                connection.into_iter().for_each(|it| self.tell_expelled(it, incarnation));
            }
            Err(error) => {
                // G-21: no record, no session.
                self.counters.records_refused += 1;
                if is_passing(&error) {
                    self.effects.push(Effect::Notice(Notice::Failed(error)));
                }
                connection.into_iter().for_each(|it| self.put_off(it));
            }
            Ok(other) => panic!("the authority opened a session and answered {other:?}"),
        }
    }

    /// Whether the record is there is not known yet. Its client comes again.
    pub(super) fn put_off_opening(&mut self, client: ClientId) {
        self.counters.records_refused += 1;
        let opening = self.clients.get_mut(&client).and_then(|lives| lives.opening.as_mut());
        let connection = opening.and_then(|opening| opening.connection.take());
        connection.into_iter().for_each(|it| self.put_off(it));
    }

    fn session_opened(&mut self, client: ClientId, incarnation: Incarnation, opening: Opening) {
        let Opening { attempt, connection, label, .. } = opening;
        let before = self.present(client);
        let seat = match before.and_then(|seat| Some((seat, self.sessions.get_mut(seat)?))) {
            // The same greeting, answered by an earlier server that did not come to say so (A-73, P-15).
            Some((seat, session)) if session.incarnation == incarnation => {
                if session.is_confirmed || session.ending().is_some() {
                    return connection.into_iter().for_each(|it| self.pass_over(it));
                }
                session.stage = Stage::Doubted;
                session.attempt = Some(attempt);
                self.arm_lease(seat);
                seat
            }
            _ => {
                self.counters.sessions_opened += 1;
                self.seat_new(client, incarnation, attempt, before)
            }
        };
        if let Some(session) = self.sessions.get_mut(seat) {
            session.label = label;
        }
        connection.into_iter().for_each(|it| self.welcome_new(seat, it));
    }

    /// A session that takes the place of any before.
    fn seat_new(
        &mut self,
        client: ClientId,
        incarnation: Incarnation,
        attempt: u128,
        before: Option<Seat>,
    ) -> Seat {
        let mut session = Session::new(client, incarnation, self.config.window, self.now);
        session.attempt = Some(attempt);
        // The lease is given with the answer, which may be written from now on.
        session.heard = Some(self.now);
        let seat = self.sessions.insert(session);
        let lives = self.clients.entry(client).or_default();
        lives.former.extend(before);
        lives.present = Some(seat);
        let is_first = lives.former.is_empty();
        if let Some(before) = before {
            self.counters.sessions_superseded += 1;
            self.end(before, Cause::Superseded);
        } else if is_first && incarnation > Incarnation(1) {
            // Nothing is left of any session before: a server that begins later has to know that.
            self.seat_former(client, Incarnation(incarnation.0 - 1), None);
        }
        self.arm_lease(seat);
        seat
    }

    /// A session before the present one, of which no more is known than when its client may have been heard.
    pub(super) fn seat_former(
        &mut self,
        client: ClientId,
        incarnation: Incarnation,
        heard: Option<Duration>,
    ) -> Seat {
        let mut session = Session::new(client, incarnation, 0, self.now);
        session.heard = heard;
        let seat = self.sessions.insert(session);
        self.clients.entry(client).or_default().former.push(seat);
        self.end(seat, Cause::Superseded);
        seat
    }

    fn welcome_new(&mut self, seat: Seat, connection: Connection) {
        let Some(session) = self.sessions.get_mut(seat) else { return };
        let incarnation = session.incarnation;
        if session.stage == Stage::Doubted {
            // It has come, and is given the time to say anything more.
            self.progress = self.now;
        }
        session.talk = Talk::new(self.config.window);
        self.link_up(seat, connection, Verdict::New { incarnation, lease: self.config.plan.lease });
    }

    // --- a session that goes on ----------------------------------------------------------------------------------------

    fn greet_resumed(&mut self, connection: Connection, client: ClientId, hello: &Hello, done: Number) {
        if hello.term != self.term {
            // It leaves, and that it does is known from the last server; soon nothing will be left of it.
            return self.put_off(connection);
        }
        let Some((seat, session)) =
            self.present(client).and_then(|seat| Some((seat, self.sessions.get_mut(seat)?)))
        else {
            return;
        };
        match session.talk.stream.reconnected(done) {
            Ok(()) => {
                let done = session.talk.stream.done();
                self.counters.sessions_resumed += 1;
                self.link_up(seat, connection, Verdict::Resumed { done, lease: self.config.plan.lease });
            }
            Err(StreamViolation::Done { found, done, .. }) if found < done => self.pass_over(connection),
            Err(violation) => {
                self.cut(connection);
                self.accuse(seat, violation);
            }
        }
    }

    fn greet_recovering(&mut self, connection: Connection, client: ClientId) {
        let Some((seat, session)) =
            self.present(client).and_then(|seat| Some((seat, self.sessions.get_mut(seat)?)))
        else {
            return;
        };
        let is_awaited = matches!(session.stage, Stage::Unheard | Stage::Doubted | Stage::Telling);
        if !is_awaited || session.is_confirmed {
            return self.pass_over(connection);
        }
        session.stage = Stage::Telling;
        session.talk = Talk::new(self.config.window);
        self.counters.sessions_recovering += 1;
        self.progress = self.now;
        self.arm_lease(seat);
        self.link_up(seat, connection, Verdict::Recover { lease: self.config.plan.lease });
    }

    /// The session has this connection from now on (Y7), which begins with the answer to its greeting.
    fn link_up(&mut self, seat: Seat, connection: Connection, verdict: Verdict) {
        let welcome = self.welcome(verdict);
        let now = self.now;
        let Some(session) = self.sessions.get_mut(seat) else { return };
        session.heard = Some(now);
        session.talk.answer(&welcome);
        let before = session.link.replace(connection).filter(|before| *before != connection);
        if let Some(Link::Stranger(stranger)) = self.links.get(connection) {
            session.label = cleaned(stranger.label.clone());
        }
        self.links.greeted(connection, Link::Session(seat));
        before.into_iter().for_each(|before| self.cut(before));
        self.touch(seat);
    }
}

/// A text that a record takes.
fn cleaned(label: String) -> String {
    let mut label = label.replace('\0', "?");
    let end = label.floor_char_boundary(LABEL_BYTES_MAX);
    label.truncate(end);
    label
}
