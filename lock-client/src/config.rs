//! What a client can be told to be.

use std::time::Duration;

use tidelock_net::ClientConfig;

/// The settings of a client.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// The session.
    pub session: ClientConfig,
    /// Locks that are kept though nobody uses them. For each that is taken beyond, one or two that were not used for a while
    /// are given back.
    pub idle_locks_max: usize,
    /// After how long an invalidation that is not finished is complained of.
    pub invalidation_slow: Duration,
}

impl Config {
    /// Ten thousand idle locks; a complaint after five seconds.
    pub const fn new(session: ClientConfig) -> Self {
        Self { session, idle_locks_max: 10_000, invalidation_slow: Duration::from_secs(5) }
    }
}
