//! A client's session, and a server that says anything.
//!
//! After every event: what the session wants done is well-formed and goes where it can arrive (Q1), begins with a greeting
//! (Q2), and is nothing once the session is over (Q4); its term never goes back (Q5), it is opened once, its lease does not
//! outlast what was sent (Q3), messages are delivered in order and once unless they failed (N1, N2), and no more wait than the
//! window has room for (N3).

use std::collections::BTreeSet;
use std::time::Duration;

use tidelock_format::{Fsid, Incarnation, Term};
use tidelock_net::{
    ANY_SERVICE, ClientConfig, ClientSession, Connection, Delivery, Effect, Frame, Number, Standing,
    TimeoutPlan,
};

use super::event::Event;
use crate::figure::Figure;
use crate::speech::{Right, Ruling, Speech};

const PLAN: TimeoutPlan = TimeoutPlan::DEFAULT;
const WINDOW: usize = 8;

/// What the session has of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// It was asked for.
    Asked(Connection),
    /// It was made; whether it has been greeted on, and answered.
    Made { connection: Connection, is_greeted: bool, is_answered: bool },
}

/// A session and what surrounds it.
#[derive(Debug)]
pub struct Scene {
    session: ClientSession,
    now: Duration,
    line: Option<Line>,
    last: Connection,
    right: Right,
    term: Term,
    incarnation: Option<Incarnation>,
    is_over: bool,
    is_leaving: bool,
    /// When something was sent last that an answer renews the lease by.
    sent_at: Duration,
    /// The number of the message that is being heard.
    heard: u64,
    /// Messages that were delivered and not reported, with their numbers; zero for those of an earlier server.
    handling: Vec<(Delivery, u64)>,
    failed: BTreeSet<u64>,
    delivered: u64,
    /// Messages of the client that were taken under the present server, and how many of them it was written.
    taken: u64,
    written: u64,
}

impl Default for Scene {
    /// A session that is to be opened.
    fn default() -> Self {
        let config = ClientConfig {
            versions: (1, 1),
            service: ANY_SERVICE,
            instance: 3,
            plan: PLAN,
            window: WINDOW,
            seed: 1,
        };
        Self {
            session: ClientSession::new(config, 77, Duration::ZERO),
            now: Duration::ZERO,
            line: None,
            last: Connection(0),
            right: Right::new(Fsid(7), Term(1)),
            term: Term(0),
            incarnation: None,
            is_over: false,
            is_leaving: false,
            sent_at: Duration::ZERO,
            heard: 0,
            handling: Vec::new(),
            failed: BTreeSet::new(),
            delivered: 0,
            taken: 0,
            written: 0,
        }
    }
}

impl Scene {
    /// Lets this happen.
    ///
    /// # Panics
    /// When the session does what it must not.
    pub fn happen(&mut self, event: Event) {
        match event {
            Event::Sleep(millis) => self.sleep(Duration::from_millis(millis.into())),
            Event::Suspend(seconds) => self.now += Duration::from_secs(seconds.into()),
            Event::Connect => self.connect(),
            Event::Join => self.join(Ruling::Fair),
            Event::Cut => self.cut(),
            Event::Hear(speech) => self.hear(&speech.frame(&self.right)),
            Event::Message(number, done) => self.message(number, done),
            Event::Damaged(speech, damage) => {
                let mut bytes = encoded(&speech.frame(&self.right));
                damage.strike(&mut bytes);
                self.hear_bytes(&bytes);
            }
            Event::Stray(connection, speech) => {
                let frame = speech.frame(&self.right);
                let stray = self.stray(connection);
                self.step(|session, now, effects| session.heard(stray, &frame, now, effects));
            }
            Event::StrayConnect(connection) => {
                let stray = self.stray(connection);
                self.step(|session, now, effects| session.connected(stray, now, effects));
            }
            Event::StrayCut(connection) => {
                let stray = self.stray(connection);
                self.step(|session, now, effects| session.disconnected(stray, now, effects));
            }
            Event::Send => self.send(),
            Event::Handle(which) => self.handle(which),
            Event::Fail(which) => self.fail(which),
            Event::Leave => {
                self.is_leaving = true;
                self.step(|session, _, effects| session.leave(effects));
            }
            Event::Succeed(by) => self.right.term = Term(self.right.term.0.saturating_add(by.into())),
        }
        self.check();
    }

    // --- what the world does -----------------------------------------------------------------------------------------

    fn step(&mut self, act: impl FnOnce(&mut ClientSession, Duration, &mut Vec<Effect>)) {
        let mut effects = Vec::new();
        act(&mut self.session, self.now, &mut effects);
        effects.into_iter().for_each(|effect| self.carry_out(effect));
    }

