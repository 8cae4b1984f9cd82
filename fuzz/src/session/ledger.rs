//! What a [`Stream`] must come to, kept in the plainest way: every number with what became of it.
//!
//! N1: first deliveries in order. N2: again only after a failure. N3: never more than the window is kept. N4: what the other
//! end is done with goes neither back nor beyond what was written.

use std::collections::BTreeSet;

use tidelock_net::{Arrival, Number, Stream};

use super::event::Turn;

/// Messages that may wait.
const WINDOW: usize = 5;

/// A stream, and what is known of it.
#[derive(Debug)]
pub struct Ledger {
    stream: Stream,
    sent: u64,
    written: u64,
    written_ever: u64,
    peer_done: u64,
    /// Delivered for the first time up to this one.
    received: u64,
    handling: BTreeSet<u64>,
    failed: BTreeSet<u64>,
    done: BTreeSet<u64>,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            stream: Stream::new(WINDOW),
            sent: 0,
            written: 0,
            written_ever: 0,
            peer_done: 0,
            received: 0,
            handling: BTreeSet::new(),
            failed: BTreeSet::new(),
            done: BTreeSet::new(),
        }
    }
}

impl Ledger {
    /// Takes one turn, and compares.
    ///
    /// # Panics
    /// When the stream does something else than the ledger says.
    pub fn take(&mut self, turn: Turn) {
        match turn {
            Turn::Send => self.send(),
            Turn::Write => _ = self.write(),
            Turn::WriteAll => while self.write() {},
            Turn::PeerDone(done) => self.peer_is_done(done.of(self.written)),
            Turn::Arrive(number) => self.arrive(number.of(self.received + 1)),
            Turn::Handle(which) => self.handle(which),
            Turn::Fail(which) => self.fail(which),
            Turn::Reconnect(done) => self.reconnect(done.of(self.peer_done)),
        }
        self.check();
    }

    fn send(&mut self) {
        let is_room = self.sent - self.peer_done < WINDOW as u64;
        let content = (self.sent + 1).to_le_bytes().to_vec();
        assert_eq!(self.stream.send(content).is_ok(), is_room, "N3");
        self.sent += u64::from(is_room);
    }

    fn write(&mut self) -> bool {
        let Some((number, content)) = self.stream.next_to_write() else {
            assert_eq!(self.written, self.sent, "what waits is written");
            return false;
        };
        assert_eq!((number.0, content), (self.written + 1, &number.0.to_le_bytes()[..]), "N1: in order");
        self.written = number.0;
        self.written_ever = self.written_ever.max(self.written);
        true
    }

    fn peer_is_done(&mut self, done: u64) {
        let can_be = self.peer_done <= done && done <= self.written_ever;
        assert_eq!(self.stream.peer_is_done(Number(done)).is_ok(), can_be, "N4");
        if can_be {
            self.peer_done = done;
            self.written = self.written.max(done);
        }
    }

    fn reconnect(&mut self, done: u64) {
        let can_be = self.peer_done <= done && done <= self.written_ever;
        assert_eq!(self.stream.reconnected(Number(done)).is_ok(), can_be, "N4");
        if can_be {
            (self.peer_done, self.written) = (done, done);
        }
    }

    fn arrive(&mut self, number: u64) {
        // No frame has a message without a number.
        let number = number.max(1);
        let is_next = number == self.received + 1;
        let expected = match number {
            _ if number > self.received + 1 => None,
            _ if is_next || self.failed.contains(&number) => Some(Arrival::Fresh),
            _ => Some(Arrival::Repeated),
        };
        assert_eq!(self.stream.arrived(Number(number)).ok(), expected, "N1, N2: message {number}");
        if expected == Some(Arrival::Fresh) {
            self.received = self.received.max(number);
            self.failed.remove(&number);
            self.handling.insert(number);
        }
    }

    fn handle(&mut self, which: u8) {
        if let Some(number) = self.one_of(which) {
            self.stream.handled(Number(number));
            self.done.insert(number);
        }
    }

    fn fail(&mut self, which: u8) {
        if let Some(number) = self.one_of(which) {
            self.stream.failed(Number(number));
            self.failed.insert(number);
        }
    }

    /// Takes one of those that are being handled.
    fn one_of(&mut self, which: u8) -> Option<u64> {
        let place = usize::from(which) % self.handling.len().max(1);
        let number = *self.handling.iter().nth(place)?;
        self.handling.remove(&number);
        Some(number)
    }

    fn check(&self) {
        let done = (1..).take_while(|number| self.done.contains(number)).count() as u64;
        assert_eq!(self.stream.done(), Number(done), "done as far as all before it is");
        assert_eq!(self.stream.sent(), Number(self.sent));
        assert_eq!(self.stream.waiting() as u64, self.sent - self.peer_done, "N3");
        assert_eq!(self.stream.has_unwritten(), self.written < self.sent);
    }
}
