//! Messages in order, each processed exactly once, over connections that come and go.
//!
//! One [`Stream`] stands at each end of a session and outlives every connection of it. Messages are numbered from one; the
//! sender keeps each until the other end has said that it is *done* with it. A new connection begins with both ends
//! saying how far they are done, and everything after that is sent again.
//!
//! What makes it exactly once is that a message counts by being done, not by being received. A receiver whose handler failed
//! has not done it, and says so by [`failed`](Stream::failed): the connection is to be closed, and the next one brings the
//! message again. (Where receipt counts, such a message is lost: its resend is dropped as a duplicate, and whoever sent it
//! waits for ever. That is A-66.)
//!
//! - **N1** Messages are delivered for the first time in the order of their numbers, without a gap.
//! - **N2** A message is delivered again only after the receiver has said that it failed.
//! - **N3** What the other end is not done with is kept, and never more than the window.
//! - **N4** How far the other end is done never goes back, and never beyond what was sent.

use std::collections::{BTreeSet, VecDeque};

/// A message's number, from one on. As a count it says: all up to this one. Zero is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Number(pub u64);

impl Number {
    fn next(self) -> Self {
        Number(self.0 + 1)
    }
}

/// One end of a session's messages in both directions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Stream {
    /// Messages that the other end is not done with, oldest first.
    outbox: VecDeque<Vec<u8>>,
    /// How far the other end is done: the outbox begins with the one after.
    peer_done: Number,
    /// How far messages went out on the present connection.
    written: Number,
    /// How far they went out on any. The other end may get done with a message of the last connection before that is
    /// written to the present one.
    written_ever: Number,
    /// Messages that may wait in the outbox.
    window: usize,
    /// How far messages were delivered here.
    received: Number,
    /// How far they are done.
    done: Number,
    /// Done ahead of others that are not.
    done_early: BTreeSet<Number>,
    /// Failed, and to be delivered again when they come again.
    failed: BTreeSet<Number>,
}

/// What becomes of a message that comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It is new: to be handled, and then reported as done or failed.
    Fresh,
    /// It was delivered before, and is done or being handled: dropped.
    Repeated,
}

/// The other end does not follow the protocol: the session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StreamViolation {
    /// A message is missing before this one (N1).
    #[error("message {found} came where message {expected} is due")]
    Gap {
        /// The one that is due.
        expected: u64,
        /// The one that came.
        found: u64,
    },
    /// It says that it is done with what it never got, or takes back that it was (N4).
    #[error("it is done with {found} messages, it says; it was done with {done}, and was sent {sent}")]
    Done {
        /// What it says.
        found: u64,
        /// What it said before.
        done: u64,
        /// How far messages were sent.
        sent: u64,
    },
}

/// The window is full: the other end has to get on before more can be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{window} messages wait for the other end; try again when it got on")]
pub struct WindowFull {
    /// Messages that may wait.
    pub window: usize,
}

impl Stream {
    /// The end of a new session. `window` messages may wait for the other end.
    pub fn new(window: usize) -> Self {
        Self {
            outbox: VecDeque::new(),
            peer_done: Number(0),
            written: Number(0),
            written_ever: Number(0),
            window,
            received: Number(0),
            done: Number(0),
            done_early: BTreeSet::new(),
            failed: BTreeSet::new(),
        }
    }

    // --- sending -----------------------------------------------------------------------------------------------------

    /// Takes a message to be sent, and returns its number.
    ///
    /// # Errors
    /// When too many wait already. Nothing has changed then.
    pub fn send(&mut self, message: Vec<u8>) -> Result<Number, WindowFull> {
        if self.outbox.len() >= self.window {
            return Err(WindowFull { window: self.window });
        }
        self.outbox.push_back(message);
        Ok(self.sent())
    }

    /// The last message that was taken to be sent.
    pub fn sent(&self) -> Number {
        Number(self.peer_done.0 + self.outbox.len() as u64)
    }

    /// Messages that the other end is not done with.
    pub fn waiting(&self) -> usize {
        self.outbox.len()
    }

    /// Whether there are messages to be written to the present connection.
    pub fn has_unwritten(&self) -> bool {
        self.written < self.sent()
    }

    /// The next message to be written to the present connection, and its number.
    pub fn next_to_write(&mut self) -> Option<(Number, &[u8])> {
        let next = self.written.next();
        let place = usize::try_from(next.0 - self.peer_done.next().0).ok()?;
        let message = self.outbox.get(place)?;
        self.written = next;
        self.written_ever = self.written_ever.max(next);
        Some((next, message))
    }

    /// The other end is done with all messages up to `done`.
    ///
    /// # Errors
    /// If that cannot be (N4).
    pub fn peer_is_done(&mut self, done: Number) -> Result<(), StreamViolation> {
        if done < self.peer_done || done > self.written_ever {
            let (found, done, sent) = (done.0, self.peer_done.0, self.written_ever.0);
            return Err(StreamViolation::Done { found, done, sent });
        }
        let count = (done.0 - self.peer_done.0) as usize;
        self.outbox.drain(..count);
        self.peer_done = done;
        self.written = self.written.max(done);
        Ok(())
    }

    // --- receiving ---------------------------------------------------------------------------------------------------

    /// A message with this number came in.
    ///
    /// # Errors
    /// If one before it is missing (N1).
    pub fn arrived(&mut self, number: Number) -> Result<Arrival, StreamViolation> {
        let expected = self.received.next();
        if number > expected {
            return Err(StreamViolation::Gap { expected: expected.0, found: number.0 });
        }
        let is_fresh = number == expected || self.failed.remove(&number);
        self.received = self.received.max(number);
        Ok(if is_fresh { Arrival::Fresh } else { Arrival::Repeated })
    }

    /// The message with this number was handled, in whatever order.
    ///
    /// # Panics
    /// N2, if it was not delivered, or has been reported already: a broken caller.
    pub fn handled(&mut self, number: Number) {
        assert!(self.is_being_handled(number), "N2: message {} is not being handled", number.0);
        // As a rule they are done in order, and nothing has to be noted.
        if number == self.done.next() {
            self.done = number;
        } else {
            self.done_early.insert(number);
        }
        while self.done_early.remove(&self.done.next()) {
            self.done = self.done.next();
        }
    }

    /// The message with this number could not be handled. The present connection is to be closed: the next one brings the
    /// message again, and it is delivered again, now perhaps after others that came after it.
    ///
    /// # Panics
    /// N2, as [`handled`](Self::handled).
    pub fn failed(&mut self, number: Number) {
        assert!(self.is_being_handled(number), "N2: message {} is not being handled", number.0);
        self.failed.insert(number);
    }

    fn is_being_handled(&self, number: Number) -> bool {
        let is_delivered = self.done < number && number <= self.received;
        is_delivered && !self.done_early.contains(&number) && !self.failed.contains(&number)
    }

    /// How far messages are done here: what the other end is to be told.
    pub fn done(&self) -> Number {
        self.done
    }

    // --- connections -------------------------------------------------------------------------------------------------

    /// A new connection was made, and the other end has said how far it is done: what it is not done with is written
    /// again.
    ///
    /// # Errors
    /// If it says what cannot be (N4).
    pub fn reconnected(&mut self, peer_done: Number) -> Result<(), StreamViolation> {
        self.peer_is_done(peer_done)?;
        self.written = peer_done;
        Ok(())
    }
}
