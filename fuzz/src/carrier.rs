//! What a client without a driver wants done, noted for whoever plays its world.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tidelock_lock_client::{Carrier, Clock, Invalidation, Loss, ManualClock};
use tidelock_net::Connection;

/// What a client wanted and nobody has done yet.
#[derive(Debug, Default)]
pub struct Wishes {
    /// The connection that it has, or asked for last.
    pub connection: Option<Connection>,
    /// Frames that it wrote to it.
    pub written: VecDeque<Vec<u8>>,
    /// What it wants dropped.
    pub invalidations: Vec<Invalidation>,
    /// Everything is lost, and the embedder is to be told.
    pub losses: Vec<Loss>,
    draws: u128,
}

/// Notes it. Clones note in one place.
#[derive(Clone, Debug, Default)]
pub struct Recorder(Arc<Mutex<Wishes>>);

impl Recorder {
    /// What was noted.
    pub fn wishes(&self) -> MutexGuard<'_, Wishes> {
        self.0.lock().expect("nobody panics here")
    }
}

impl Carrier for Recorder {
    fn connect(&mut self, connection: Connection) {
        let mut wishes = self.wishes();
        assert!(wishes.connection.is_none(), "Q1: one connection at a time");
        wishes.connection = Some(connection);
    }

    fn write(&mut self, connection: Connection, bytes: &[u8]) {
        let mut wishes = self.wishes();
        assert_eq!(wishes.connection, Some(connection), "Q1: written where it can arrive");
        wishes.written.push_back(bytes.to_vec());
    }

    fn close(&mut self, connection: Connection) {
        let mut wishes = self.wishes();
        if wishes.connection.take_if(|it| *it == connection).is_some() {
            wishes.written.clear();
        }
    }

    fn invalidate(&mut self, invalidation: Invalidation) {
        self.wishes().invalidations.push(invalidation);
    }

    fn lose(&mut self, loss: Loss) {
        self.wishes().losses.push(loss);
    }

    fn set_timer(&mut self, _: Option<Duration>) {}

    fn draw(&mut self) -> u128 {
        let mut wishes = self.wishes();
        wishes.draws += 1;
        wishes.draws
    }
}

/// A clock that several have.
#[derive(Clone, Debug, Default)]
pub struct Watch(Arc<ManualClock>);

impl Watch {
    /// Sets it.
    pub fn set(&self, now: Duration) {
        self.0.set(now);
    }
}

impl Clock for Watch {
    fn now(&self) -> Duration {
        self.0.now()
    }
}
