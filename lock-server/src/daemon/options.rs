//! What a daemon is told when it starts.

use std::path::PathBuf;
use std::time::Duration;

use tidelock_net::transport::Spin;

use crate::ServerConfig;

/// What a daemon is told when it starts.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DaemonOptions {
    /// The server, the service's name among it: [`Authority::service`](tidelock_authority::Authority::service).
    pub server: ServerConfig,
    /// What connections may have.
    pub bounds: Bounds,
    /// How long the daemon's thread may [look for messages](Spin) before it sleeps, while there is
    /// traffic. It does so as long as it finds that this shortens its waits; with zero, never.
    pub spin_max: Duration,
    /// Where one daemon leaves what the next one needs to go on without a recovery: a file beside the records. Without it
    /// every start recovers.
    pub handover: Option<PathBuf>,
}

impl DaemonOptions {
    /// A daemon for this server, which hands nothing over.
    pub const fn new(server: ServerConfig) -> Self {
        Self { server, bounds: Bounds::DEFAULT, spin_max: Spin::DEFAULT_MAX, handover: None }
    }
}

/// What connections may have of the daemon. What clients may have is the server's: [`Quotas`](crate::Quotas).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Connections that prove who they are, at a time. Each has as long as the plan's greeting for it.
    pub handshakes_max: usize,
    /// Bytes that may wait to be read by one client.
    pub outbox_bytes_max: usize,
    /// Connections that are taken in at each listener in one turn of the loop.
    pub accepts_per_turn: usize,
    /// How long a connection is kept for its other end to read why it ends.
    pub last_word: Duration,
    /// Connections that are kept for that, at a time. The others end at once.
    pub last_words_max: usize,
    /// How long the loop leaves a listener alone when there are no files or no memory for more connections.
    pub exhausted: Duration,
    /// How long stopping may take.
    pub stopping: Duration,
}

impl Bounds {
    /// A thousand handshakes, four MiB for each client that does not read.
    pub const DEFAULT: Self = Self {
        handshakes_max: 1024,
        outbox_bytes_max: 4 << 20,
        accepts_per_turn: 64,
        last_word: Duration::from_secs(1),
        last_words_max: 1024,
        exhausted: Duration::from_millis(100),
        stopping: Duration::from_secs(10),
    };
}

impl Default for Bounds {
    fn default() -> Self {
        Self::DEFAULT
    }
}
