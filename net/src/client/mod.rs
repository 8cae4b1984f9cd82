//! A client's side of its session: it connects, greets, keeps the session alive, resumes it after a cut, and leaves.
//!
//! A machine without I/O: whoever drives it brings what happened and the time, and carries out the [`Effect`]s that it gets.
//! Time is any clock that never goes back and goes on while the machine is suspended (Linux: `CLOCK_BOOTTIME`).
//!
//! - **Q1** One connection at a time: what comes from an earlier one is dropped.
//! - **Q2** Nothing of the session is written before the server has said how the greeting came out.
//! - **Q3** The lease counts from when the client *sent* what was answered, so it ends here before it ends at the server.
//! - **Q4** Where the session has ended for good, nothing is written and nothing waited for any more.
//! - **Q5** What a server of an earlier term says counts for nothing, not even that the session is over.

mod lease;
mod pause;

use std::time::Duration;

use tidelock_format::{Fsid, Incarnation, Term};

pub use lease::Lease;

use self::pause::Pause;
use crate::{ANY_SERVICE, Arrival, Frame, Hello, Number, Stream, TimeoutPlan, Verdict, Welcome, WindowFull};

/// How long a report of what was handled may wait for a message that says it along.
const REPORT_DELAY: Duration = Duration::from_millis(20);

/// Messages of which a report does not wait.
const REPORT_EVERY: u64 = 32;

/// Time since some moment before the machine began.
type Time = Duration;

/// What a session is made of.
#[derive(Clone, Copy, Debug)]
pub struct ClientConfig {
    /// The versions of what is said in the session, oldest and newest.
    pub versions: (u8, u8),
    /// The service that is meant; [`ANY_SERVICE`] for whichever answers first.
    pub service: Fsid,
    /// Which of its principal's clients this is: anything, as long as no two that live at a time say the same, and it says
    /// the same whenever it comes back.
    pub instance: u128,
    /// The time limits.
    pub plan: TimeoutPlan,
    /// Messages that may wait for the server.
    pub window: usize,
    /// Anything random: pauses differ by it, so that clients of one server do not come back all at once.
    pub seed: u64,
}

/// One connection among those that were made, counted from one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Connection(pub u64);

/// One message of the server: which it is, and under which of the servers that this session has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Delivery {
    stream: u64,
    number: Number,
}

/// What is to be done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Effect {
    /// Make a connection to the server, and report it as this one.
    Connect(Connection),
    /// Write these bytes to the connection.
    Write(Connection, Vec<u8>),
    /// Close it. What still comes from it will be dropped.
    Close(Connection),
    /// A message of the server: handle it, and report it as handled or failed.
    Deliver(Delivery, Vec<u8>),
    /// Where the session stands now.
    Stands(Standing),
}

/// Where a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Standing {
    /// It is new: nothing is held under it. Whatever was held under an earlier one is void.
    New {
        /// Its incarnation.
        incarnation: Incarnation,
        /// The server's term.
        term: Term,
    },
    /// It goes on, and so do its messages.
    Resumed,
    /// It goes on under a new server, and its messages begin anew: tell it what is held.
    Recover {
        /// The new server's term.
        term: Term,
    },
    /// The connection is gone, and another is sought. What is held may be used as long as the lease lasts.
    Cut,
    /// The server has ended it: everything that is held is void. Whoever wants another makes a new [`ClientSession`].
    Expelled,
    /// It cannot be had as things are: somebody has to look at versions, addresses, or the server's state.
    Mismatch(Welcome),
    /// It has ended as the client wished, and nothing of it is left.
    Left,
}

/// A client's session.
#[derive(Clone, Debug)]
pub struct ClientSession {
    config: ClientConfig,
    link: Link,
    stream: Stream,
    /// Streams that were begun.
    streams: u64,
    incarnation: Incarnation,
    term: Term,
    /// Of the session that is to be opened next.
    attempt: u128,
    lease: Lease,
    pause: Pause,
    /// The last connection that was asked for.
    connection: Connection,
    /// How far the server was told that its messages are handled.
    reported: Number,
    /// When it is to be told at the latest, if there is anything to tell.
    report_at: Option<Time>,
    /// Whether the server may have heard of this session.
    has_greeted: bool,
    is_leaving: bool,
}

