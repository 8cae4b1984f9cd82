//! The network: connections between clients and servers, each a lane of frames either way.
//!
//! A lane keeps its order, takes its time, and may stand still or break. What breaks it decides how much of what was on its way
//! still arrives, and who is told.

use std::collections::VecDeque;
use std::time::Duration;

use tidelock_net::Connection;

use super::{Event, World};
use crate::clock::Time;
use crate::plan::Plan;
use crate::random::Random;

/// A direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// From a client to a server.
    Up,
    /// From a server to a client.
    Down,
}

impl Way {
    pub(super) const BOTH: [Way; 2] = [Way::Up, Way::Down];
}

/// What travels.
#[derive(Debug)]
pub(super) enum Parcel {
    /// The connection is made.
    Open,
    /// A whole frame.
    Frame(Vec<u8>),
    /// There is nothing more to come.
    Close,
}

/// One direction of a connection.
#[derive(Debug, Default)]
pub(super) struct Lane {
    queue: VecDeque<(Time, Parcel)>,
    is_pumped: bool,
    last: Time,
    /// Nothing more gets in.
    is_dead: bool,
}

impl Lane {
    /// Of what is on its way, so many parcels arrive, and nothing more gets in.
    fn cut(&mut self, arrive: usize) {
        self.queue.truncate(arrive);
        self.is_dead = true;
    }

    /// The last frame that is on its way.
    pub(super) fn last_frame(&mut self) -> Option<&mut Vec<u8>> {
        match self.queue.back_mut() {
            Some((_, Parcel::Frame(bytes))) => Some(bytes),
            _ => None,
        }
    }
}

/// One connection.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) client: usize,
    machine: usize,
    pub(super) connection: Connection,
    pub(super) server: usize,
    /// The life of the server's process that it leads to.
    life: u64,
    up: Lane,
    down: Lane,
    pub(super) is_open_at_client: bool,
    pub(super) is_open_at_server: bool,
    /// Whether its ends are handed what arrives after they have closed it.
    is_late: bool,
}

impl Link {
    pub(super) fn lane(&mut self, way: Way) -> &mut Lane {
        match way {
            Way::Up => &mut self.up,
            Way::Down => &mut self.down,
        }
    }
}

/// All connections, and what is wrong with the ways.
#[derive(Debug)]
pub(super) struct Network {
    pub(super) links: Vec<Link>,
    /// By way, machine and server: until when nothing passes; until when, and by how much, everything is slower.
    blocked: Vec<Time>,
    slow: Vec<(Time, Duration)>,
    /// Until when connections are late (see [`Link`]).
    pub(super) late_until: Time,
    servers: usize,
    machines: usize,
    latency: Duration,
    pub(super) random: Random,
}

impl Network {
    pub(super) fn new(plan: &Plan, random: Random) -> Self {
        let (machines, servers) = (plan.clients, plan.servers);
        let ways = 2 * machines * servers;
        Self {
            links: Vec::new(),
            blocked: vec![Time::ZERO; ways],
            slow: vec![(Time::ZERO, Duration::ZERO); ways],
            late_until: Time::ZERO,
            servers,
            machines,
            latency: plan.latency,
            random,
        }
    }

    fn place(&self, way: Way, machine: usize, server: usize) -> usize {
        ((way as usize) * self.machines + machine) * self.servers + server
    }

    pub(super) fn block(&mut self, way: Way, machine: usize, server: usize, until: Time) {
        let place = self.place(way, machine, server);
        self.blocked[place] = self.blocked[place].max(until);
    }

    pub(super) fn slow_down(&mut self, way: Way, machine: usize, server: usize, until: Time, by: Duration) {
        let place = self.place(way, machine, server);
        self.slow[place] = (until, by);
    }

    /// Nothing is wrong any more.
    pub(super) fn heal(&mut self) {
        self.blocked.fill(Time::ZERO);
        self.slow.fill((Time::ZERO, Duration::ZERO));
        self.late_until = Time::ZERO;
    }

    /// How long something takes that is sent now.
    fn delay(&mut self, way: Way, machine: usize, server: usize, now: Time) -> Duration {
        let (until, by) = self.slow[self.place(way, machine, server)];
        let usual = self.random.short_time(Duration::from_micros(50), self.latency);
        if now < until { usual + self.random.time(Duration::ZERO, by) } else { usual }
    }

    /// Whether a connection leads to this life of a server.
    pub(super) fn is_of_server(&self, link: usize, server: usize, life: u64) -> bool {
        let link = &self.links[link];
        (link.server, link.life) == (server, life)
    }

    /// The connections that are there, at one end at least.
    pub(super) fn open_links(&self) -> Vec<usize> {
        let open = |link: &Link| link.is_open_at_client || link.is_open_at_server;
        let links = self.links.iter().enumerate();
        links.filter(|(_, link)| open(link)).map(|(number, _)| number).collect()
    }
}

