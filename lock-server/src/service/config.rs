//! What a server is told when it begins, and does not change.

use std::time::Duration;

use tidelock_format::Fsid;
use tidelock_net::TimeoutPlan;

use crate::Limits;

/// What a server is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// What the service is called: clients that mean another are turned away.
    pub service: Fsid,
    /// The versions that it speaks, oldest and newest.
    pub versions: (u8, u8),
    /// Every time limit.
    pub plan: TimeoutPlan,
    /// What one client may have of locks.
    pub limits: Limits,
    /// What clients may have of the server.
    pub quotas: Quotas,
    /// Messages that one client may be sent without having said that it is done with them.
    pub window: usize,
    /// How long a change of a record is tried again before the server gives up.
    pub patience: Duration,
    /// How long it is remembered that a session was expelled.
    pub tombstone: Duration,
    /// Locks that are taken back in one step.
    pub locks_per_step: usize,
    /// The seeds of the hash by which locks are found ([`Grants::seeded`](crate::Grants::seeded)). Without any they are the same
    /// for everybody, as simulations want it; a [`Daemon`](crate::Daemon) then draws its own.
    pub seeds: Option<[u64; 4]>,
}

impl ServerConfig {
    /// A server of this service, with the default plan.
    pub const fn new(service: Fsid) -> Self {
        Self {
            service,
            versions: (1, 1),
            plan: TimeoutPlan::DEFAULT,
            limits: Limits::DEFAULT,
            quotas: Quotas::DEFAULT,
            window: 1024,
            patience: Duration::from_secs(30),
            tombstone: Duration::from_secs(7 * 24 * 3600),
            locks_per_step: 256,
            seeds: None,
        }
    }
}

/// What clients may have of the server's memory. Whoever would have more is told to come again later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quotas {
    /// Connections that have not been greeted. Each may stay so for as long as the plan's greeting.
    pub strangers_max: usize,
    /// Sessions, those that are being opened or ended included.
    pub sessions_max: usize,
    /// Messages that may wait for one client, beside two for each lock that it holds or wants. From a client that lets more
    /// wait nothing more is taken until it has got on.
    pub waiting_max: usize,
}

impl Quotas {
    /// A thousand strangers, 65536 sessions, a thousand messages.
    pub const DEFAULT: Self = Self { strangers_max: 1024, sessions_max: 1 << 16, waiting_max: 1024 };
}

impl Default for Quotas {
    fn default() -> Self {
        Self::DEFAULT
    }
}