/// What the present connection is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    /// There is none until then.
    Pausing { until: Time },
    /// It is being made.
    Connecting { until: Time },
    /// Greeted, and not answered.
    Greeting { since: Time, until: Time },
    /// It carries the session.
    Up { heard: Time },
    /// There will be none any more (Q4).
    Over,
}

impl ClientSession {
    /// A session to be opened. `attempt` is anything random, and new for each session that is opened: should the server not
    /// be heard answering, the same greeting is sent again and opens the same session.
    pub fn new(config: ClientConfig, attempt: u128, now: Time) -> Self {
        Self {
            config,
            link: Link::Pausing { until: now },
            stream: Stream::new(config.window),
            streams: 0,
            incarnation: Incarnation(0),
            term: Term(0),
            attempt,
            lease: Lease::default(),
            pause: Pause::new(config.seed, config.plan.backoff),
            connection: Connection(0),
            reported: Number(0),
            report_at: None,
            has_greeted: false,
            is_leaving: false,
        }
    }

    /// The lease: how long what is held may be used.
    pub fn lease(&self) -> &Lease {
        &self.lease
    }

    /// The session's incarnation; zero before it was opened.
    pub fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// When [`tick`](Self::tick) is to be called next, if nothing else happens before.
    pub fn next_tick(&self) -> Option<Time> {
        match self.link {
            Link::Pausing { until } | Link::Connecting { until } | Link::Greeting { until, .. } => {
                Some(until)
            }
            Link::Up { heard } => {
                let next = self.lease.next_ping().min(heard + self.config.plan.silence);
                Some(self.report_at.map_or(next, |report| report.min(next)))
            }
            Link::Over => None,
        }
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Time, effects: &mut Vec<Effect>) {
        match self.link {
            Link::Pausing { until } if now >= until => self.connect(now, effects),
            Link::Connecting { until } | Link::Greeting { until, .. } if now >= until => {
                self.cut(now, effects)
            }
            Link::Up { heard } if now >= heard + self.config.plan.silence => self.cut(now, effects),
            Link::Up { .. } if now >= self.lease.next_ping() => {
                let ping = Frame::Ping(self.lease.ping(now, self.config.plan.renewal));
                self.write(&ping, effects);
            }
            Link::Up { .. } if self.report_at.is_some_and(|report| now >= report) => self.report(effects),
            _ => {}
        }
    }

    fn connect(&mut self, now: Time, effects: &mut Vec<Effect>) {
        self.connection = Connection(self.connection.0 + 1);
        self.link = Link::Connecting { until: now + self.config.plan.greeting };
        effects.push(Effect::Connect(self.connection));
    }

    /// A connection was made.
    pub fn connected(&mut self, connection: Connection, now: Time, effects: &mut Vec<Effect>) {
        let Link::Connecting { until } = self.link else { return effects.push(Effect::Close(connection)) };
        if connection != self.connection {
            return effects.push(Effect::Close(connection));
        }
        self.link = Link::Greeting { since: now, until };
        self.has_greeted = true;
        let hello = Hello {
            versions: self.config.versions,
            service: self.config.service,
            instance: self.config.instance,
            incarnation: self.incarnation,
            term: self.term,
            // Who does not know its own session has to ask for it before it can leave it.
            is_leaving: self.is_leaving && self.incarnation != Incarnation(0),
        };
        self.reported_upto(self.stream.done());
        self.write(&Frame::Hello { hello, done: self.stream.done(), attempt: self.attempt }, effects);
    }

    /// A connection is gone, or could not be made.
    pub fn disconnected(&mut self, connection: Connection, now: Time, effects: &mut Vec<Effect>) {
        // Q1.
        if connection == self.connection && !matches!(self.link, Link::Pausing { .. } | Link::Over) {
            self.cut(now, effects);
        }
    }

