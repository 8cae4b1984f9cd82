//! The parts of a run after the faults, and what has to be so at the end of each.

use tidelock_format::Key;
use tidelock_lock_server::Phase;

use super::client::{Leaving, Status, Stimulus};
use super::{Event, Part, World};
use crate::facts::Fact;

/// How often it is looked whether a part is over, in parts of a lease.
const LOOKS_PER_LEASE: u32 = 20;

/// After how many leases whoever still waits has been forgotten. A recovery takes two graces, an expulsion a lease, and what was on
/// its way to the store before three.
const LEASES_MAX: u32 = 14;

impl World<'_> {
    pub(super) fn set_part(&mut self, part: Part) {
        self.part = part;
        self.part_began = self.now;
    }

    pub(super) fn look_again(&mut self) {
        let at = self.now + self.plan.timeouts.lease / LOOKS_PER_LEASE;
        self.queue.push(at, Event::Look);
    }

    pub(super) fn look(&mut self) {
        let is_late = self.now > self.part_began + self.plan.timeouts.lease * LEASES_MAX;
        match self.part {
            Part::Calm => self.look_whether_calm(is_late),
            Part::Farewell => self.look_whether_over(is_late),
            Part::Chaos | Part::Over => return,
        }
        if self.part != Part::Over {
            self.look_again();
        }
    }

    fn look_whether_calm(&mut self, is_late: bool) {
        let is_done = self.unfinished_users().is_empty() && self.wait_at_machines().is_empty();
        if !is_done && !is_late {
            return;
        }
        self.settling = self.now - self.part_began;
        let waiting = self.wait_at_machines();
        self.judge(&Fact::Settled { waiting: &waiting });
        if self.judge.violation.is_some() {
            let unfinished = self.unfinished_users();
            return self.log.line(self.now, format_args!("unfinished: {}", unfinished.join("; ")));
        }
        self.log.line(self.now, format_args!("everybody leaves"));
        self.set_part(Part::Farewell);
        for client in 0..self.clients.len() {
            if self.clients[client].status == Status::Running {
                self.stimulate(client, Stimulus::WindUp);
            }
        }
    }

    /// Who waits for what, as clients and the server see it.
    fn wait_at_machines(&self) -> Vec<String> {
        let mut waiting = Vec::new();
        for (number, (client, view)) in self.clients.iter().zip(&self.views).enumerate() {
            if client.status == Status::Gone || client.leaving == Leaving::Left {
                continue;
            }
            for hold in view.holds.iter().filter(|hold| hold.waiters > 0 || hold.asked.is_some()) {
                waiting.push(format!("c{number} waits for lock {}: {hold:?}", hold.lock));
            }
            if client.embedder.is_dropping() {
                waiting.push(format!("c{number} drops caches"));
            }
        }
        match self.running_leader().and_then(|server| self.servers[server].leading()) {
            Some(server) if server.phase() == Phase::Serving => {
                for entry in server.locks_from(Key::MIN).filter(|entry| !entry.waiters.is_empty()) {
                    waiting.push(format!("at the server: {entry:?}"));
                }
            }
            Some(server) => waiting.push(format!("the server: {:?}", server.grace())),
            None => waiting.push("nobody leads".into()),
        }
        waiting
    }

    fn look_whether_over(&mut self, is_late: bool) {
        let remains = self.remains();
        if remains.is_empty() || is_late {
            let operations = self.open_operations();
            self.judge(&Fact::Over { remains: &remains, operations });
            self.set_part(Part::Over);
        }
    }

    /// What is left of those who have left.
    fn remains(&self) -> Vec<String> {
        let mut remains = Vec::new();
        for (number, (client, view)) in self.clients.iter().zip(&self.views).enumerate() {
            if client.status == Status::Gone {
                continue;
            }
            if !view.is_over {
                remains.push(format!("c{number} has not left"));
            } else if !view.holds.is_empty() {
                remains.push(format!("c{number} still has {:?}", view.holds));
            }
        }
        let Some(server) = self.running_leader().and_then(|server| self.servers[server].leading()) else {
            remains.push("nobody leads".into());
            return remains;
        };
        remains.extend(server.sessions().map(|session| format!("session {session:?}")));
        if server.locks() > 0 || server.changes_pending() > 0 {
            remains.push(format!("{} locks, {} changes", server.locks(), server.changes_pending()));
        }
        remains
            .extend(self.records.views.iter().map(|(client, record)| format!("record {client}: {record:?}")));
        remains
    }

    /// Where a client looks for the leader: what the records say, and before they say anything, anywhere.
    pub(super) fn look_up_leader(&mut self, client: usize) -> usize {
        let servers = self.plan.servers;
        let random = &mut self.clients[client].random;
        // Who looked it up a while ago knows an older one.
        let is_stale = self.part == Part::Chaos && random.permille(100);
        let anywhere = random.index(servers);
        self.records.leader().filter(|_| !is_stale).unwrap_or(anywhere)
    }
}
