//! The client in production: one thread that listens, a pool that invalidates, and whoever takes a lock writes for itself; and
//! reads for itself as well, if it waits and nobody else reads.
//!
//! ```text
//!   caller --> desk --> wire (queue, flush) --> socket
//!                ^                                |
//!                |                                v
//!   caller <-- seat <-- desk <-- reader (poll, read: by the listener thread, or by a caller)
//!                        |
//!                        '--> pool --> embedder's `invalidate`
//! ```
//!
//! Order of mutexes: the reader's first, then the desk's, then the wire's. Whoever reads copies the frames that came in, lets
//! go of the wire, and goes to the desk with them.

mod ear;
mod listener;
mod pool;
mod reader;
mod wire;

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::{BootClock, Client, Config, Invalidate};

use self::ear::Ear;
use self::listener::Listener;
use self::pool::Pool;
pub use self::pool::PoolView;
use self::wire::{Target, Wire, WireCarrier};

/// What drives a client: its threads and its socket.
#[derive(Debug)]
pub(crate) struct Driver {
    pub(crate) client: Client,
    wire: Arc<Wire>,
    pool: Arc<Pool>,
    listener: Option<JoinHandle<()>>,
}

impl Driver {
    pub(crate) fn start(
        config: Config,
        target: Target,
        spin_max: Duration,
        threads_max: usize,
        embedder: Arc<dyn Invalidate>,
    ) -> io::Result<Self> {
        let wire = Arc::new(Wire::new(target)?);
        let pool = Arc::new(Pool::new(threads_max, embedder));
        let carrier = WireCarrier::new(wire.clone(), pool.clone());
        let client = Client::new(config, BootClock, carrier);
        let ear = Arc::new(Ear::new(wire.clone(), spin_max));
        client.shared().listen_by(ear.clone());
        let listener = Listener::new(wire.clone(), ear, client.shared().clone());
        let thread = std::thread::Builder::new().name("tidelock-locks".into());
        let listener = Some(thread.spawn(move || listener.run())?);
        Ok(Self { client, wire, pool, listener })
    }

    pub(crate) fn pool(&self) -> PoolView {
        self.pool.view()
    }

    /// Ends the threads: the listener at once, the pool's as they come back from the embedder.
    pub(crate) fn stop(&mut self) {
        self.wire.stop();
        self.pool.stop();
        if let Some(listener) = self.listener.take()
            && listener.join().is_err()
        {
            tracing::error!("the thread that listens to the lock server has panicked");
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.client.abandon();
        self.stop();
    }
}

pub(crate) use self::wire::Target as ServerTarget;