    /// A frame came in. One that the server cannot mean cuts the connection.
    pub fn heard(&mut self, connection: Connection, frame: &Frame<'_>, now: Time, effects: &mut Vec<Effect>) {
        // Q1.
        if connection != self.connection {
            return;
        }
        match (self.link, *frame) {
            (Link::Greeting { since, .. }, Frame::Welcome(welcome)) => {
                self.welcomed(welcome, since, now, effects);
            }
            (Link::Up { .. }, frame) => {
                self.link = Link::Up { heard: now };
                self.hear(&frame, now, effects);
            }
            (Link::Greeting { .. }, _) => self.cut(now, effects),
            (Link::Pausing { .. } | Link::Connecting { .. } | Link::Over, _) => {}
        }
    }

    fn welcomed(&mut self, welcome: Welcome, since: Time, now: Time, effects: &mut Vec<Effect>) {
        let Welcome { service, term, verdict } = welcome;
        if term < self.term {
            // Q5: deposed, and has not noticed. Another one leads, or will.
            return self.cut(now, effects);
        }
        self.link = Link::Up { heard: now };
        self.pause.reset();
        let plan = self.config.plan;
        let mut renew = |lease| self.lease.begin(since, now, lease, plan);
        let has_session = self.incarnation != Incarnation(0);
        match verdict {
            // Zero is no session's: the next greeting would open another under what is held in this one.
            Verdict::New { incarnation, lease } if !has_session && incarnation != Incarnation(0) => {
                renew(lease);
                (self.incarnation, self.term) = (incarnation, term);
                if self.config.service == ANY_SERVICE {
                    self.config.service = service;
                }
                self.begin_stream();
                effects.push(Effect::Stands(Standing::New { incarnation, term }));
            }
            Verdict::Resumed { done, lease } if has_session && term == self.term => {
                if self.stream.reconnected(done).is_err() {
                    return self.cut(now, effects);
                }
                renew(lease);
                effects.push(Effect::Stands(Standing::Resumed));
                self.say_what_waits(effects);
            }
            Verdict::Recover { lease } if has_session => {
                renew(lease);
                self.term = term;
                self.begin_stream();
                effects.push(Effect::Stands(Standing::Recover { term }));
            }
            Verdict::Expelled { upto } if upto >= self.incarnation => self.end(Standing::Expelled, effects),
            Verdict::Mismatch { .. } => self.end(Standing::Mismatch(welcome), effects),
            Verdict::Left if self.is_leaving => self.end(Standing::Left, effects),
            Verdict::Busy(wait) => self.pause_for(wait, now, effects),
            // Nothing that this client asked for.
            Verdict::New { .. }
            | Verdict::Resumed { .. }
            | Verdict::Recover { .. }
            | Verdict::Expelled { .. }
            | Verdict::Left => self.cut(now, effects),
        }
        if self.is_leaving && matches!(self.link, Link::Up { .. }) {
            self.write(&Frame::Farewell, effects);
        }
    }

    fn begin_stream(&mut self) {
        self.stream = Stream::new(self.config.window);
        self.streams += 1;
        self.reported_upto(Number(0));
    }

    fn hear(&mut self, frame: &Frame<'_>, now: Time, effects: &mut Vec<Effect>) {
        let is_sound = match *frame {
            Frame::Message { number, done, content } => {
                self.stream.peer_is_done(done).and_then(|()| self.stream.arrived(number)).map(|arrival| {
                    if arrival == Arrival::Fresh {
                        let delivery = Delivery { stream: self.streams, number };
                        effects.push(Effect::Deliver(delivery, content.to_vec()));
                    }
                })
            }
            Frame::Report(done) => self.stream.peer_is_done(done),
            Frame::Pong(number) => {
                self.lease.pong(number);
                Ok(())
            }
            Frame::Ping(number) => {
                self.write(&Frame::Pong(number), effects);
                Ok(())
            }
            Frame::Goodbye if self.is_leaving => {
                self.end(Standing::Left, effects);
                Ok(())
            }
            _ => return self.cut(now, effects),
        };
        if is_sound.is_err() {
            self.cut(now, effects);
        }
    }

    /// Takes a message to be sent, now or on the next connection.
    ///
    /// # Errors
    /// When too many wait already.
    pub fn send(&mut self, message: Vec<u8>, effects: &mut Vec<Effect>) -> Result<Number, WindowFull> {
        let number = self.stream.send(message)?;
        self.say_what_waits(effects);
        Ok(number)
    }

