//! A client as whoever drives it sees it: what happens is told here, and what is to be done comes out by the
//! [`Carrier`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tidelock_net::{Connection, Frame, FrameError};

use crate::shared::Shared;
use crate::{Carrier, Clock, Config, Counters, Locks};

/// A client to be driven: by [`LockClient`](crate::LockClient) with threads and sockets, by a simulation, by an event loop of
/// the embedder's own.
#[derive(Clone)]
pub struct Client(Arc<Shared>);

impl Client {
    /// A client without a connection. To be [ticked](Self::tick) at once, and then as the carrier is told.
    pub fn new(config: Config, clock: impl Clock, carrier: impl Carrier) -> Self {
        Self(Shared::new(config, Box::new(clock), Box::new(carrier)))
    }

    /// For those who take locks.
    pub fn locks(&self) -> Locks {
        Locks::new(self.0.clone())
    }

    /// A connection was made.
    pub fn connected(&self, connection: Connection) {
        self.0.at_desk(|desk, now| desk.connected(connection, now));
    }

    /// A connection is gone, or could not be made.
    pub fn disconnected(&self, connection: Connection) {
        self.0.at_desk(|desk, now| desk.disconnected(connection, now));
    }

    /// A frame came in.
    pub fn heard(&self, connection: Connection, frame: &Frame<'_>) {
        self.0.at_desk(|desk, now| desk.heard(connection, frame, now));
    }

    /// Several frames came in, one after the other. From one on that is none the connection is good for nothing.
    pub fn heard_all<'a>(
        &self,
        connection: Connection,
        frames: impl IntoIterator<Item = Result<Frame<'a>, FrameError>>,
    ) {
        self.0.heard_all(connection, frames);
    }

    /// Time has passed.
    pub fn tick(&self) {
        self.0.tick();
    }

    /// When to [tick](Self::tick) next, if nothing happens before; `None` once the session is over.
    pub fn next_tick(&self) -> Option<Duration> {
        self.0.look(|desk| desk.next_tick())
    }

    /// Until when what is held may be used, by the client's clock; `None` if it may not be used at all.
    pub fn lease_ends(&self) -> Option<Duration> {
        self.0.look(|desk| desk.lease_ends())
    }

    /// No lock is taken any more. What is held comes down when others want it, without an invalidation.
    pub fn close(&self) {
        self.0.at_desk(|desk, _| desk.close());
    }

    /// Says farewell to the server. No lock is taken any more, and what is held may not be used: the server gives it away as
    /// soon as it hears that. Guards that there still are say so; but what was begun under them has to have come to its end
    /// before.
    pub fn leave(&self) {
        self.0.at_desk(|desk, _| desk.leave());
    }

    /// Ends the session without a word. What is held is void; the server finds out by itself when the lease is over.
    pub fn abandon(&self) {
        self.0.at_desk(|desk, _| desk.abandon());
    }

    /// What happened so far, in numbers.
    pub fn counters(&self) -> Counters {
        self.0.look(|desk| desk.counters)
    }

    /// Looks whether everything that the client rests on holds: for tests and simulations.
    ///
    /// # Panics
    /// If it does not, naming the invariant.
    pub fn check(&self) {
        self.0.look(|desk| desk.holdings.check());
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}
