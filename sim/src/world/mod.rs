//! The world: what is going to happen, and everything to which it can happen.

mod carrier;
mod client;
mod embedder;
mod faults;
mod look;
mod network;
mod records;
mod server;
mod store;
mod tamper;
mod user;
mod wire;

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::time::Duration;

use tidelock_format::{Key, KeyRange, Term};
use tidelock_lock_client::Locks;
use tidelock_lock_server::Server;

use self::client::{ClientProcess, Stimulus};
use self::network::{Network, Way};
use self::records::{Applying, Archive};
use self::server::{ServerProcess, Work};
use self::store::{Store, StoreCall};
use self::tamper::Tampering;
use self::wire::Wire;
use crate::canary::Canary;
use crate::clock::Time;
use crate::facts::{ClientView, Fact, LockNo, Scene};
use crate::log::Log;
use crate::plan::{Plan, Planned, stream};
use crate::properties::{Judge, Property};
use crate::queue::Queue;
use crate::random::Random;
use crate::{Counts, Report, Settings, Tally, Violation};

/// Processes of clients that there are in one run, one after the other.
pub(crate) const PROCESSES_MAX: usize = 64;

/// Servers at most.
const SERVERS_MAX: usize = 4;

/// Events that a run has at the most: one that goes on for ever is found so.
const STEPS_MAX: u64 = 3_000_000;

/// Keys of one lock.
const KEYS: u64 = 100;

/// The range of a lock.
pub(crate) fn range(lock: LockNo) -> KeyRange {
    let first = (lock as u64 + 1) * KEYS;
    KeyRange::new(Key::from_u64(first), Key::from_u64(first + KEYS - 1)).expect("it has keys")
}

/// The lock that begins there.
pub(crate) fn lock_no(start: Key) -> LockNo {
    let number = start.0.last_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
    (number / KEYS) as usize - 1
}

/// Something that is going to happen.
pub(crate) enum Event {
    /// To a client's process.
    Client(usize, Stimulus),
    /// To a server's process, in that life of it.
    Server(usize, u64, Work),
    /// Something on its way over this connection may have arrived.
    Pump(usize, Way),
    /// A call reaches the store.
    Store(StoreCall),
    /// A change reaches the records.
    Apply(Applying),
    Fault(Planned),
    ThawClient(usize),
    ThawServer(usize, u64),
    DrainClient(usize),
    DrainServer(usize, u64),
    /// A machine gets a client's process: as this instance.
    StartClient(usize, u128),
    /// A process that was to leave makes room for another, whether it has left or not.
    ReplaceClient(usize, usize, u128),
    StartServer(usize),
    /// Nothing goes wrong any more.
    Calm,
    /// Is everything as it should be at the end?
    Look,
}

/// The parts of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    Chaos,
    Calm,
    Farewell,
    Over,
}

/// Everything.
pub(crate) struct World<'a> {
    pub(crate) plan: Plan,
    canary: Option<Canary>,
    now: Time,
    part: Part,
    /// When the present part began.
    part_began: Time,
    queue: Queue<Event>,
    network: Network,
    wire: Wire,
    tampering: Tampering,
    places: &'a [OnceCell<Locks>],
    clients: Vec<ClientProcess<'a>>,
    views: Vec<ClientView>,
    servers: Vec<ServerProcess>,
    records: Archive,
    store: Store,
    pub(crate) judge: Judge,
    log: Log,
    counts: Counts,
    faults: Tally,
    seed: u64,
    /// Until when invalidations are slow.
    slow_invalidation_until: Time,
    /// Since when nobody leads who grants.
    leaderless_since: Option<Time>,
    recovery: Duration,
    settling: Duration,
    instances: u128,
}

