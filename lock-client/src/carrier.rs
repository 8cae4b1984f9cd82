//! What a client needs of the world: connections, threads, chance. In production a thread with sockets, in a simulation the
//! simulation.

use std::fmt;
use std::time::Duration;

use tidelock_net::Connection;

use crate::{Invalidation, Loss};

/// Carries out what the desk decides. Called with the desk's mutex held: so it neither waits nor calls back.
pub trait Carrier: Send + 'static {
    /// Make a connection to the server, and report what came of it as this one.
    fn connect(&mut self, connection: Connection);

    /// Write these bytes to the connection, after all that were written before. They may wait for the next
    /// [`flush`](Self::flush).
    fn write(&mut self, connection: Connection, bytes: &[u8]);

    /// That was all for now.
    fn flush(&mut self) {}

    /// Close the connection.
    fn close(&mut self, connection: Connection);

    /// Have the embedder drop what it cached, on another thread than this.
    fn invalidate(&mut self, invalidation: Invalidation);

    /// Have the embedder drop everything, on another thread than this, and then report the [`Loss`] as
    /// [handled](Loss::handled).
    fn lose(&mut self, loss: Loss);

    /// Have the client [ticked](crate::Client::tick) at this time and not before; `None` if nothing is due.
    fn set_timer(&mut self, next_tick: Option<Duration>);

    /// Something random: no two of them alike.
    fn draw(&mut self) -> u128;
}

impl fmt::Debug for dyn Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Carrier")
    }
}
