//! What a client wants of the world, noted down until it is its turn.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tidelock_lock_client::{Carrier, Invalidation, Loss};
use tidelock_net::Connection;

use crate::random::Random;

/// Something that a client wants done.
pub(super) enum Wish {
    Connect(Connection),
    Write(Connection, Vec<u8>),
    Close(Connection),
    Invalidate(Invalidation),
    Lose(Loss),
}

/// The wishes of one client, oldest first.
#[derive(Clone)]
pub(super) struct Outbox(Arc<Mutex<(Vec<Wish>, Random)>>);

impl Outbox {
    pub(super) fn new(random: Random) -> Self {
        Self(Arc::new(Mutex::new((Vec::new(), random))))
    }

    fn content(&self) -> MutexGuard<'_, (Vec<Wish>, Random)> {
        self.0.lock().expect("there is one thread")
    }

    pub(super) fn take(&self) -> Vec<Wish> {
        std::mem::take(&mut self.content().0)
    }

    fn add(&self, wish: Wish) {
        self.content().0.push(wish);
    }
}

impl Carrier for Outbox {
    fn connect(&mut self, connection: Connection) {
        self.add(Wish::Connect(connection));
    }

    fn write(&mut self, connection: Connection, bytes: &[u8]) {
        self.add(Wish::Write(connection, bytes.to_vec()));
    }

    fn close(&mut self, connection: Connection) {
        self.add(Wish::Close(connection));
    }

    fn invalidate(&mut self, invalidation: Invalidation) {
        self.add(Wish::Invalidate(invalidation));
    }

    fn lose(&mut self, loss: Loss) {
        self.add(Wish::Lose(loss));
    }

    fn set_timer(&mut self, _: Option<Duration>) {
        // The client is asked after everything that is done there.
    }

    fn draw(&mut self) -> u128 {
        self.content().1.wide()
    }
}