impl<'a> World<'a> {
    pub(crate) fn new(seed: u64, settings: &Settings, places: &'a [OnceCell<Locks>]) -> Self {
        let plan = Plan::draw(seed, settings);
        let random = |number| Random::new(seed, number);
        let mut world = Self {
            canary: settings.canary,
            now: Time::ZERO,
            part: Part::Chaos,
            part_began: Time::ZERO,
            queue: Queue::new(random(stream::ORDER)),
            network: Network::new(&plan, random(stream::NETWORK)),
            wire: Wire::default(),
            tampering: Tampering::default(),
            places,
            clients: Vec::new(),
            views: Vec::new(),
            servers: Vec::new(),
            records: Archive::new(random(stream::RECORDS)),
            store: Store::new(&plan, random(stream::STORE)),
            judge: Judge::new(settings.only),
            log: Log::new(settings.keeps_log),
            counts: Counts::default(),
            faults: Tally::default(),
            seed,
            slow_invalidation_until: Time::ZERO,
            leaderless_since: Some(Time::ZERO),
            recovery: Duration::ZERO,
            settling: Duration::ZERO,
            instances: 0,
            plan,
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        let mut random = Random::new(self.seed, stream::SERVERS);
        for server in 0..self.plan.servers.min(SERVERS_MAX) {
            let clock = self.draw_clock(&mut random);
            self.servers.push(ServerProcess::new(clock, random.clone()));
            random.next();
            self.queue.push(Time::ZERO, Event::StartServer(server));
        }
        for machine in 0..self.plan.clients {
            let instance = self.next_instance();
            let at = random.time(Duration::ZERO, self.plan.timeouts.greeting);
            self.queue.push(at, Event::StartClient(machine, instance));
        }
        for planned in self.plan.planned.clone() {
            self.queue.push(planned.at, Event::Fault(planned));
        }
        self.queue.push(self.plan.chaos, Event::Calm);
    }

    fn next_instance(&mut self) -> u128 {
        self.instances += 1;
        self.instances
    }

    pub(crate) fn now(&self) -> Time {
        self.now
    }

    /// Goes on until the end, or until a property is violated.
    pub(crate) fn live(&mut self) {
        while self.part != Part::Over && self.judge.violation.is_none() {
            let Some((at, event)) = self.queue.pop() else {
                return self.violate(Property::NoLostWakeUp, "nothing is going to happen any more".into());
            };
            self.now = self.now.max(at);
            self.counts.steps += 1;
            if self.counts.steps > STEPS_MAX {
                return self.violate(Property::NoLostWakeUp, format!("no end after {STEPS_MAX} events"));
            }
            self.happen(event);
        }
    }

    fn happen(&mut self, event: Event) {
        self.log.mix(self.now.as_nanos() as u64);
        match event {
            Event::Client(client, stimulus) => self.stimulate(client, stimulus),
            Event::Server(server, life, work) => self.work(server, life, work),
            Event::Pump(link, way) => self.pump(link, way),
            Event::Store(call) => self.store_hears(call),
            Event::Apply(applying) => self.apply(applying),
            Event::Fault(planned) => self.fault(planned),
            Event::ThawClient(client) => self.thaw_client(client),
            Event::ThawServer(server, life) => self.thaw_server(server, life),
            Event::DrainClient(client) => self.drain_client(client),
            Event::DrainServer(server, life) => self.drain_server(server, life),
            Event::StartClient(machine, instance) => self.start_client(machine, instance),
            Event::ReplaceClient(client, machine, instance) => self.replace_client(client, machine, instance),
            Event::StartServer(server) => self.start_server(server),
            Event::Calm => self.calm(),
            Event::Look => self.look(),
        }
    }

    /// Shows a fact to the properties.
    fn judge(&mut self, fact: &Fact<'_>) {
        let Self { judge, views, servers, records, now, .. } = self;
        let mut leading: [Option<&Server>; SERVERS_MAX] = [None; SERVERS_MAX];
        for (place, server) in leading.iter_mut().zip(servers.iter()) {
            *place = server.leading();
        }
        let scene = Scene {
            now: *now,
            clients: views,
            servers: &leading,
            newest_term: records.newest_term,
            records: &records.views,
        };
        judge.see(fact, &scene);
    }

    fn violate(&mut self, property: Property, what: String) {
        let at = self.now;
        self.judge.note(Violation { property, what, at });
    }

    /// A client in which something has panicked cannot even be dropped: it is left where it is.
    pub(crate) fn abandon_clients(&mut self) {
        std::mem::forget(std::mem::take(&mut self.clients));
    }

    /// Whether this bug is planted.
    fn has(&self, canary: Canary) -> bool {
        self.canary == Some(canary)
    }

    pub(crate) fn report(mut self, seed: u64) -> Report {
        if let Some(violation) = self.judge.violation.clone() {
            self.log.line(self.now, format_args!("VIOLATION {violation}"));
        }
        let planned = self.plan.planned.iter().map(|planned| planned.number).collect();
        let violation = self.judge.violation.take();
        self.counts.writes_unknown = self.store.unknown;
        let (log, digest) = self.log.finish();
        let Self { counts, faults, now, recovery, settling, .. } = self;
        let time = now;
        Report { seed, violation, counts, faults, time, recovery, settling, digest, log, planned }
    }
}

/// Records by client, as properties see them.
pub(crate) type RecordViews = BTreeMap<tidelock_format::ClientId, crate::facts::RecordView>;

/// The term of nobody.
const NO_TERM: Term = Term(0);