impl World<'_> {
    /// A client wants a connection to a server.
    pub(super) fn connect(&mut self, client: usize, connection: Connection, server: usize) {
        let machine = self.clients[client].machine;
        let is_late = self.now < self.network.late_until;
        let number = self.network.links.len();
        self.network.links.push(Link {
            client,
            machine,
            connection,
            server,
            life: self.servers[server].life,
            up: Lane::default(),
            down: Lane::default(),
            is_open_at_client: true,
            is_open_at_server: false,
            is_late,
        });
        self.clients[client].links.insert(connection, number);
        self.send(number, Way::Up, Parcel::Open);
    }

    pub(super) fn send(&mut self, link: usize, way: Way, parcel: Parcel) {
        let Link { machine, server, .. } = self.network.links[link];
        let delay = self.network.delay(way, machine, server, self.now);
        let now = self.now;
        let lane = self.network.links[link].lane(way);
        if lane.is_dead {
            return;
        }
        let due = lane.last.max(now + delay);
        lane.last = due;
        lane.queue.push_back((due, parcel));
        if !lane.is_pumped {
            lane.is_pumped = true;
            self.queue.push(due, Event::Pump(link, way));
        }
    }

    /// Something may have arrived.
    pub(super) fn pump(&mut self, link: usize, way: Way) {
        let Link { machine, server, .. } = self.network.links[link];
        let blocked = self.network.blocked[self.network.place(way, machine, server)];
        if self.now < blocked {
            return self.queue.push(blocked, Event::Pump(link, way));
        }
        let now = self.now;
        let lane = self.network.links[link].lane(way);
        match lane.queue.front() {
            None => return lane.is_pumped = false,
            Some((due, _)) if *due > now => {
                let due = *due;
                return self.queue.push(due, Event::Pump(link, way));
            }
            Some(_) => {}
        }
        let parcel = lane.queue.pop_front().map(|(_, parcel)| parcel);
        match lane.queue.front() {
            None => lane.is_pumped = false,
            Some((due, _)) => {
                let due = (*due).max(now);
                self.queue.push(due, Event::Pump(link, way));
            }
        }
        if let Some(parcel) = parcel {
            match way {
                Way::Up => self.arrive_at_server(link, parcel),
                Way::Down => self.arrive_at_client(link, parcel),
            }
        }
    }

    fn arrive_at_server(&mut self, link: usize, parcel: Parcel) {
        use super::server::Work;
        let it = &mut self.network.links[link];
        let (server, life) = (it.server, it.life);
        match parcel {
            Parcel::Open if self.servers[server].listens(life) => {
                it.is_open_at_server = true;
                self.send(link, Way::Down, Parcel::Open);
                self.work(server, life, Work::Opened(link));
            }
            Parcel::Open => {
                // Nobody listens. Where nobody is at all, nobody says so.
                let is_silent = self.servers[server].is_dead() && self.network.random.permille(500);
                if !is_silent {
                    self.send(link, Way::Down, Parcel::Close);
                }
            }
            Parcel::Frame(bytes) if it.is_open_at_server || it.is_late => {
                self.work(server, life, Work::Frame(link, bytes));
            }
            Parcel::Frame(_) => {}
            Parcel::Close => {
                if std::mem::take(&mut it.is_open_at_server) {
                    self.work(server, life, Work::Closed(link));
                }
            }
        }
    }

    fn arrive_at_client(&mut self, link: usize, parcel: Parcel) {
        use super::client::Stimulus;
        let it = &mut self.network.links[link];
        let (client, connection) = (it.client, it.connection);
        match parcel {
            Parcel::Open if it.is_open_at_client => {
                self.stimulate(client, Stimulus::Connected(connection));
            }
            Parcel::Frame(bytes) if it.is_open_at_client || it.is_late => {
                self.stimulate(client, Stimulus::Frame(connection, bytes));
            }
            Parcel::Open | Parcel::Frame(_) => {}
            Parcel::Close => {
                if std::mem::take(&mut it.is_open_at_client) {
                    self.stimulate(client, Stimulus::Disconnected(connection));
                }
            }
        }
    }

    /// A client has closed its end.
    pub(super) fn close_at_client(&mut self, client: usize, connection: Connection) {
        let Some(link) = self.clients[client].links.get(&connection).copied() else { return };
        if std::mem::take(&mut self.network.links[link].is_open_at_client) {
            self.send(link, Way::Up, Parcel::Close);
        }
    }

    /// A server has closed its end.
    pub(super) fn close_at_server(&mut self, link: usize) {
        if std::mem::take(&mut self.network.links[link].is_open_at_server) {
            self.send(link, Way::Down, Parcel::Close);
        }
    }

    /// A connection breaks. Of what was on its way a part arrives; then those ends are told that are to be.
    pub(super) fn break_link(&mut self, link: usize, is_told: impl Fn(Way) -> bool) {
        for way in Way::BOTH {
            let queued = self.network.links[link].lane(way).queue.len();
            let arrive = self.network.random.index(queued + 1);
            self.network.links[link].lane(way).queue.truncate(arrive);
            if is_told(way) {
                self.send(link, way, Parcel::Close);
            }
            let queued = self.network.links[link].lane(way).queue.len();
            self.network.links[link].lane(way).cut(queued);
        }
    }

    /// A process is gone, with its ends of all its connections: the other ends are told, or not.
    pub(super) fn break_links_of(&mut self, is_its: impl Fn(&Link) -> bool, dead: Way, is_told: bool) {
        let links = self.network.open_links();
        for link in links {
            if !is_its(&self.network.links[link]) {
                continue;
            }
            self.break_link(link, |way| is_told && way != dead);
            let it = &mut self.network.links[link];
            match dead {
                // Towards the server there is nobody any more, or towards the client.
                Way::Up => it.is_open_at_server = false,
                Way::Down => it.is_open_at_client = false,
            }
        }
    }
}
