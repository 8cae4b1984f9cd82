//! Records: those that are there when a server begins, and the changes that it asks for.
//!
//! A change that fails because the storage does is asked for again, for as long as the server's patience lasts; but a session
//! whose record could not be written is not opened (G-21), and its client is told to come again. Each change can be made twice.
//! One that is refused because of what the records say is a mistake of this server, or of whoever changed them: it stops.

use std::collections::BTreeSet;

use tidelock_authority::{
    Authority, AuthorityError, Change, ClientRecord, ClientState, Meta, Outcome, Tombstone,
};
use tidelock_format::{ClientId, Incarnation};

use super::changes::{Pending, Purpose, is_passing};
use super::session::{Cause, Session, Stage, Step};
use super::timers::Timer;
use super::{Effect, Expulsion, Notice, Phase, Seat, Server, StopReason, Ticket};

/// How often tombstones are swept.
const SWEEP: std::time::Duration = std::time::Duration::from_secs(3600);

/// All records, as they are when a server begins to serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Records {
    /// Term and epochs.
    pub meta: Meta,
    /// Every client that has a session.
    pub clients: Vec<ClientRecord>,
    /// Sessions that were expelled and cleared up.
    pub tombstones: Vec<Tombstone>,
}

impl Records {
    /// Reads all records. Whoever leads does this after having begun the grace, or, where a table is handed over, instead of
    /// it; nobody else changes them any more.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn read(authority: &dyn Authority) -> Result<Self, AuthorityError> {
        let meta = authority.meta()?;
        Ok(Self { meta, clients: authority.clients()?, tombstones: authority.tombstones()? })
    }
}

impl Server {
    pub(super) fn load_tombstones(&mut self, tombstones: Vec<Tombstone>) {
        for Tombstone { client, incarnation, expires_ms, .. } in tombstones {
            self.tombs.put(client, incarnation, expires_ms);
        }
    }

    /// Makes the sessions that a record tells of. `handed` are those of its client that were handed over: what they hold has
    /// to be here before they [end](Self::load_state).
    pub(super) fn load_client(&mut self, record: &ClientRecord, mut handed: BTreeSet<Incarnation>) {
        let ClientRecord { client, incarnation, fenced_to, .. } = *record;
        handed.remove(&incarnation);
        let before = Incarnation(incarnation.0.saturating_sub(1));
        if fenced_to < before {
            handed.insert(before);
        }
        for former in handed {
            let seat = self.load_session(client, former);
            self.clients.entry(client).or_default().former.push(seat);
        }
        let seat = self.load_session(client, incarnation);
        self.clients.entry(client).or_default().present = Some(seat);
    }

    /// Goes on with how the sessions of a record end, if they do.
    pub(super) fn load_state(&mut self, record: ClientRecord) {
        let Some(lives) = self.clients.get(&record.client) else { return };
        let (former, present) = (lives.former.clone(), lives.present);
        for seat in former {
            let Some(session) = self.sessions.get(seat) else { continue };
            let is_fenced = record.fenced_to >= session.incarnation;
            let step = if is_fenced { Step::Depart } else { Step::Lease };
            self.begin_ending(seat, Cause::Superseded, step);
        }
        if let Some(seat) = present {
            self.load_present(seat, record);
        }
    }

    fn load_present(&mut self, seat: Seat, record: ClientRecord) {
        let Some(session) = self.sessions.get_mut(seat) else { return };
        session.label = record.label;
        match record.state {
            ClientState::Active if record.grace.is_empty() => {
                // R5: it was granted nothing, for its server never came so far.
                session.heard = None;
                self.begin_ending(seat, Cause::Expelled(Expulsion::BrokenOff), Step::Intent);
            }
            ClientState::Active => {}
            ClientState::Leaving => self.begin_ending(seat, Cause::Farewell, Step::Depart),
            ClientState::Expelled { reason } => {
                let is_fenced = record.fenced_to >= record.incarnation;
                let step = if is_fenced { Step::Depart } else { Step::Lease };
                self.begin_ending(seat, Cause::Expelled(Expulsion::Before(reason)), step);
            }
        }
    }

    /// A session of an earlier term. Its client may have been heard until this server began.
    fn load_session(&mut self, client: ClientId, incarnation: Incarnation) -> Seat {
        let mut session = Session::new(client, incarnation, self.config.window, self.now);
        session.stage = Stage::Unheard;
        session.heard = Some(self.now);
        let seat = self.sessions.insert(session);
        self.missing.insert(seat);
        seat
    }

    /// The first step of all.
    pub(super) fn begin(&mut self) {
        let clients: BTreeSet<ClientId> = self.sessions.iter().map(|(_, session)| session.client).collect();
        clients.into_iter().for_each(|client| self.advance(client));
        self.timers.set(self.now, Timer::Sweep);
        self.look_at_recovery();
        self.look_at_grace();
    }

