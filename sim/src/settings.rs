//! What a run is told beside its seed.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::{Canary, Faults, Property};

/// How to run a seed. What is left open is drawn from it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// The kinds of faults that may happen.
    pub faults: Faults,
    /// Whether each seed takes some of these kinds, as it draws them, or all.
    pub is_swarm: bool,
    /// Clients; `None` to have them drawn.
    pub clients: Option<usize>,
    /// Those who use locks at each client; likewise.
    pub users: Option<usize>,
    /// Locks.
    pub locks: Option<usize>,
    /// Servers.
    pub servers: Option<usize>,
    /// How long faults happen.
    pub chaos: Option<Duration>,
    /// Faults that do not happen, by their numbers: for shrinking.
    pub without: BTreeSet<u32>,
    /// A bug to be planted.
    pub canary: Option<Canary>,
    /// The one property to look at, instead of all.
    pub only: Option<Property>,
    /// Whether to keep a readable log.
    pub keeps_log: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            faults: Faults::ALL,
            is_swarm: true,
            clients: None,
            users: None,
            locks: None,
            servers: None,
            chaos: None,
            without: BTreeSet::new(),
            canary: None,
            only: None,
            keeps_log: false,
        }
    }
}

impl Settings {
    /// The words after `tidelock sim replay SEED` that repeat these.
    pub fn flags(&self) -> String {
        let mut flags = String::new();
        let mut flag = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                flags.push_str(&format!(" --{name} {value}"));
            }
        };
        flag("faults", (self.faults != Faults::ALL).then(|| self.faults.to_string()));
        flag("clients", self.clients.map(|count| count.to_string()));
        flag("users", self.users.map(|count| count.to_string()));
        flag("locks", self.locks.map(|count| count.to_string()));
        flag("servers", self.servers.map(|count| count.to_string()));
        flag("chaos", self.chaos.map(|time| time.as_secs_f64().to_string()));
        let without: Vec<String> = self.without.iter().map(u32::to_string).collect();
        flag("without", (!without.is_empty()).then(|| without.join(",")));
        flag("canary", self.canary.map(|canary| canary.to_string()));
        flag("only", self.only.map(|property| property.id().to_owned()));
        if !self.is_swarm {
            flags.push_str(" --every-fault");
        }
        flags
    }
}
