//! A server's process: a real server while it leads, and a candidate while it does not.

use std::collections::VecDeque;
use std::time::Duration;

use tidelock_authority::{AuthorityError, Leader, Outcome};
use tidelock_format::Term;
use tidelock_lock_server::{Connection, Effect, Input, Notice, Server, ServerConfig, StopReason, Ticket};
use tidelock_net::{Frame, Principal};

use super::client::SERVICE;
use super::network::Way;
use super::records::{Applying, Begun, CrashPoint};
use super::{Event, World};
use crate::Fault;
use crate::canary::Canary;
use crate::clock::{LocalClock, Time};
use crate::facts::Fact;
use crate::properties::Property;
use crate::random::Random;

/// The time of day when the world begins, in ms since 1970.
const DAWN_MS: u64 = 1_700_000_000_000;

/// Something that a server's process does.
#[derive(Debug)]
pub(crate) enum Work {
    /// A timer that was set for this moment.
    Tick(Time),
    Opened(usize),
    Frame(usize, Vec<u8>),
    Closed(usize),
    Applied(Ticket, Result<Outcome, AuthorityError>),
    /// Says what there is to say.
    Flush,
    /// Looks whether somebody leads.
    Elect,
    /// Learns that it does not lead any more.
    Deposed,
    /// Is asked to stop.
    Stop,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Running,
    Frozen,
    Dead,
}

/// A server that leads, as far as it knows.
struct Leading {
    server: Server,
    leader: Leader,
    /// When it is to be ticked, and when it will be.
    tick_due: Option<(Time, Time)>,
    is_flush_due: bool,
}

/// A server's process.
pub(super) struct ServerProcess {
    /// Counts its lives.
    pub(super) life: u64,
    status: Status,
    clock: LocalClock,
    /// By how much its time of day is wrong.
    wall_offset_ms: i64,
    backlog: VecDeque<Work>,
    leading: Option<Leading>,
    random: Random,
}

impl ServerProcess {
    pub(super) fn new(clock: LocalClock, random: Random) -> Self {
        Self {
            life: 0,
            status: Status::Dead,
            clock,
            wall_offset_ms: 0,
            backlog: VecDeque::new(),
            leading: None,
            random,
        }
    }

    pub(super) fn leading(&self) -> Option<&Server> {
        self.leading.as_ref().map(|leading| &leading.server)
    }

    fn term(&self) -> Option<Term> {
        self.leading().map(Server::term)
    }

    pub(super) fn is_dead(&self) -> bool {
        self.status == Status::Dead
    }

    /// Whether this life of it goes on.
    pub(super) fn lives(&self, life: u64) -> bool {
        self.life == life && self.status != Status::Dead
    }

    /// Whether connections are taken that were meant for this life of it.
    pub(super) fn listens(&self, life: u64) -> bool {
        self.lives(life) && self.leading.is_some()
    }

    fn wall_ms(&self, now: Time) -> u64 {
        (DAWN_MS + now.as_millis() as u64).saturating_add_signed(self.wall_offset_ms)
    }
}

