//! One session: how it stands, and what waits to be told to its client.

use std::collections::VecDeque;
use std::time::Duration;

use tidelock_format::{ClientId, FenceEpoch, Incarnation, Term};
use tidelock_lock_proto::{Acquire, Envelope, ToClient};
use tidelock_net::{Frame, Stream};

use super::{Connection, Expulsion};

/// A session, from its opening until nothing is left of it.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) client: ClientId,
    pub(super) incarnation: Incarnation,
    /// Where it came from last, for people.
    pub(super) label: String,
    pub(super) stage: Stage,
    /// Since when it is in memory.
    pub(super) since: Duration,
    /// When its client was heard last; that is when its lease began, at the latest. `None` if it was never given one.
    pub(super) heard: Option<Duration>,
    /// Where it is written to (Y7).
    pub(super) link: Option<Connection>,
    /// The greeting that opened it, if that was here.
    pub(super) attempt: Option<u128>,
    /// Whether its client has said anything since it was greeted: then it knows how that greeting came out, and never greets
    /// again as it did then.
    pub(super) is_confirmed: bool,
    pub(super) talk: Talk,
    /// How many locks it had in a table that was handed over, and of how many of them it has told.
    pub(super) handed: usize,
    pub(super) told: usize,
    /// Wants that wait until it has told all that it held.
    pub(super) early: Vec<Acquire>,
    /// Whether a timer looks at its lease.
    pub(super) is_timed: bool,
    /// Whether it is among those that are to be flushed.
    pub(super) is_dirty: bool,
}

/// How a session stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It is of an earlier term, and its client has not come.
    Unheard,
    /// It is of an earlier term, and its client came with the greeting that opened it: it holds nothing, if that is true. It is
    /// when the client says anything more.
    Doubted,
    /// Its client came, and tells what it held.
    Telling,
    /// It has told all; that it has is not durable yet.
    Told,
    /// It is in use.
    Live,
    /// It is being ended (Y4).
    Ending(Ending),
}

/// How a session ends, and how far that has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ending {
    pub(super) cause: Cause,
    pub(super) step: Step,
    /// How many of its locks may still have a want of it.
    pub(super) wants: Option<usize>,
}

/// Why a session ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// Its client said farewell, and has given up everything.
    Farewell,
    /// It loses everything.
    Expelled(Expulsion),
    /// Its client opened another.
    Superseded,
}

/// The steps by which sessions end, in order. Not every end has all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// That it ends becomes durable.
    Intent,
    /// Its lease is waited for.
    Lease,
    /// Its fence is raised, which says that its lease is over.
    Fence,
    /// Its locks are taken back.
    Depart,
    /// Its record goes.
    Close,
}

/// What is said in a session.
#[derive(Clone, Debug)]
pub(super) struct Talk {
    pub(super) stream: Stream,
    window: usize,
    /// Messages for which the window has no room yet.
    backlog: VecDeque<ToClient>,
    /// Frames that go out before any message.
    first: Vec<u8>,
    pub(super) pong: Option<u64>,
    /// Whether its client does not know how far its messages are done.
    pub(super) owes_report: bool,
}

/// What went out in one write.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Said {
    pub(super) messages: u64,
    pub(super) reports: u64,
}

impl Talk {
    pub(super) fn new(window: usize) -> Self {
        Self {
            stream: Stream::new(window),
            window,
            backlog: VecDeque::new(),
            first: Vec::new(),
            pong: None,
            owes_report: false,
        }
    }

    /// A greeting is answered on a new connection: what was to be said on another is not said, or in the stream.
    pub(super) fn answer(&mut self, welcome: &Frame<'_>) {
        self.first.clear();
        self.pong = None;
        // The answer says it, or there is nothing to say.
        self.owes_report = false;
        welcome.encode(&mut self.first);
    }

    pub(super) fn tell(&mut self, message: ToClient) {
        self.backlog.push_back(message);
    }

    /// What was not written is not said any more.
    pub(super) fn forget(&mut self) {
        self.backlog.clear();
    }

    /// Messages that wait: here, and for the client to be done with them.
    pub(super) fn waiting(&self) -> usize {
        self.backlog.len() + self.stream.waiting()
    }

    /// Messages for which the window has no room.
    pub(super) fn backlog(&self) -> usize {
        self.backlog.len()
    }

    /// Appends everything that can be said now.
    pub(super) fn say(&mut self, envelope: Envelope, bytes: &mut Vec<u8>) -> Said {
        bytes.append(&mut self.first);
        if let Some(number) = self.pong.take() {
            Frame::Pong(number).encode(bytes);
        }
        let mut said = Said { messages: self.say_messages(envelope, bytes), reports: 0 };
        if self.owes_report && said.messages == 0 {
            Frame::Report(self.stream.done()).encode(bytes);
            said.reports = 1;
        }
        self.owes_report = false;
        said
    }

    fn say_messages(&mut self, envelope: Envelope, bytes: &mut Vec<u8>) -> u64 {
        while self.stream.waiting() < self.window
            && let Some(message) = self.backlog.pop_front()
        {
            let mut content = Vec::with_capacity(128);
            message.encode(envelope, &mut content);
            self.stream.send(content).expect("there is room in the window");
        }
        let (done, mut count) = (self.stream.done(), 0);
        while let Some((number, content)) = self.stream.next_to_write() {
            Frame::Message { number, done, content }.encode(bytes);
            count += 1;
        }
        count
    }
}

impl Session {
    pub(super) fn new(client: ClientId, incarnation: Incarnation, window: usize, now: Duration) -> Self {
        Self {
            client,
            incarnation,
            label: String::new(),
            stage: Stage::Live,
            since: now,
            heard: None,
            link: None,
            attempt: None,
            is_confirmed: false,
            talk: Talk::new(window),
            handed: 0,
            told: 0,
            early: Vec::new(),
            is_timed: false,
            is_dirty: false,
        }
    }

    pub(super) fn envelope(&self, term: Term, barrier: FenceEpoch) -> Envelope {
        Envelope { incarnation: self.incarnation, term, barrier }
    }

    pub(super) fn ending(&self) -> Option<&Ending> {
        match &self.stage {
            Stage::Ending(ending) => Some(ending),
            _ => None,
        }
    }

    pub(super) fn ending_mut(&mut self) -> Option<&mut Ending> {
        match &mut self.stage {
            Stage::Ending(ending) => Some(ending),
            _ => None,
        }
    }
}
