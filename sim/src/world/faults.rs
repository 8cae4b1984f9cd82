//! What goes wrong at its moment, and how it is mended.

use std::time::Duration;

use super::client::Stimulus;
use super::network::Way;
use super::records::CrashPoint;
use super::{Event, Part, World};
use crate::Fault;
use crate::canary::Canary;
use crate::plan::Planned;
use crate::random::Random;

impl World<'_> {
    /// A fault happens, if there is anything for it to happen to.
    pub(super) fn fault(&mut self, planned: Planned) {
        if self.part != Part::Chaos {
            return;
        }
        let Planned { number, fault, salt, .. } = planned;
        let random = &mut Random::new(salt, 1);
        self.log.line(self.now, format_args!("fault {number}: {fault}"));
        let lease = self.plan.timeouts.lease;
        let until = self.now + random.long_time(lease / 10, lease * 2);
        let is_told = random.permille(600);
        match fault {
            Fault::Cut => self.fault_on_link(random, fault, |_| true),
            Fault::HalfOpen => {
                let told = random.pick(&Way::BOTH);
                self.fault_on_link(random, fault, |way| way == told);
            }
            Fault::Partition => self.partition(random),
            Fault::Delay => self.delay(random),
            Fault::LateData => {
                self.network.late_until = until;
                self.faults.count(fault);
            }
            Fault::ClientCrash => self.crash_client(random, is_told),
            Fault::ClientFreeze => {
                if let Some(client) = self.any_client(random) {
                    self.faults.count(fault);
                    self.freeze_client(client, random.long_time(lease / 20, lease * 4));
                }
            }
            Fault::ClientLeave => self.have_client_leave(random, fault),
            Fault::ClientAbandon => self.have_client_leave(random, fault),
            Fault::SlowInvalidation => {
                self.slow_invalidation_until = until;
                self.faults.count(fault);
            }
            Fault::ServerCrash => {
                let leader = self.running_leader().filter(|_| random.permille(800));
                let server = leader.unwrap_or_else(|| random.index(self.plan.servers));
                if !self.servers[server].is_dead() {
                    self.faults.count(fault);
                    self.kill_server(server, is_told);
                }
            }
            Fault::CrashPoint => self.records.armed = Some(random.pick(&CrashPoint::ALL)),
            Fault::ServerFreeze => {
                if let Some(server) = self.running_leader() {
                    self.faults.count(fault);
                    self.freeze_server(server, random.long_time(lease / 20, lease * 3));
                }
            }
            Fault::Usurp => self.usurp(salt),
            Fault::HandOver => {
                if let Some(server) = self.running_leader() {
                    self.faults.count(fault);
                    self.work(server, self.servers[server].life, super::server::Work::Stop);
                }
            }
            Fault::RecordsRefuse => self.records.refuse_until = until,
            Fault::RecordsUnknown => self.records.unknown_until = until,
            Fault::RecordsSlow => {
                self.records.slow_until = until;
                self.faults.count(fault);
            }
            Fault::WallClock => {
                let server = random.index(self.plan.servers);
                let days = random.among(0, 60) as i64 - 30;
                self.jump_wall_clock(server, days * 86_400_000);
                self.faults.count(fault);
            }
            Fault::SlowStore => {
                self.store.slow_until = until;
                self.faults.count(fault);
            }
            Fault::Drift | Fault::Impatience => {}
        }
    }

    fn any_client(&self, random: &mut Random) -> Option<usize> {
        self.lives_at(random.index(self.plan.clients))
    }

    fn fault_on_link(&mut self, random: &mut Random, fault: Fault, is_told: impl Fn(Way) -> bool) {
        let open = self.network.open_links();
        if !open.is_empty() {
            self.faults.count(fault);
            self.break_link(random.pick(&open), is_told);
        }
    }

    fn partition(&mut self, random: &mut Random) {
        self.faults.count(Fault::Partition);
        let lease = self.plan.timeouts.lease;
        let until = self.now + random.long_time(lease / 20, lease * 3);
        let (up, down) = random.pick(&[(true, true), (true, false), (false, true)]);
        let machine = random.index(self.plan.clients);
        // From one server, or from all.
        let one = random.permille(500).then(|| random.index(self.plan.servers));
        for server in (0..self.plan.servers).filter(|server| one.is_none_or(|one| one == *server)) {
            for (way, is_blocked) in [(Way::Up, up), (Way::Down, down)] {
                if is_blocked {
                    self.network.block(way, machine, server, until);
                }
            }
        }
    }

    fn delay(&mut self, random: &mut Random) {
        self.faults.count(Fault::Delay);
        let lease = self.plan.timeouts.lease;
        let until = self.now + random.short_time(lease / 20, lease * 2);
        let by = random.short_time(lease / 100, lease);
        let (way, machine) = (random.pick(&Way::BOTH), random.index(self.plan.clients));
        for server in 0..self.plan.servers {
            self.network.slow_down(way, machine, server, until, by);
        }
    }

    fn crash_client(&mut self, random: &mut Random, is_told: bool) {
        let Some(client) = self.any_client(random) else { return };
        self.faults.count(Fault::ClientCrash);
        self.kill_client(client, is_told);
        self.start_again(client, random);
    }

    /// Another process takes the place of one that is gone or leaves: mostly as the same instance.
    fn start_again(&mut self, client: usize, random: &mut Random) {
        let (machine, same) = (self.clients[client].machine, self.clients[client].instance);
        let instance = if random.permille(700) { same } else { self.next_instance() };
        let pause = random.short_time(Duration::from_millis(1), self.plan.timeouts.lease * 2);
        self.queue.push(self.now + pause, Event::StartClient(machine, instance));
    }

    fn have_client_leave(&mut self, random: &mut Random, fault: Fault) {
        let Some(client) = self.any_client(random) else { return };
        self.faults.count(fault);
        if fault == Fault::ClientAbandon {
            self.abandon(client);
        } else {
            self.stimulate(client, Stimulus::WindUp);
        }
        // Whoever has not come to its end by then is killed.
        let time = random.short_time(self.plan.timeouts.lease / 10, self.plan.timeouts.lease * 3);
        let (machine, instance) = (self.clients[client].machine, self.clients[client].instance);
        let instance = if random.permille(500) { instance } else { self.next_instance() };
        self.queue.push(self.now + time, Event::ReplaceClient(client, machine, instance));
    }

    pub(super) fn replace_client(&mut self, client: usize, machine: usize, instance: u128) {
        if self.part == Part::Chaos || self.views[client].is_over {
            self.kill_client(client, true);
            self.start_client(machine, instance);
        }
    }

    /// From here on nothing goes wrong any more, and what is broken is mended.
    pub(super) fn calm(&mut self) {
        self.log.line(self.now, format_args!("nothing goes wrong any more"));
        self.set_part(Part::Calm);
        self.network.heal();
        self.records.heal();
        self.slow_invalidation_until = self.now;
        self.store.slow_until = self.now;
        for link in 0..self.network.links.len() {
            for way in Way::BOTH {
                self.pump(link, way);
            }
        }
        self.thaw_all();
        if self.has(Canary::DeposedWrites) {
            self.log.line(self.now, format_args!("the deposed go on"));
        }
        self.look_again();
    }
}
