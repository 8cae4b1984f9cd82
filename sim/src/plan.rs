//! What a seed means: how large the cluster is, how its world is, and what goes wrong when.
//!
//! Everything that goes wrong at a moment is drawn here, before the run begins: so it has a number by which it can be left
//! out, and leaving one out leaves the others where they were.

use std::time::Duration;

use tidelock_net::TimeoutPlan;

use crate::clock::Time;
use crate::random::Random;
use crate::{Canary, Fault, Faults, Settings};

/// The streams of chance, by what they are for.
pub(crate) mod stream {
    pub(crate) const PLAN: u64 = 1;
    pub(crate) const FAULTS: u64 = 2;
    pub(crate) const ORDER: u64 = 3;
    pub(crate) const NETWORK: u64 = 4;
    pub(crate) const RECORDS: u64 = 5;
    pub(crate) const STORE: u64 = 6;
    pub(crate) const SERVERS: u64 = 7;
    pub(crate) const CARRIERS: u64 = 1 << 32;
    pub(crate) const EMBEDDERS: u64 = 2 << 32;
    pub(crate) const USERS: u64 = 3 << 32;
}

/// Something that goes wrong at a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Planned {
    pub(crate) number: u32,
    pub(crate) at: Time,
    pub(crate) fault: Fault,
    /// Where its details are drawn from.
    pub(crate) salt: u64,
}

/// What a seed means.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) timeouts: TimeoutPlan,
    pub(crate) clients: usize,
    pub(crate) users: usize,
    pub(crate) locks: usize,
    pub(crate) servers: usize,
    /// How long faults happen.
    pub(crate) chaos: Duration,
    /// Kinds that are on.
    pub(crate) faults: Faults,
    pub(crate) planned: Vec<Planned>,
    /// How far clocks run apart, in millionths either way.
    pub(crate) drift_ppm: u64,
    /// The longest that a frame takes when nothing is wrong.
    pub(crate) latency: Duration,
    /// The longest that a user pauses, and holds.
    pub(crate) pause: Duration,
    pub(crate) hold: Duration,
    /// Idle locks that a client keeps.
    pub(crate) idle_locks_max: usize,
    /// Messages that may wait at each end.
    pub(crate) windows: (usize, usize),
    pub(crate) locks_per_step: usize,
}

/// A plan of time limits that is five times as quick as the default.
const QUICK: TimeoutPlan = TimeoutPlan {
    lease: Duration::from_millis(6000),
    renewal: Duration::from_millis(1400),
    margin: Duration::from_millis(1000),
    drift: 100,
    silence: Duration::from_millis(2200),
    greeting: Duration::from_millis(800),
    backoff: Duration::from_millis(400),
    grace: Duration::from_millis(6300),
    grace_max: Duration::from_millis(12_600),
};

impl Plan {
    pub(crate) fn draw(seed: u64, settings: &Settings) -> Self {
        let random = &mut Random::new(seed, stream::PLAN);
        let timeouts = if random.permille(700) { QUICK } else { TimeoutPlan::DEFAULT };
        let timeouts = timeouts.checked().expect("the plans here go together");
        let clients = random.among(2, 4) as usize;
        let users = random.among(1, 3) as usize;
        let locks = random.pick(&[1, 1, 2, 2, 3, 4, 6]);
        let servers = random.among(2, 3) as usize;
        let leases = random.among(3, 9) as u32;
        // Some seeds have nearly every kind, and some hardly any: few faults let a cluster get far enough for others.
        let share = random.pick(&[100, 200, 300, 500]);
        let swarm: Vec<bool> = Fault::ALL.iter().map(|_| random.permille(share)).collect();
        let is_on =
            |fault: &Fault| settings.faults.has(*fault) && (!settings.is_swarm || swarm[*fault as usize]);
        let needed = settings.canary.map_or(Faults::NONE, Canary::needs);
        let is_on = |fault: &Fault| is_on(fault) || (needed.has(*fault) && settings.faults.has(*fault));
        let faults = Fault::ALL.into_iter().filter(is_on).fold(Faults::NONE, Faults::with);
        let latency = random.pick(&[1u64, 5, 20, 100]);
        let mut plan = Self {
            timeouts,
            clients: settings.clients.unwrap_or(clients),
            users: settings.users.unwrap_or(users),
            locks: settings.locks.unwrap_or(locks),
            servers: settings.servers.unwrap_or(servers),
            chaos: settings.chaos.unwrap_or(timeouts.lease * leases),
            faults,
            planned: Vec::new(),
            drift_ppm: 0,
            latency: Duration::from_millis(latency),
            pause: timeouts.lease / random.pick(&[1, 2, 6]),
            hold: timeouts.lease / random.pick(&[4, 20, 60]),
            idle_locks_max: random.pick(&[0, 1, 2, 100]),
            windows: (random.pick(&[2, 8, 64]), random.pick(&[2, 8, 1024])),
            locks_per_step: random.pick(&[1, 2, 256]),
        };
        plan.draw_clocks(settings.canary);
        plan.draw_faults(seed, leases, settings);
        plan
    }

    fn draw_clocks(&mut self, canary: Option<Canary>) {
        if self.faults.has(Fault::Drift) {
            // Half of what the plan of time limits allows two clocks, either way, and a little less.
            self.drift_ppm = 490_000 / u64::from(self.timeouts.drift);
        }
        if canary == Some(Canary::WildClocks) {
            self.drift_ppm = 450_000;
        }
    }

    fn draw_faults(&mut self, seed: u64, leases: u32, settings: &Settings) {
        let chaos = self.timeouts.lease * leases;
        for fault in self.faults.iter().filter(|fault| !fault.is_standing()) {
            // Each kind has a stream of its own: one that is off moves no other.
            let random = &mut Random::new(seed, stream::FAULTS << 32 | fault as u64);
            let count = random.among(1, random.clone().pick(&[1, 2, 3, 8]));
            for nth in 0..count {
                let at = random.time(Duration::ZERO, chaos);
                let number = (fault as u32) * 100 + nth as u32;
                self.planned.push(Planned { number, at, fault, salt: random.next() });
            }
        }
        let chaos = self.chaos;
        self.planned.retain(|it| it.at < chaos && !settings.without.contains(&it.number));
        self.planned.sort_by_key(|it| (it.at, it.number));
    }
}
