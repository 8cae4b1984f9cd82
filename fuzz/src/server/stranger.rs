//! Somebody at the other end of a connection to a lock server, who knows how the protocol goes and keeps to it as it pleases.

use tidelock_format::{FenceEpoch, Fsid, GrantSeq, Incarnation, Key, KeyRange, Term, Token};
use tidelock_lock_proto::{
    Acquire, Change, Descent, Envelope, Held, Lost, Mode, Snapshot, ToClient, ToServer,
};
use tidelock_lock_server::Connection;
use tidelock_net::{Frame, Hello, Number, Verdict, Welcome, frame_len};

use super::event::{Matter, Pick, Span, Speech, Step};
use crate::figure::{Figure, Numbering};

/// Clients of one principal that strangers say to be.
const INSTANCES: u8 = 3;

/// Locks that clients agree on.
const LOCKS: u8 = 6;

/// Locks in one part of a snapshot.
pub(super) const ENTRIES_MAX: usize = 16;

/// What a stranger remembers.
#[derive(Debug)]
pub(super) struct Stranger {
    service: Fsid,
    /// Its newest connection.
    pub(super) connection: Option<Connection>,
    incarnation: u64,
    term: u64,
    sent: u64,
    heard: u64,
    /// Grants that it was told of, each with the way down.
    told: Vec<Descent>,
}

impl Stranger {
    /// Somebody who knows nothing but the service's name.
    pub(super) fn new(service: Fsid) -> Self {
        Self { service, connection: None, incarnation: 0, term: 0, sent: 0, heard: 0, told: Vec::new() }
    }

    // --- hearing -----------------------------------------------------------------------------------------------------

    /// Bytes that the server wrote to it.
    ///
    /// # Panics
    /// If they are not what a server says.
    pub(super) fn hear(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some(len) = frame_len(rest, usize::MAX).expect("whole frames") {
            let (frame, behind) = rest.split_at(len);
            self.hear_frame(&Frame::decode(frame).expect("a server writes frames"));
            rest = behind;
        }
        assert!(rest.is_empty(), "whole frames");
    }

    fn hear_frame(&mut self, frame: &Frame<'_>) {
        match *frame {
            Frame::Welcome(welcome) => self.welcomed(welcome),
            Frame::Message { number, content, .. } => {
                assert!(number.0 <= self.heard + 1, "N1: message {} after {}", number.0, self.heard);
                self.heard = self.heard.max(number.0);
                let (envelope, message) = ToClient::decode(content).expect("a server writes messages");
                assert!(envelope.incarnation > Incarnation(0) && envelope.term > Term(0), "{envelope:?}");
                self.told_of(&message);
            }
            Frame::Report(_) | Frame::Pong(_) | Frame::Goodbye => {}
            _ => panic!("a server does not say {frame:?}"),
        }
    }

    fn welcomed(&mut self, welcome: Welcome) {
        match welcome.verdict {
            Verdict::New { incarnation, .. } => {
                assert!(incarnation > Incarnation(0), "a session has an incarnation");
                (self.incarnation, self.term, self.sent, self.heard) = (incarnation.0, welcome.term.0, 0, 0);
            }
            Verdict::Recover { .. } => (self.term, self.sent, self.heard) = (welcome.term.0, 0, 0),
            Verdict::Resumed { done, .. } => self.sent = done.0,
            _ => {}
        }
    }

    fn told_of(&mut self, message: &ToClient) {
        let descent = match message {
            ToClient::Granted(granted) => Descent {
                start: granted.range.start(),
                token: granted.token,
                change: Change { from: granted.change.to, to: Mode::Null },
            },
            ToClient::Revoke(descent) => *descent,
            _ => return,
        };
        if self.told.len() == 8 {
            self.told.remove(0);
        }
        self.told.push(descent);
    }

    // --- saying ------------------------------------------------------------------------------------------------------

    /// A greeting as it should be.
    pub(super) fn greeting(&self, instance: u8) -> Vec<u8> {
        encoded(&self.hello(instance, self.incarnation, self.term, self.heard, instance, false))
    }

