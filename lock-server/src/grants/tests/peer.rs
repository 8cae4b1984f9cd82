//! A client as the server must expect it: the least that follows the protocol, and may do it at any time.

use tidelock_format::{KeyRange, Term, Token};
use tidelock_lock_proto::{Acquire, Change, Descent, Granted, Held, Mode, Refused, ToClient, ToServer};

/// A client, and one lock.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Peer {
    range: KeyRange,
    /// What it believes that it holds. A lock that is being invalidated counts as before.
    pub(crate) held: Mode,
    token: Token,
    /// What it waits for.
    pub(crate) wanted: Option<Mode>,
    /// What it was told to come down to, oldest first, with the term in which it was told: at most one of each term.
    descents: Vec<(Term, Descent)>,
    /// Things that it may still do by itself.
    pub(crate) whims: u8,
}

impl Peer {
    pub(crate) fn new(range: KeyRange, whims: u8) -> Self {
        Self { range, held: Mode::Null, token: Token::default(), wanted: None, descents: Vec::new(), whims }
    }

    pub(crate) fn is_descending(&self) -> bool {
        !self.descents.is_empty()
    }

    fn acquire(&self, to: Mode) -> ToServer {
        ToServer::Acquire(Acquire { range: self.range, change: Change { from: self.held, to } })
    }

    /// Modes that it may ask for now. While it comes down for a server that is gone it asks for nothing: the present one
    /// takes it to have what it had.
    pub(crate) fn wishes(&self, term: Term) -> Vec<Mode> {
        let usable = self.descents.first().map_or(self.held, |(_, descent)| descent.change.to);
        let is_held_up = self.wanted.is_some() || self.owes_another(term);
        let modes = [Mode::Read, Mode::Write, Mode::WriteOnly];
        let may_ask = |mode: &Mode| self.whims > 0 && !is_held_up && !usable.satisfies(*mode);
        modes.into_iter().filter(may_ask).collect()
    }

    /// Whether it still comes down for a server that is gone.
    fn owes_another(&self, term: Term) -> bool {
        self.descents.iter().any(|(told, _)| *told != term)
    }

    pub(crate) fn ask(&mut self, mode: Mode) -> ToServer {
        self.whims -= 1;
        self.wanted = Some(mode);
        self.acquire(mode)
    }

    /// Modes that it may come down to by itself now.
    pub(crate) fn leaves(&self) -> Vec<Mode> {
        let is_free = self.whims > 0 && self.wanted.is_none() && !self.is_descending();
        let less = |mode: &Mode| {
            *mode != self.held && (*mode == Mode::Null || (*mode == Mode::Read && self.held.satisfies(*mode)))
        };
        [Mode::Null, Mode::Read].into_iter().filter(|mode| is_free && less(mode)).collect()
    }

    pub(crate) fn leave(&mut self, to: Mode) -> ToServer {
        self.whims -= 1;
        self.release(to)
    }

    fn release(&mut self, to: Mode) -> ToServer {
        let change = Change { from: self.held, to };
        self.held = to;
        ToServer::Release(Descent { start: self.range.start(), token: self.token, change })
    }

    /// Takes a message of the server of `term`, and answers what can be answered at once.
    pub(crate) fn hear(&mut self, term: Term, message: ToClient) -> Vec<ToServer> {
        match message {
            ToClient::Granted(Granted { range, change, token }) => {
                assert_eq!((range, self.wanted.take()), (self.range, Some(change.to)), "what was asked for");
                // the server may still believe in more than there is, and what a client had is for the client to know.
                let is_less = self.held == Mode::Null || change.from.satisfies(self.held);
                assert!(is_less, "the server believes in {}, there is {}", change.from, self.held);
                assert!(token > self.token, "K7: a client's tokens rise");
                assert!(!self.is_descending(), "K2: granted while it comes down");
                (self.held, self.token) = (change.to, token);
                vec![]
            }
            ToClient::Revoke(descent) => {
                if !self.is_descending() && !self.is_above(descent.change.to) {
                    // It has come down already, by itself: the promise holds.
                    return self.cede(descent);
                }
                self.descents.push((term, descent));
                vec![]
            }
            ToClient::Refused(Refused { reason, .. }) => panic!("nothing asked here is refused: {reason:?}"),
            ToClient::SnapshotTaken(_) | ToClient::Lost(_) => panic!("nobody took a snapshot"),
            _ => panic!("no other message exists"),
        }
    }

    /// Whether `mode` is less than what it has.
    fn is_above(&self, mode: Mode) -> bool {
        mode != self.held && (mode == Mode::Null || self.held.satisfies(mode))
    }

    /// Says that it came down as it was told to; and if that is more than it has, that it has less.
    fn cede(&self, descent: Descent) -> Vec<ToServer> {
        let Descent { start, token, change } = descent;
        let rest = Descent { start, token, change: Change { from: change.to, to: self.held } };
        let is_less = change.to != self.held;
        [ToServer::Ceded(descent)].into_iter().chain(is_less.then_some(ToServer::Release(rest))).collect()
    }

    /// The embedder is done with the oldest invalidation: says so to the server of `term`.
    pub(crate) fn come_down(&mut self, term: Term) -> Vec<ToServer> {
        let (told, descent) = self.descents.remove(0);
        let to = descent.change.to;
        if told == term {
            if self.is_above(to) {
                self.held = to;
            }
            return self.cede(descent);
        }
        // Who told it is gone. The present server believes that nothing has happened yet.
        let release = self.is_above(to).then(|| self.release(to));
        release.into_iter().chain(self.ask_again(term)).collect()
    }

    /// What it tells a new server that it held.
    pub(crate) fn snapshot(&self) -> Option<Held> {
        let held = Held { range: self.range, mode: self.held, token: self.token };
        (self.held != Mode::Null).then_some(held)
    }

    /// What it asks a new server for, once that knows what it held.
    pub(crate) fn ask_again(&mut self, term: Term) -> Option<ToServer> {
        if self.owes_another(term) { None } else { self.wanted.map(|mode| self.acquire(mode)) }
    }
}