impl World<'_> {
    pub(super) fn start_server(&mut self, server: usize) {
        let process = &mut self.servers[server];
        if process.status != Status::Dead {
            return;
        }
        process.status = Status::Running;
        process.life += 1;
        self.log.line(self.now, format_args!("s{server} begins"));
        self.elect_later(server);
    }

    fn elect_later(&mut self, server: usize) {
        let most = self.plan.timeouts.backoff;
        let process = &mut self.servers[server];
        let (life, pause) = (process.life, process.random.time(most / 2, most * 2));
        self.queue.push(self.now + pause, Event::Server(server, life, Work::Elect));
    }

    /// Does something at a server's process; later, if it stands still.
    pub(super) fn work(&mut self, server: usize, life: u64, work: Work) {
        let process = &mut self.servers[server];
        if !process.lives(life) {
            return;
        }
        // What came before goes first.
        if process.status == Status::Frozen || !process.backlog.is_empty() {
            return process.backlog.push_back(work);
        }
        self.do_work(server, work);
    }

    fn do_work(&mut self, server: usize, work: Work) {
        match work {
            Work::Tick(due) => self.server_tick(server, due),
            Work::Opened(link) => {
                let label = format!("client {}", self.network.links[link].client);
                let (connection, principal) = (Connection(link as u64), Principal::Anonymous);
                self.step(server, Input::Opened { connection, principal, label });
            }
            Work::Frame(link, bytes) => {
                self.counts.frames += 1;
                let connection = Connection(link as u64);
                match Frame::decode(&bytes) {
                    Ok(frame) => self.step(server, Input::Heard { connection, frame }),
                    Err(error) => self.violate(Property::NoAccusation, format!("no frame: {error}")),
                }
            }
            Work::Closed(link) => self.step(server, Input::Closed { connection: Connection(link as u64) }),
            Work::Applied(ticket, result) => self.applied(server, ticket, result),
            Work::Flush => self.flush(server),
            Work::Elect => self.elect(server),
            Work::Deposed if self.servers[server].term() < Some(self.records.newest_term) => {
                self.log.line(self.now, format_args!("s{server} learns that it leads no longer"));
                self.step_down(server);
            }
            Work::Deposed => {}
            Work::Stop => self.step(server, Input::Stop),
        }
    }

    fn server_tick(&mut self, server: usize, due: Time) {
        if let Some(leading) =
            self.servers[server].leading.as_mut().filter(|it| it.tick_due.is_some_and(|(_, it)| it == due))
        {
            leading.tick_due = None;
            self.step(server, Input::Tick);
        }
    }

    fn applied(&mut self, server: usize, ticket: Ticket, result: Result<Outcome, AuthorityError>) {
        let is_armed = self.records.armed == Some(CrashPoint::AfterApplied);
        if is_armed {
            // It decides, and dies before it has done anything about it.
            let process = &mut self.servers[server];
            let (now, wall) = (process.clock.show(self.now), process.wall_ms(self.now));
            if let Some(leading) = &mut process.leading {
                leading.server.step(Input::Applied { ticket, result }, now, wall, &mut Vec::new());
            }
            self.dies_at(server, CrashPoint::AfterApplied);
            return;
        }
        self.step(server, Input::Applied { ticket, result });
    }

    /// One step of a server that leads, and what follows.
    fn step(&mut self, server: usize, input: Input<'_>) {
        let (now, life) = (self.now, self.servers[server].life);
        let process = &mut self.servers[server];
        let (shown, wall) = (process.clock.show(now), process.wall_ms(now));
        let Some(leading) = &mut process.leading else { return };
        let mut effects = Vec::new();
        leading.server.step(input, shown, wall, &mut effects);
        leading.server.check();
        // A driver takes in what has come, and then says everything at once.
        let is_at_once = process.random.permille(700);
        if !leading.is_flush_due && !is_at_once {
            leading.is_flush_due = true;
            let pause = process.random.short_time(Duration::ZERO, Duration::from_millis(2));
            self.queue.push(now + pause, Event::Server(server, life, Work::Flush));
        }
        self.panic_if_planted(server);
        self.carry_out_server(server, effects);
        if is_at_once && self.servers[server].lives(life) {
            self.flush(server);
        }
    }

    fn flush(&mut self, server: usize) {
        let life = self.servers[server].life;
        let Some(leading) = &mut self.servers[server].leading else { return };
        leading.is_flush_due = false;
        let mut effects = Vec::new();
        leading.server.flush(&mut effects);
        let has_said = !effects.is_empty();
        self.carry_out_server(server, effects);
        if has_said && self.servers[server].lives(life) && self.dies_at(server, CrashPoint::AfterFlush) {
            return;
        }
        self.set_server_timer(server);
    }

    fn carry_out_server(&mut self, server: usize, effects: Vec<Effect>) {
        let (life, term) = (self.servers[server].life, self.servers[server].term());
        for effect in effects {
            if !self.servers[server].lives(life) {
                return;
            }
            match effect {
                Effect::Write(connection, bytes) => {
                    let link = connection.0 as usize;
                    if self.network.links[link].is_open_at_server {
                        self.server_writes(link, &bytes);
                    }
                }
                Effect::Close(connection) => self.close_at_server(connection.0 as usize),
                Effect::Apply(ticket, change) => {
                    let Some(term) = term else { return };
                    self.ask_for_change(Applying { server, life, ticket, term, change });
                }
                Effect::Notice(notice) => self.notice(server, &notice),
                Effect::Stop(reason) => self.stopped(server, &reason),
                other => self.violate(Property::Machine, format!("an effect that nobody knows: {other:?}")),
            }
        }
        self.set_server_timer(server);
    }

    fn notice(&mut self, server: usize, notice: &Notice) {
        self.log.line(self.now, format_args!("s{server}: {notice}"));
        let is_newest = self.servers[server].term() == Some(self.records.newest_term);
        if *notice == Notice::Recovered
            && is_newest
            && let Some(since) = self.leaderless_since.take()
        {
            self.recovery = self.recovery.max(self.now - since);
        }
        self.judge(&Fact::Noticed(notice));
    }

    fn stopped(&mut self, server: usize, reason: &StopReason) {
        self.log.line(self.now, format_args!("s{server} stops: {reason}"));
        if let Some(term) = self.servers[server].term() {
            self.judge(&Fact::Stopped { term, reason });
        }
        if let Some(leading) = self.step_down(server)
            && *reason == StopReason::Asked
        {
            let _ = leading.leader.resign();
            // What it leaves may be lost on the way.
            let is_lost = self.servers[server].random.permille(250);
            self.records.handover = leading.server.hand_over().filter(|_| !is_lost);
        }
    }

    /// Leads no longer: its connections are closed, and it is a candidate again.
    fn step_down(&mut self, server: usize) -> Option<Leading> {
        let process = &mut self.servers[server];
        let led = process.leading.take()?;
        let life = process.life;
        process.backlog.clear();
        // What comes for the one that led is not for the next.
        process.life += 1;
        self.note_leaderless();
        for link in self.network.open_links() {
            if self.network.is_of_server(link, server, life) {
                self.close_at_server(link);
            }
        }
        self.elect_later(server);
        Some(led)
    }

    fn note_leaderless(&mut self) {
        let newest = Some(self.records.newest_term);
        let is_led = self.servers.iter().any(|server| server.term() == newest);
        if !is_led && self.leaderless_since.is_none() {
            self.leaderless_since = Some(self.now);
        }
    }

    fn set_server_timer(&mut self, server: usize) {
        let now = self.now;
        let process = &mut self.servers[server];
        let life = process.life;
        let Some(leading) = &mut process.leading else { return };
        let Some(next) = leading.server.next_tick() else { return };
        let at = process.clock.when(next).max(now);
        if leading.tick_due.is_some_and(|(wanted, _)| wanted <= at) {
            return;
        }
        let due = at + process.random.short_time(Duration::from_micros(1), Duration::from_millis(20));
        leading.tick_due = Some((at, due));
        self.queue.push(due, Event::Server(server, life, Work::Tick(due)));
    }

    // --- leading --------------------------------------------------------------------------------------------------------

    /// Whether somebody leads who may still speak. As long as that is so, an authority lets nobody else lead.
    fn is_led(&self) -> bool {
        let newest = Some(self.records.newest_term);
        self.servers.iter().any(|server| !server.is_dead() && server.term() == newest)
    }

    fn elect(&mut self, server: usize) {
        if self.servers[server].leading.is_some() {
            return;
        }
        if self.is_led() {
            return self.elect_later(server);
        }
        self.lead(server);
    }

    /// Campaigns, and leads if that is won.
    fn lead(&mut self, server: usize) {
        let begun = self.campaign(server);
        self.begin_to_lead(server, begun);
    }

    fn begin_to_lead(&mut self, server: usize, begun: Begun) {
        let (config, shown) = (self.server_config(), self.servers[server].clock.show(self.now));
        match begun {
            Begun::Died => {}
            Begun::Failed => self.elect_later(server),
            Begun::Leading(leader, records) => {
                let machine = Server::new(config, leader.term(), records, shown);
                self.begin_to_serve(server, machine, leader);
            }
            Begun::TakingOver(leader, records, handover) => {
                match Server::taking_over(config, leader.term(), records, &handover, shown) {
                    Ok(machine) => self.begin_to_serve(server, machine, leader),
                    Err(error) => {
                        self.log.line(self.now, format_args!("s{server} cannot take over: {error}"));
                        let begun = self.begin_grace(server, leader);
                        self.begin_to_lead(server, begun);
                    }
                }
            }
        }
    }

    fn server_config(&self) -> ServerConfig {
        let mut config = ServerConfig::new(SERVICE);
        config.plan = self.plan.timeouts;
        config.window = self.plan.windows.1;
        config.locks_per_step = self.plan.locks_per_step;
        config.patience = self.plan.timeouts.lease;
        config
    }

    fn begin_to_serve(&mut self, server: usize, machine: Server, leader: Leader) {
        self.servers[server].leading =
            Some(Leading { server: machine, leader, tick_due: None, is_flush_due: false });
        if self.leaderless_since.is_none() {
            self.leaderless_since = Some(self.now);
        }
        self.set_server_timer(server);
    }

    /// Another takes over while the leader runs. That one learns of it before the difference can matter: within the margin that
    /// the plan of time limits leaves.
    pub(super) fn usurp(&mut self, salt: u64) {
        let mut random = Random::new(salt, 0);
        let newest = Some(self.records.newest_term);
        let is_running = |it: &ServerProcess| it.status == Status::Running;
        let Some(old) = self.servers.iter().position(|it| it.term() == newest && is_running(it)) else {
            return;
        };
        let Some(new) = self.servers.iter().position(|it| it.leading.is_none() && is_running(it)) else {
            return;
        };
        self.faults.count(Fault::Usurp);
        self.log.line(self.now, format_args!("s{new} takes over from s{old}, which does not know"));
        self.lead(new);
        if !self.has(Canary::DeposedWrites) {
            let most = self.plan.timeouts.margin / 2;
            let (life, pause) = (self.servers[old].life, random.time(Duration::ZERO, most));
            self.queue.push(self.now + pause, Event::Server(old, life, Work::Deposed));
        }
    }

    // --- standing still, and dying ----------------------------------------------------------------------------------------

    /// The leader, if it runs and nobody has taken over from it.
    pub(super) fn running_leader(&self) -> Option<usize> {
        let newest = Some(self.records.newest_term);
        self.servers.iter().position(|it| it.term() == newest && it.status == Status::Running)
    }

    pub(super) fn freeze_server(&mut self, server: usize, time: Duration) {
        let process = &mut self.servers[server];
        if process.status == Status::Running {
            process.status = Status::Frozen;
            let life = process.life;
            self.log.line(self.now, format_args!("s{server} stands still for {time:?}"));
            self.queue.push(self.now + time, Event::ThawServer(server, life));
        }
    }

    pub(super) fn thaw_server(&mut self, server: usize, life: u64) {
        let process = &mut self.servers[server];
        if !process.lives(life) || process.status != Status::Frozen {
            return;
        }
        process.status = Status::Running;
        self.log.line(self.now, format_args!("s{server} goes on"));
        let process = &mut self.servers[server];
        if process.random.permille(500) {
            process.backlog.make_contiguous().sort_by_key(|it| !matches!(it, Work::Tick(_)));
        }
        self.queue.push(self.now, Event::DrainServer(server, life));
    }

    /// A process that goes on deals with what waited, one after the other.
    pub(super) fn drain_server(&mut self, server: usize, life: u64) {
        let process = &mut self.servers[server];
        if !process.lives(life) || process.status != Status::Running {
            return;
        }
        let Some(work) = process.backlog.pop_front() else { return };
        let pause = process.random.short_time(Duration::ZERO, Duration::from_micros(500));
        self.queue.push(self.now + pause, Event::DrainServer(server, life));
        self.do_work(server, work);
    }

    pub(super) fn thaw_all(&mut self) {
        for server in 0..self.servers.len() {
            self.thaw_server(server, self.servers[server].life);
        }
        for client in 0..self.clients.len() {
            self.thaw_client(client);
        }
    }

    /// The process dies, and begins again later.
    pub(super) fn kill_server(&mut self, server: usize, is_told: bool) {
        if self.servers[server].is_dead() {
            return;
        }
        self.log.line(self.now, format_args!("s{server} dies"));
        let process = &mut self.servers[server];
        process.status = Status::Dead;
        process.leading = None;
        process.backlog.clear();
        let pause = process.random.short_time(Duration::from_millis(10), self.plan.timeouts.lease);
        self.break_links_of(|link| link.server == server, Way::Up, is_told);
        self.note_leaderless();
        self.queue.push(self.now + pause, Event::StartServer(server));
    }

    pub(super) fn jump_wall_clock(&mut self, server: usize, by_ms: i64) {
        self.servers[server].wall_offset_ms = by_ms;
    }

    fn panic_if_planted(&mut self, server: usize) {
        if self.has(Canary::Panic) && self.servers[server].random.permille(2) {
            panic!("K1: planted");
        }
    }
}