    fn hello(
        &self,
        instance: u8,
        incarnation: u64,
        term: u64,
        done: u64,
        attempt: u8,
        is_leaving: bool,
    ) -> Frame<'static> {
        let hello = Hello {
            versions: (1, 1),
            service: self.service,
            instance: (instance % INSTANCES).into(),
            incarnation: Incarnation(incarnation),
            term: Term(term),
            is_leaving,
        };
        Frame::Hello { hello, done: Number(done), attempt: (attempt % 8).into() }
    }

    /// A frame that is no message.
    pub(super) fn frame(&self, speech: Speech) -> Vec<u8> {
        let frame = match speech {
            Speech::Hello { instance, incarnation, term, done, attempt, is_leaving, about } => {
                let (incarnation, term) = (incarnation.of(self.incarnation), term.of(self.term));
                let done = done.of(self.heard);
                let frame = self.hello(instance, incarnation, term, done, attempt, is_leaving);
                about_another(frame, about)
            }
            Speech::Report(done) => Frame::Report(Number(done.of(self.heard))),
            Speech::Ping(number) => Frame::Ping(number),
            Speech::Pong(number) => Frame::Pong(number),
            Speech::Farewell => Frame::Farewell,
            Speech::Goodbye => Frame::Goodbye,
            Speech::Welcome => Frame::Welcome(Welcome {
                service: self.service,
                term: Term(self.term),
                verdict: Verdict::Left,
            }),
        };
        encoded(&frame)
    }

    /// A message, as a frame.
    pub(super) fn message(
        &mut self,
        numbering: Numbering,
        matter: Matter,
        strike: impl FnOnce(&mut Vec<u8>),
    ) -> Vec<u8> {
        let envelope = Envelope {
            incarnation: Incarnation(numbering.incarnation.of(self.incarnation)),
            term: Term(numbering.term.of(self.term)),
            barrier: FenceEpoch(0),
        };
        let mut content = self.content(envelope, matter);
        strike(&mut content);
        // No frame has a message without a number.
        let number = numbering.number.of(self.sent + 1).max(1);
        self.sent += u64::from(number == self.sent + 1);
        let done = Number(numbering.done.of(self.heard));
        encoded(&Frame::Message { number: Number(number), done, content: &content })
    }

    fn content(&self, envelope: Envelope, matter: Matter) -> Vec<u8> {
        let mut content = Vec::new();
        let message = match matter {
            Matter::Acquire(span, step) => {
                let change = step.change(Change { from: Mode::Null, to: Mode::Read });
                ToServer::Acquire(Acquire { range: span.range(), change })
            }
            Matter::Ceded(pick, step) => ToServer::Ceded(self.descent(pick, step)),
            Matter::Release(pick, step) => ToServer::Release(self.descent(pick, step)),
            Matter::Snapshot { from, held, wanted, term, is_last } => {
                let before = self.term.saturating_sub(1);
                ToServer::Snapshot(snapshot(from, held, wanted, Term(term.of(before)), is_last))
            }
            Matter::Revoke => {
                let lost = Lost { start: Key::MIN, token: Token::default() };
                ToClient::Lost(lost).encode(envelope, &mut content);
                return content;
            }
            Matter::Noise(bytes) => return bytes.to_le_bytes().to_vec(),
        };
        message.encode(envelope, &mut content);
        content
    }

    fn descent(&self, pick: Pick, step: Step) -> Descent {
        let descent = match pick {
            Pick::Told(which) => {
                self.told.iter().rev().nth(usize::from(which) % self.told.len().max(1)).copied()
            }
            Pick::Any(lock, seq) => {
                let token = Token { term: Term(self.term), seq: GrantSeq(seq.of(1)) };
                let change = Change { from: Mode::Write, to: Mode::Null };
                Some(Descent { start: Span::Lock(lock).range().start(), token, change })
            }
        };
        let change = Change { from: Mode::Null, to: Mode::Null };
        let nothing = Descent { start: Key::MIN, token: Token::default(), change };
        let descent = descent.unwrap_or(nothing);
        Descent { change: step.change(descent.change), ..descent }
    }
}

impl Span {
    fn range(self) -> KeyRange {
        let (from, to) = match self {
            Span::Lock(lock) => (u64::from(lock % LOCKS) * 16, u64::from(lock % LOCKS) * 16 + 15),
            Span::Any(one, other) => (one.min(other).into(), one.max(other).into()),
        };
        KeyRange::new(Key::from_u64(from), Key::from_u64(to)).expect("in order")
    }
}

impl Step {
    fn change(self, right: Change) -> Change {
        match self {
            Step::Right(to) if right.from == Mode::Null => Change { to: mode(to % 3 + 1), ..right },
            Step::Right(_) => right,
            Step::Any(from, to) => Change { from: mode(from), to: mode(to) },
        }
    }
}

fn mode(number: u8) -> Mode {
    Mode::ALL[usize::from(number) % Mode::ALL.len()]
}

/// Versions or a service that are not these.
fn about_another(frame: Frame<'static>, about: Figure) -> Frame<'static> {
    let Frame::Hello { mut hello, done, attempt } = frame else { return frame };
    match about {
        Figure::Right | Figure::RightToo => {}
        Figure::Near(by) => hello.versions = (by.unsigned_abs() % 4, 1),
        Figure::Any(service) => hello.service = Fsid(service % 4),
    }
    Frame::Hello { hello, done, attempt }
}

fn snapshot(from: u8, held: (u8, u8), wanted: (u8, u8), term: Term, is_last: bool) -> Snapshot {
    let half = ENTRIES_MAX as u8 / 2;
    let ranges = move |count: u8| {
        let ends = (u64::from(from)..).take((count % (half + 1)).into());
        ends.map(|lock| {
            KeyRange::new(Key::from_u64(lock * 16), Key::from_u64(lock * 16 + 15)).expect("in order")
        })
    };
    let token = Token { term, seq: GrantSeq(u64::from(held.1)) };
    Snapshot {
        held: ranges(held.0).map(|range| Held { range, mode: mode(held.1), token }).collect(),
        wanted: ranges(wanted.0)
            .map(|range| Acquire { range, change: Change { from: Mode::Null, to: mode(wanted.1) } })
            .collect(),
        is_last,
    }
}

fn encoded(frame: &Frame<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame.encode(&mut bytes);
    bytes
}