    fn sleep(&mut self, time: Duration) {
        let end = self.now + time;
        // Bound: three things may be due at a time, and each is due again 10 ms later at the earliest.
        let most = 3 * (time.as_millis() / 10 + 2);
        for _ in 0..most {
            let Some(next) = self.session.next_tick().filter(|next| *next <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(next);
            self.step(|session, now, effects| session.tick(now, effects));
        }
        panic!("the session is always due");
    }

    fn connect(&mut self) {
        if let Some(Line::Asked(connection)) = self.line {
            self.line = Some(Line::Made { connection, is_greeted: false, is_answered: false });
            self.step(|session, now, effects| session.connected(connection, now, effects));
            assert!(self.line.is_some_and(Line::is_greeted), "Q2: a connection begins with a greeting");
        }
    }

    /// From nothing to a session that goes on, if that is possible.
    fn join(&mut self, verdict: Ruling) {
        self.sleep(PLAN.backoff);
        self.connect();
        let fair = Speech::Welcome {
            verdict,
            term: Figure::Right,
            number: Figure::Right,
            time: Figure::Right,
            is_elsewhere: false,
        };
        self.hear(&fair.frame(&self.right));
    }

    fn cut(&mut self) {
        let connection = match self.line.take() {
            None => return,
            Some(Line::Asked(connection) | Line::Made { connection, .. }) => connection,
        };
        self.step(|session, now, effects| session.disconnected(connection, now, effects));
    }

    fn hear(&mut self, frame: &Frame<'_>) {
        let Some(Line::Made { connection, is_greeted, .. }) = self.line else { return };
        if let Frame::Welcome(_) = frame {
            self.line = Some(Line::Made { connection, is_greeted, is_answered: true });
        }
        if let Frame::Message { number, .. } = frame {
            self.heard = number.0;
        }
        self.right.say(frame);
        self.step(|session, now, effects| session.heard(connection, frame, now, effects));
    }

    /// As a driver takes bytes: no frame, no connection.
    fn hear_bytes(&mut self, bytes: &[u8]) {
        match Frame::decode(bytes) {
            Ok(frame) => self.hear(&frame),
            Err(_) => self.cut(),
        }
    }

    fn message(&mut self, number: Figure, done: Figure) {
        // No frame has a message without a number.
        let number = Number(number.of(self.right.said + 1).max(1));
        let done = Number(done.of(self.right.done));
        self.hear(&Frame::Message { number, done, content: &[] });
    }

    /// A connection that is not the present one.
    fn stray(&self, which: u8) -> Connection {
        let stray = Connection(which.into());
        if self.last == stray { Connection(u64::MAX) } else { stray }
    }

    // --- what the client does ----------------------------------------------------------------------------------------

    fn send(&mut self) {
        let content = (self.taken + 1).to_le_bytes().to_vec();
        let room = self.session.room();
        let mut is_taken = false;
        self.taken += u64::from(room > 0);
        self.step(|session, _, effects| is_taken = session.send(content, effects).is_ok());
        assert_eq!(is_taken, room > 0, "N3");
    }

    fn handle(&mut self, which: u8) {
        if let Some((delivery, _)) = self.one_of(which) {
            self.step(|session, now, effects| session.handled(delivery, now, effects));
        }
    }

    fn fail(&mut self, which: u8) {
        if let Some((delivery, number)) = self.one_of(which) {
            self.failed.extend(Some(number).filter(|number| *number > 0));
            self.step(|session, now, effects| session.failed(delivery, now, effects));
        }
    }

    fn one_of(&mut self, which: u8) -> Option<(Delivery, u64)> {
        let len = self.handling.len();
        (len > 0).then(|| self.handling.swap_remove(usize::from(which) % len))
    }

    // --- what the session wants --------------------------------------------------------------------------------------

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Connect(connection) => {
                assert!(!self.is_over, "Q4: {connection:?} is asked for");
                assert!(self.line.is_none() && connection > self.last, "Q1: one connection at a time");
                (self.line, self.last) = (Some(Line::Asked(connection)), connection);
            }
            Effect::Write(connection, bytes) => self.wrote(connection, &bytes),
            Effect::Close(connection) => {
                self.line.take_if(|line| line.connection() == connection);
            }
            Effect::Deliver(delivery, _) => self.delivered(delivery),
            Effect::Stands(standing) => self.stands(standing),
            other => panic!("{other:?} is new here"),
        }
    }

    fn wrote(&mut self, to: Connection, bytes: &[u8]) {
        let Some(Line::Made { connection, is_greeted, is_answered }) = self.line else {
            panic!("Q1: written without a connection")
        };
        assert!(to == connection && !self.is_over, "Q1, Q4: written to {to:?} beside {connection:?}");
        let frame = Frame::decode(bytes).expect("a client writes frames");
        let is_hello = matches!(frame, Frame::Hello { .. });
        assert!(is_hello != is_greeted && (is_hello || is_answered), "Q2: {frame:?}");
        if let Frame::Message { number, content, .. } = frame {
            assert_eq!(content, number.0.to_le_bytes(), "N1: a message has its number for good");
            assert!(number.0 <= self.written + 1 && number.0 <= self.taken, "N1: message {} early", number.0);
            self.written = self.written.max(number.0);
        }
        if matches!(frame, Frame::Hello { .. } | Frame::Ping(_)) {
            self.sent_at = self.now;
        }
        self.right.hear(&frame);
        self.line = Some(Line::Made { connection, is_greeted: true, is_answered });
    }

    fn delivered(&mut self, delivery: Delivery) {
        let number = self.heard;
        let is_again = self.failed.remove(&number);
        assert!(
            is_again || number == self.delivered + 1,
            "N1, N2: message {number} after {}",
            self.delivered
        );
        assert!(!self.is_over, "Q4");
        self.delivered = self.delivered.max(number);
        self.handling.push((delivery, number));
    }

    fn stands(&mut self, standing: Standing) {
        assert!(!self.is_over, "Q4: {standing:?}");
        match standing {
            Standing::New { incarnation, term } => {
                assert!(self.incarnation.is_none(), "a session is opened once");
                assert!(incarnation != Incarnation(0), "a session has an incarnation");
                self.incarnation = Some(incarnation);
                self.under(term);
            }
            Standing::Recover { term } => {
                assert!(self.incarnation.is_some(), "a session goes on that there was");
                self.under(term);
            }
            Standing::Resumed => assert!(self.incarnation.is_some(), "a session goes on that there was"),
            Standing::Cut => assert!(self.line.is_none(), "cut, and still connected"),
            Standing::Expelled | Standing::Mismatch(_) => self.is_over = true,
            Standing::Left => {
                assert!(self.is_leaving, "nobody leaves who does not want to");
                self.is_over = true;
            }
            other => panic!("{other:?} is new here"),
        }
    }

    /// Another server: its messages, and those to it, begin anew.
    fn under(&mut self, term: Term) {
        assert!(term >= self.term, "Q5: term {term} after {}", self.term);
        self.term = term;
        self.failed.clear();
        self.handling.iter_mut().for_each(|(_, number)| *number = 0);
        (self.delivered, self.taken, self.written) = (0, 0, 0);
    }

    fn check(&self) {
        assert!(self.session.room() <= WINDOW, "N3");
        assert_eq!(self.session.next_tick().is_none(), self.is_over, "Q4: and nothing else is for ever");
        assert_eq!(self.session.incarnation(), self.incarnation.unwrap_or_default());
        if let Some(ends) = self.session.lease().ends() {
            assert!(!self.is_over && self.incarnation.is_some(), "a lease without a session");
            assert!(ends <= self.sent_at + PLAN.client_stops_after(), "Q3: the lease ends {ends:?}");
        }
    }

    // --- and then ----------------------------------------------------------------------------------------------------

    /// A server comes that keeps to the protocol: the session goes on with it, unless it is over.
    ///
    /// # Panics
    /// If it does not.
    pub fn end_well(mut self) {
        self.right.term = Term(self.term.0.saturating_add(1));
        self.cut();
        if let Some(next) = self.session.next_tick() {
            // The last server may have told it to wait for weeks, and no longer.
            assert!(next <= self.now + Duration::from_millis(u32::MAX.into()), "it waits until {next:?}");
            self.now = self.now.max(next);
            self.join(if self.incarnation.is_some() { Ruling::Recover } else { Ruling::New });
        }
        if self.is_over {
            return;
        }
        if self.is_leaving {
            self.hear(&Frame::Goodbye);
            assert!(self.is_over, "it wanted to leave");
            return;
        }
        let before = self.delivered;
        self.send();
        self.message(Figure::Right, Figure::Right);
        assert_eq!((self.written, self.delivered), (self.taken, before + 1), "{:?}", self.session);
        self.check();
    }
}

impl Line {
    fn connection(&self) -> Connection {
        match self {
            Line::Asked(connection) | Line::Made { connection, .. } => *connection,
        }
    }

    fn is_greeted(self) -> bool {
        matches!(self, Line::Made { is_greeted: true, .. })
    }
}

fn encoded(frame: &Frame<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame.encode(&mut bytes);
    bytes
}