    /// A message of the server was handled. One of an earlier server counts for nothing. The server is told with the next
    /// message to it, or a moment later.
    ///
    /// # Panics
    /// N2, if it was reported already.
    pub fn handled(&mut self, delivery: Delivery, now: Time, effects: &mut Vec<Effect>) {
        if delivery.stream != self.streams {
            return;
        }
        self.stream.handled(delivery.number);
        let unreported = self.stream.done().0 - self.reported.0;
        if unreported >= REPORT_EVERY {
            self.report(effects);
        } else if unreported > 0 && self.report_at.is_none() {
            self.report_at = Some(now + REPORT_DELAY);
        }
    }

    fn report(&mut self, effects: &mut Vec<Effect>) {
        let done = self.stream.done();
        self.write(&Frame::Report(done), effects);
        self.reported_upto(done);
    }

    fn reported_upto(&mut self, done: Number) {
        (self.reported, self.report_at) = (done, None);
    }

    /// A message of the server could not be handled: it will come again, on another connection.
    ///
    /// # Panics
    /// N2, as [`handled`](Self::handled).
    pub fn failed(&mut self, delivery: Delivery, now: Time, effects: &mut Vec<Effect>) {
        if delivery.stream != self.streams {
            return;
        }
        self.stream.failed(delivery.number);
        if !matches!(self.link, Link::Pausing { .. } | Link::Over) {
            self.cut(now, effects);
        }
    }

    /// The client wants to leave. It has given up all that it held, and sends nothing any more.
    pub fn leave(&mut self, effects: &mut Vec<Effect>) {
        self.is_leaving = true;
        match self.link {
            Link::Over => {}
            _ if !self.has_greeted => self.end(Standing::Left, effects),
            _ => self.write(&Frame::Farewell, effects),
        }
    }

    /// Messages that can be sent before the server has to get on.
    pub fn room(&self) -> usize {
        self.config.window.saturating_sub(self.stream.waiting())
    }

    /// Ends the session without a word: the server will find out by itself, when the lease is over.
    pub fn abandon(&mut self, effects: &mut Vec<Effect>) {
        if self.link != Link::Over {
            self.end(Standing::Left, effects);
        }
    }

    fn say_what_waits(&mut self, effects: &mut Vec<Effect>) {
        // Q2.
        if !matches!(self.link, Link::Up { .. }) {
            return;
        }
        let (connection, done) = (self.connection, self.stream.done());
        if self.stream.has_unwritten() {
            self.reported_upto(done);
        }
        while let Some((number, content)) = self.stream.next_to_write() {
            let mut bytes = Vec::new();
            Frame::Message { number, done, content }.encode(&mut bytes);
            effects.push(Effect::Write(connection, bytes));
        }
    }

    fn write(&self, frame: &Frame<'_>, effects: &mut Vec<Effect>) {
        // Q2: a greeting, or what an answered one allows.
        let is_allowed = match self.link {
            Link::Up { .. } => true,
            Link::Greeting { .. } => matches!(frame, Frame::Hello { .. }),
            Link::Pausing { .. } | Link::Connecting { .. } | Link::Over => false,
        };
        if is_allowed {
            let mut bytes = Vec::new();
            frame.encode(&mut bytes);
            effects.push(Effect::Write(self.connection, bytes));
        }
    }

    /// Gives the connection up, and seeks another after a pause.
    fn cut(&mut self, now: Time, effects: &mut Vec<Effect>) {
        let wait = self.pause.next();
        self.pause_for(wait, now, effects);
    }

    fn pause_for(&mut self, wait: Duration, now: Time, effects: &mut Vec<Effect>) {
        effects.push(Effect::Close(self.connection));
        self.link = Link::Pausing { until: now + wait };
        if self.incarnation != Incarnation(0) {
            effects.push(Effect::Stands(Standing::Cut));
        }
    }

    /// Q4.
    fn end(&mut self, standing: Standing, effects: &mut Vec<Effect>) {
        effects.push(Effect::Close(self.connection));
        self.link = Link::Over;
        self.lease.end();
        effects.push(Effect::Stands(standing));
    }
}