    pub(super) fn sweep(&mut self) {
        self.timers.set(self.now + SWEEP, Timer::Sweep);
        if !self.changes.has(Purpose::Sweep) {
            self.ask(Purpose::Sweep, Change::SweepTombstones { now_ms: self.wall_ms });
        }
    }

    // --- changes -------------------------------------------------------------------------------------------------------

    pub(super) fn ask(&mut self, purpose: Purpose, change: Change) {
        if matches!(self.phase, Phase::Stopping | Phase::Stopped) {
            return;
        }
        self.counters.changes_asked += 1;
        let ticket = self.changes.begin(purpose, change.clone(), self.now);
        if let Some(lives) = self.client_of(purpose).and_then(|client| self.clients.get_mut(&client)) {
            assert!(lives.change.is_none(), "Y6: two changes of one client at a time");
            lives.change = Some(ticket);
        }
        self.effects.push(Effect::Apply(ticket, change));
    }

    pub(super) fn client_of(&self, purpose: Purpose) -> Option<ClientId> {
        match purpose {
            Purpose::Open(client) => Some(client),
            Purpose::End(seat) | Purpose::Reclaim(seat) => Some(self.sessions.get(seat)?.client),
            Purpose::EndGrace | Purpose::Sweep | Purpose::Probe => None,
        }
    }

    /// A change was made, or not. One that is not known, or was answered before, is passed over.
    pub(super) fn applied(&mut self, ticket: Ticket, result: Result<Outcome, AuthorityError>) {
        let Some(pending) = self.changes.take(ticket) else { return };
        match result {
            Err(error @ (AuthorityError::Deposed { .. } | AuthorityError::Resigned { .. })) => {
                self.stop(StopReason::Deposed(error));
            }
            Err(error) if self.has_to_be_asked_again(&pending, &error) => {
                self.put_aside(ticket, pending, error);
            }
            result => self.settle(pending, result),
        }
    }

    /// Whether the answer leaves something open. That of a greeting does not (G-21), unless the record may be there: until that
    /// is known, nothing else of the client's records is changed.
    fn has_to_be_asked_again(&mut self, pending: &Pending, error: &AuthorityError) -> bool {
        let Purpose::Open(client) = pending.purpose else { return is_passing(error) };
        let is_unknown = pending.is_unknown || matches!(error, AuthorityError::Unknown { .. });
        let again = is_unknown && is_passing(error);
        if again {
            self.put_off_opening(client);
        }
        again
    }

    fn put_aside(&mut self, ticket: Ticket, pending: Pending, error: AuthorityError) {
        if self.phase == Phase::Stopping {
            return;
        }
        if self.now >= pending.since + self.config.patience {
            return self.stop(StopReason::Records(error));
        }
        let is_unknown = pending.is_unknown || matches!(error, AuthorityError::Unknown { .. });
        self.effects.push(Effect::Notice(Notice::Failed(error)));
        self.changes.pause(ticket, Pending { is_unknown, ..pending });
        self.timers.set(self.now + self.config.plan.backoff, Timer::Retry(ticket));
    }

    pub(super) fn ask_again(&mut self, ticket: Ticket) {
        if let Some(change) = self.changes.resume(ticket) {
            self.counters.changes_repeated += 1;
            self.effects.push(Effect::Apply(ticket, change));
        }
    }

    fn settle(&mut self, pending: Pending, result: Result<Outcome, AuthorityError>) {
        let client = self.client_of(pending.purpose);
        if let Some(lives) = client.and_then(|client| self.clients.get_mut(&client)) {
            lives.change = None;
        }
        match pending.purpose {
            Purpose::Open(client) => self.opening_applied(client, result),
            Purpose::End(seat) => self.end_applied(seat, result),
            Purpose::Reclaim(seat) => self.reclaim_applied(seat, result),
            Purpose::EndGrace => self.grace_ended(result),
            Purpose::Sweep => self.tombs.sweep(self.wall_ms),
            Purpose::Probe => {}
        }
        client.into_iter().for_each(|client| self.advance(client));
    }

    /// The records are not as this server left them.
    pub(super) fn records_disagree(&mut self, error: AuthorityError) {
        self.stop(StopReason::Records(error));
    }

    fn reclaim_applied(&mut self, seat: Seat, result: Result<Outcome, AuthorityError>) {
        let is_told = self.sessions.get(seat).is_some_and(|session| session.stage == Stage::Told);
        if let Err(error) = result {
            return self.expel(seat, Expulsion::NotListed(error));
        }
        // It may have said farewell, or offended, meanwhile.
        if is_told && let Some(session) = self.sessions.get_mut(seat) {
            session.stage = Stage::Live;
            self.missing.remove(&seat);
            self.progress = self.now;
            self.look_at_recovery();
        }
    }
}
