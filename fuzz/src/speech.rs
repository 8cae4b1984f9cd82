//! What a server may say in a session: frames that are well-formed, and right as often as not.

use std::time::Duration;

use arbitrary::Arbitrary;
use tidelock_format::{Fsid, Incarnation, Term};
use tidelock_net::{Frame, Hello, Number, Verdict, Welcome};

use crate::figure::Figure;

/// A frame that carries no message.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Speech {
    /// An answer to a greeting.
    Welcome {
        /// How it came out.
        verdict: Ruling,
        /// The term.
        term: Figure,
        /// An incarnation, or how far the server is done.
        number: Figure,
        /// A time; mostly a long one.
        time: Figure,
        /// Whether it names another service.
        is_elsewhere: bool,
    },
    /// How far it is done.
    Report(Figure),
    /// Is anybody there?
    Ping(u64),
    /// Yes.
    Pong(Figure),
    /// The client has left.
    Goodbye,
    /// What a client says, and no server.
    Farewell,
    /// Likewise.
    Hello,
}

/// The outcome of a greeting.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Ruling {
    /// A new session.
    New,
    /// It goes on.
    Resumed,
    /// It goes on under a new server.
    Recover,
    /// Whichever of these a server would answer that knows the client.
    Fair,
    /// It is over.
    Expelled,
    /// They cannot talk.
    Mismatch,
    /// Not now.
    Busy,
    /// There is nothing left of it.
    Left,
}

/// What a server would have to say to keep to the protocol, as far as one can know from outside.
#[derive(Clone, Copy, Debug)]
pub struct Right {
    /// The service.
    pub service: Fsid,
    /// The session.
    pub incarnation: Incarnation,
    /// The term.
    pub term: Term,
    /// The term that the client said last.
    pub term_greeted: Term,
    /// The last ping.
    pub ping: u64,
    /// How far the client has sent.
    pub done: u64,
    /// How far the server has.
    pub said: u64,
}

impl Right {
    /// Before the first word, in this term.
    pub fn new(service: Fsid, term: Term) -> Self {
        let (incarnation, term_greeted) = (Incarnation(0), Term(0));
        Self { service, incarnation, term, term_greeted, ping: 0, done: 0, said: 0 }
    }

    /// The client says this.
    pub fn hear(&mut self, frame: &Frame<'_>) {
        match frame {
            Frame::Hello { hello, .. } => {
                (self.incarnation, self.term_greeted) = (hello.incarnation, hello.term);
            }
            Frame::Message { number, .. } => self.done = self.done.max(number.0),
            Frame::Ping(number) => self.ping = *number,
            _ => {}
        }
    }

    /// The server says this.
    pub fn say(&mut self, frame: &Frame<'_>) {
        match *frame {
            Frame::Welcome(Welcome { term, verdict: Verdict::New { incarnation, .. }, .. }) => {
                (self.incarnation, self.term, self.done, self.said) = (incarnation, term, 0, 0);
            }
            Frame::Welcome(Welcome { term, verdict: Verdict::Recover { .. }, .. }) => {
                (self.term, self.done, self.said) = (term, 0, 0);
            }
            Frame::Message { number, .. } if number.0 == self.said + 1 => self.said += 1,
            _ => {}
        }
    }
}

impl Speech {
    /// The frame.
    pub fn frame(&self, right: &Right) -> Frame<'static> {
        match *self {
            Speech::Welcome { verdict, term, number, time, is_elsewhere } => {
                let service = if is_elsewhere { Fsid(!right.service.0) } else { right.service };
                let (term, time) = (Term(term.of(right.term.0)), millis(time));
                Frame::Welcome(Welcome { service, term, verdict: verdict.verdict(number, time, right) })
            }
            Speech::Report(done) => Frame::Report(Number(done.of(right.done))),
            Speech::Ping(number) => Frame::Ping(number),
            Speech::Pong(number) => Frame::Pong(number.of(right.ping)),
            Speech::Goodbye => Frame::Goodbye,
            Speech::Farewell => Frame::Farewell,
            Speech::Hello => Frame::Hello { hello: stranger(right), done: Number(0), attempt: 1 },
        }
    }
}

/// As long as a lease, mostly.
fn millis(time: Figure) -> Duration {
    let millis = u32::try_from(time.of(30_000)).unwrap_or(u32::MAX);
    Duration::from_millis(millis.into())
}

fn stranger(right: &Right) -> Hello {
    Hello {
        versions: (1, 1),
        service: right.service,
        instance: 1,
        incarnation: right.incarnation,
        term: right.term,
        is_leaving: false,
    }
}

impl Ruling {
    fn verdict(self, number: Figure, time: Duration, right: &Right) -> Verdict {
        let present = right.incarnation.0;
        let new = Verdict::New { incarnation: Incarnation(number.of(present.wrapping_add(1))), lease: time };
        let resumed = Verdict::Resumed { done: Number(number.of(right.done)), lease: time };
        let recover = Verdict::Recover { lease: time };
        match self {
            Ruling::New => new,
            Ruling::Resumed => resumed,
            Ruling::Recover => recover,
            Ruling::Fair if present == 0 => new,
            Ruling::Fair if right.term_greeted == right.term => resumed,
            Ruling::Fair => recover,
            Ruling::Expelled => Verdict::Expelled { upto: Incarnation(number.of(present)) },
            Ruling::Mismatch => Verdict::Mismatch { versions: (1, 1) },
            Ruling::Busy => Verdict::Busy(time / 100),
            Ruling::Left => Verdict::Left,
        }
    }
}
