//! The loop: one thread that takes connections in, reads, has the machine decide, and writes.
//!
//! A turn reads each connection that has something once, and then writes to each that is to be told something once: a message
//! that comes alone costs a poll, a read and a write, and a burst shares them. Whoever sends without end is read again in the
//! next turn, after everybody else.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use mio::event::Event;
use mio::{Events, Poll, Token};
use tidelock_net::transport::{Listener, Spin};

use super::doors::Door;
use super::lines::Lines;
use super::mailbox::{Letter, Mailbox};
use super::scribe::Scribe;
use super::{Bounds, Look, Tally, clock};
use crate::{Connection, Effect, Input, Server, StopReason};

/// Events that are taken from the system at a time.
const EVENTS_MAX: usize = 1024;

/// Letters; before it the listeners, and behind it the connections.
pub(super) const MAIL: Token = Token(64);

pub(super) struct Driver {
    pub(super) poll: Poll,
    spin: Spin,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) doors: Vec<Door>,
    pub(super) lines: Lines,
    pub(super) server: Server,
    pub(super) scribe: Scribe,
    pub(super) bounds: Bounds,
    /// How long a connection may prove who it is.
    pub(super) handshake: Duration,
    pub(super) now: Duration,
    pub(super) wall_ms: u64,
    pub(super) tally: Tally,
    /// Connections that prove who they are.
    pub(super) opening: usize,
    /// When connections are given up: those that prove who they are, and those that are ending. First come first, for all
    /// have the same time; one that got on is passed over.
    pub(super) openings: VecDeque<(Duration, Connection)>,
    pub(super) endings: VecDeque<(Duration, Connection)>,
    /// Slots of connections that have more to read.
    pub(super) waiting: VecDeque<usize>,
    /// Slots of connections that are to be flushed.
    pub(super) dirty: Vec<usize>,
    pub(super) effects: Vec<Effect>,
    /// An empty list to swap with.
    pub(super) spare: Vec<Effect>,
    /// When stopping has taken too long.
    pub(super) stop_by: Option<Duration>,
    pub(super) stopped: Option<StopReason>,
}

impl Driver {
    pub(super) fn new(
        poll: Poll,
        mailbox: Arc<Mailbox>,
        listeners: Vec<Listener>,
        server: Server,
        scribe: Scribe,
        (bounds, handshake): (Bounds, Duration),
        spin: Spin,
    ) -> io::Result<Self> {
        let doors = Door::open_all(listeners, poll.registry())?;
        Ok(Self {
            poll,
            spin,
            mailbox,
            doors,
            lines: Lines::default(),
            server,
            scribe,
            bounds,
            handshake,
            now: clock::now(),
            wall_ms: clock::wall_ms(),
            tally: Tally::default(),
            opening: 0,
            openings: VecDeque::new(),
            endings: VecDeque::new(),
            waiting: VecDeque::new(),
            dirty: Vec::new(),
            effects: Vec::new(),
            spare: Vec::new(),
            stop_by: None,
            stopped: None,
        })
    }

    /// Serves until the server stops. When this returns, nobody listens, and nothing is said on any connection any more.
    pub(super) fn run(mut self) -> (Self, StopReason) {
        let mut events = Events::with_capacity(EVENTS_MAX);
        loop {
            self.turn(&mut events);
            if let Some(reason) = self.stopped.take() {
                return (self, reason);
            }
        }
    }

    fn turn(&mut self, events: &mut Events) {
        let (limit, poll) = (self.next_turn(), &mut self.poll);
        let waited = self.spin.wait(limit, |limit| poll.poll(events, limit).map(|()| !events.is_empty()));
        if let Err(error) = waited
            && error.kind() != io::ErrorKind::Interrupted
        {
            // There is no other way to learn of anything; trying without end would be worse.
            panic!("the lock server's poll failed: {error}");
        }
        self.tally.turns += 1;
        (self.now, self.wall_ms) = (clock::now(), clock::wall_ms());
        self.lines.turn();
        self.go_on_reading();
        for event in events.iter() {
            self.event(event);
        }
        self.take_in();
        self.look_at_the_time();
        self.settle();
    }

    fn event(&mut self, event: &Event) {
        let Token(token) = event.token();
        match token.checked_sub(MAIL.0) {
            // It may be closed: the server stops.
            None => {
                if let Some(door) = self.doors.get_mut(token) {
                    door.has_more = true;
                }
            }
            Some(0) => self.read_letters(),
            Some(slot) => self.line_event(slot - 1, event),
        }
    }

    pub(super) fn token_of(slot: usize) -> Token {
        Token(MAIL.0 + 1 + slot)
    }

    pub(super) fn step(&mut self, input: Input<'_>) {
        self.server.step(input, self.now, self.wall_ms, &mut self.effects);
    }

    // --- letters -------------------------------------------------------------------------------------------------------

    fn read_letters(&mut self) {
        for letter in self.mailbox.take() {
            match letter {
                Letter::Applied(results) => {
                    for (ticket, result) in results {
                        self.step(Input::Applied { ticket, result });
                    }
                }
                Letter::Ask(question) => question(&Look {
                    server: &self.server,
                    tally: &self.tally,
                    now: self.now,
                    wall_ms: self.wall_ms,
                }),
                Letter::Stop => self.begin_to_stop(),
            }
        }
    }

    fn begin_to_stop(&mut self) {
        if self.stop_by.is_none() {
            // Whoever comes now is to find the next server, and not to wait for this one.
            self.doors.clear();
            self.stop_by = Some(self.now + self.bounds.stopping);
            self.step(Input::Stop);
        }
    }

    // --- time ----------------------------------------------------------------------------------------------------------

    /// How long the next poll may take.
    fn next_turn(&self) -> Option<Duration> {
        let is_busy = !self.waiting.is_empty() || self.doors.iter().any(|door| door.has_more);
        if is_busy {
            return Some(Duration::ZERO);
        }
        let first = |queue: &VecDeque<(Duration, Connection)>| queue.front().map(|(due, _)| *due);
        let doors = self.doors.iter().filter_map(|door| door.retry_at).min();
        let next =
            [self.server.next_tick(), first(&self.openings), first(&self.endings), doors, self.stop_by];
        next.into_iter().flatten().min().map(|next| next.saturating_sub(self.now))
    }

    fn look_at_the_time(&mut self) {
        while let Some(connection) = pop_due(&mut self.openings, self.now) {
            self.opening_is_late(connection);
        }
        while let Some(connection) = pop_due(&mut self.endings, self.now) {
            self.ending_is_late(connection);
        }
        if self.server.next_tick().is_some_and(|due| due <= self.now) {
            self.step(Input::Tick);
        }
        if self.stop_by.is_some_and(|due| due <= self.now) {
            tracing::warn!("the lock server stops without an answer from its records");
            self.stopped.get_or_insert(StopReason::Asked);
        }
    }
}

/// The first, if it is due.
fn pop_due(queue: &mut VecDeque<(Duration, Connection)>, now: Duration) -> Option<Connection> {
    queue.front().filter(|(due, _)| *due <= now)?;
    queue.pop_front().map(|(_, connection)| connection)
}
