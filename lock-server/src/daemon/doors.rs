//! Listeners, and taking connections in.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Registry, Token};
use tidelock_net::transport::{AcceptError, Link, Listener};

use super::driver::{Driver, MAIL};
use super::line::{Line, Stage};
use crate::Connection;

/// A listener, and whether it is worth asking.
#[derive(Debug)]
pub(super) struct Door {
    listener: Listener,
    /// Whether somebody may wait of whom no event will tell.
    pub(super) has_more: bool,
    /// When to ask again, if nobody could be taken in.
    pub(super) retry_at: Option<Duration>,
}

impl Door {
    /// Has all of them told of, under the tokens from zero on.
    pub(super) fn open_all(listeners: Vec<Listener>, registry: &Registry) -> io::Result<Vec<Self>> {
        if listeners.len() > MAIL.0 {
            let message = format!("{} listeners: a daemon has {} at the most", listeners.len(), MAIL.0);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let open = |(place, mut listener): (usize, Listener)| {
            listener.register(registry, Token(place))?;
            Ok(Self { listener, has_more: true, retry_at: None })
        };
        listeners.into_iter().enumerate().map(open).collect()
    }
}

/// What came of asking a listener once.
enum Came {
    Somebody(Link),
    Nobody,
    NotNow,
}

impl Driver {
    /// Takes in whoever came, and no more in one turn than the bounds allow.
    pub(super) fn take_in(&mut self) {
        for place in 0..self.doors.len() {
            let door = &mut self.doors[place];
            if door.retry_at.is_some_and(|at| at <= self.now) {
                door.retry_at = None;
                door.has_more = true;
            }
            for _ in 0..self.bounds.accepts_per_turn {
                if !self.doors[place].has_more {
                    break;
                }
                self.take_in_one(place);
            }
        }
    }

    fn take_in_one(&mut self, place: usize) {
        match self.ask(place) {
            Came::Somebody(link) => self.came(link),
            Came::Nobody => self.doors[place].has_more = false,
            Came::NotNow => {
                let door = &mut self.doors[place];
                door.has_more = false;
                door.retry_at = Some(self.now + self.bounds.exhausted);
            }
        }
    }

    fn ask(&mut self, place: usize) -> Came {
        match self.doors[place].listener.accept() {
            Ok(Some(link)) => Came::Somebody(link),
            Ok(None) => Came::Nobody,
            Err(error @ AcceptError::Exhausted(_)) => {
                if self.tally.accepts_exhausted == 0 {
                    tracing::warn!(%error, "the lock server");
                }
                self.tally.accepts_exhausted += 1;
                Came::NotNow
            }
            Err(error) => {
                tracing::error!(%error, "the lock server");
                self.tally.accepts_failed += 1;
                Came::NotNow
            }
        }
    }

    fn came(&mut self, link: Link) {
        self.tally.accepted += 1;
        let is_open = link.is_open();
        if !is_open && self.opening >= self.bounds.handshakes_max {
            self.tally.handshakes_refused += 1;
            return;
        }
        let Some((slot, connection)) = self.lines.next() else { return };
        let until = self.now + self.handshake;
        let line = Line::new(link, connection, Stage::Opening { until });
        if let Err(error) = self.register(slot, &line, is_open) {
            tracing::warn!(%error, "a connection cannot be polled");
            return self.lines.give_back(slot);
        }
        self.lines.put(slot, line);
        self.opening += 1;
        if is_open {
            self.opened(slot);
        } else {
            self.openings.push_back((until, connection));
        }
    }

    fn register(&self, slot: usize, line: &Line, is_open: bool) -> io::Result<()> {
        let interest = if is_open { mio::Interest::READABLE } else { line.interest() };
        let fd = line.link.as_fd().as_raw_fd();
        self.poll.registry().register(&mut SourceFd(&fd), Self::token_of(slot), interest)
    }

    /// Has the connection's events tell of what it is interested in now.
    pub(super) fn register_again(&mut self, slot: usize) {
        let Some(line) = self.lines.at(slot) else { return };
        let (interest, fd) = (line.interest(), line.link.as_fd().as_raw_fd());
        let changed = self.poll.registry().reregister(&mut SourceFd(&fd), Self::token_of(slot), interest);
        if let Err(error) = changed {
            tracing::warn!(%error, "a connection cannot be polled");
            self.lose(slot);
        }
    }

    pub(super) fn opening_is_late(&mut self, connection: Connection) {
        let Some(slot) = self.lines.slot(connection) else { return };
        if let Some(Line { stage: Stage::Opening { .. }, .. }) = self.lines.at(slot) {
            self.tally.handshakes_late += 1;
            self.lose(slot);
        }
    }
}
