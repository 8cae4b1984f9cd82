//! A lock server, whole: sessions, durable records, recovery, and the table of grants, as one machine.
//!
//! A driver brings what happened and the time ([`Server::step`]), and carries out what is to be done ([`Effect`]). Steps
//! decide; what clients have to be told gathers until [`Server::flush`], so that a burst of inputs costs each client one
//! write: an answer, and in the same frame how far its messages are done.
//!
//! ```text
//!                    greeting                 the last server's, come back
//!      (no record) ------------> Live <------ Told <------ Telling <------ Unheard
//!                                  |                          |               |
//!           farewell, expelled, or its client opened another: Ending <--------'
//!                                  |
//!        Intent -> Lease -> Fence -> Depart -> Close            see `ending.rs`
//! ```
//!
//! # When a lock may be given to somebody else
//! A client may use what it was granted until it says that it came down, or until its lease is over by its own clock. The
//! lease counts from when the client *sent* something that was answered; here it counts from when something was *heard*,
//! which is later, and longer, by as much as clocks may drift ([`TimeoutPlan::server_waits_for`]). So what a session holds is
//! taken back without its word only
//! - after its farewell, which says that everything was given up; or
//! - when it has been silent for that long, it is durable that it is over (so that no later server lets it go on), and the
//!   fence is raised up to it.
//!
//! The fence is raised *after* the lease, and is the durable mark that the lease is over. A server that begins trusts in it
//! alone: where a record does not say so of the sessions up to the present one, somebody may still be writing, and nothing
//! is granted to anyone before a whole lease has passed since the server began. That is enough, for whoever led before has
//! been silent since: an authority lets nobody lead beside a leader that may still speak.
//!
//! A client that opens a session while it had one is not taken at its word that the older is gone: it may be another process
//! of a name that was given twice, or a write of the old life may still be on its way. For the table the two are different
//! holders, and the older ends like one that was expelled.
//!
//! # Invariants
//! [`Server::check`] looks at those that can be looked at.
//! - **Y1** A session's record is durable before anything is said in it, and goes last: while something of a session is
//!   left, its client has a record.
//! - **Y2** What a session holds is taken back without its word only as told above.
//! - **Y3** Who holds or wants a lock is a session in memory.
//! - **Y4** In a session that is being ended nothing is taken from its client any more, and nothing granted to it.
//! - **Y5** A client's sessions end in the order in which they were opened: a fence never covers one whose lease may run.
//! - **Y6** For one client there is at most one change of the records under way.
//! - **Y7** A session has one connection: what comes from an earlier one is dropped, and so is a late copy of a greeting.
//! - **Y8** What waits for a client is bounded by what it holds and wants; whoever lets more wait is not listened to.
//! - **Y9** A table that is handed over says at least what each client believes, and no client believes more.
//! - **Y10** A server that leads no longer says nothing any more.
//!
//! # Where a barrier for a part of the locks will stand
//! Now nothing is granted before everybody who is missing has come or is gone. A record that said in which parts of the
//! key space its client may hold anything would let the others go on: what `recovery.rs` calls missing becomes a count for
//! each part, `Grants` is opened part by part, and Y1 says that the mark is durable before the first grant in a part.

mod changes;
mod config;
mod counters;
mod ending;
mod greeting;
mod handover;
mod hearing;
mod input;
mod lives;
mod messages;
mod records;
mod recovery;
mod seats;
mod session;
mod timers;
mod view;

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use tidelock_format::{ClientId, FenceEpoch, Term};

pub use config::{Quotas, ServerConfig};
pub use counters::Counters;
pub use handover::{Handover, HandoverError, TakeOverError};
pub use input::{Connection, Effect, Expulsion, Input, Notice, Offence, StopReason, Ticket};
pub use records::Records;
pub use view::{GraceView, LockEntry, LockHolder, LockWaiter, Missing, Party, Phase, SessionView, Standing};

#[cfg(doc)]
use tidelock_net::TimeoutPlan;

use self::changes::Changes;
use self::greeting::{Links, Stranger};
use self::lives::{Lives, Tombs};
use self::seats::{Seat, Seats};
use self::timers::{Timer, Timers};
use crate::{Answer, Grants};

/// A lock server. A clone goes its own way: for tests that try more than one.
#[derive(Clone, Debug)]
pub struct Server {
    config: ServerConfig,
    term: Term,
    phase: Phase,
    stopped: Option<StopReason>,
    /// When it began, when it was told something last, and the time of day then.
    began: Duration,
    now: Duration,
    wall_ms: u64,
    /// Nobody is given up as silent before: the server itself may not have listened.
    deaf_until: Duration,
    grants: Grants,
    /// What every client has to have heard of fencing.
    fence: FenceEpoch,
    sessions: Seats,
    clients: HashMap<ClientId, Lives>,
    /// Greetings among them that want a session.
    openings: usize,
    tombs: Tombs,
    links: Links,
    /// Sessions of an earlier term that may hold what this server does not know.
    missing: BTreeSet<Seat>,
    /// When one of them got on last.
    progress: Duration,
    changes: Changes,
    timers: Timers,
    /// Sessions that are being ended and of whose locks some are left to look at.
    work: BTreeSet<Seat>,
    /// Sessions whose clients have to be told something.
    dirty: Vec<Seat>,
    /// What the step at hand wants done.
    effects: Vec<Effect>,
    answers: Vec<Answer>,
    counters: Counters,
}

impl Server {
    /// A server that leads in `term`. Its first [`step`](Self::step) is due at once.
    ///
    /// The records are as they are after the leader has begun the grace: [`Records::read`]. `now` is not before the campaign
    /// was won: from then on nobody else renews a lease.
    ///
    /// # Panics
    /// R5: if it has not.
    pub fn new(config: ServerConfig, term: Term, records: Records, now: Duration) -> Self {
        assert!(records.meta.recovering.is_some(), "R5: a leader begins the grace before it serves anybody");
        let mut server = Self::empty(config, term, &records, now);
        server.load_tombstones(records.tombstones);
        for record in records.clients {
            server.load_client(&record, BTreeSet::new());
            server.load_state(record);
        }
        server
    }

    fn empty(config: ServerConfig, term: Term, records: &Records, now: Duration) -> Self {
        let mut timers = Timers::default();
        timers.set(now, Timer::Begin);
        let mut grants = Grants::recovering(term, config.limits);
        if let Some(seeds) = config.seeds {
            grants = grants.seeded(seeds);
        }
        Self {
            config,
            term,
            phase: Phase::Recovering,
            stopped: None,
            began: now,
            now,
            wall_ms: 0,
            deaf_until: now,
            grants,
            fence: records.meta.fence,
            sessions: Seats::default(),
            clients: HashMap::new(),
            openings: 0,
            tombs: Tombs::default(),
            links: Links::default(),
            missing: BTreeSet::new(),
            progress: now,
            changes: Changes::default(),
            timers,
            work: BTreeSet::new(),
            dirty: Vec::new(),
            effects: Vec::new(),
            answers: Vec::new(),
            counters: Counters::default(),
        }
    }

    /// Takes in what happened, and appends what is to be done. `now` is any clock that never goes back and goes on while the
    /// machine is suspended, the same for all calls; `wall_ms` is the time of day in ms since 1970, for people and for
    /// tombstones.
    ///
    /// What clients have to be told is not among the effects: [`flush`](Self::flush).
    pub fn step(&mut self, input: Input<'_>, now: Duration, wall_ms: u64, effects: &mut Vec<Effect>) {
        if self.phase == Phase::Stopped {
            return;
        }
        self.look_at_the_clock(now, wall_ms);
        match input {
            Input::Opened { connection, principal, label } => {
                self.opened(connection, Stranger { principal, label })
            }
            Input::Heard { connection, frame } => self.heard(connection, frame),
            Input::Garbage { connection } => self.garbage(connection),
            Input::Closed { connection } => self.closed(connection),
            Input::Applied { ticket, result } => self.applied(ticket, result),
            Input::Tick => self.tick(),
            Input::Stop => self.wind_up(),
        }
        effects.append(&mut self.effects);
    }

    fn look_at_the_clock(&mut self, now: Duration, wall_ms: u64) {
        // Whoever was suspended has heard nobody, and what was said meanwhile has still to be read.
        let is_late = now > self.now + self.config.plan.renewal * 2;
        if is_late {
            self.deaf_until = now + self.config.plan.renewal;
        }
        self.now = self.now.max(now);
        self.wall_ms = wall_ms;
    }

    fn tick(&mut self) {
        // Bound: what is due now; what is set meanwhile is due later, or once more.
        while let Some(timer) = self.timers.due(self.now) {
            match timer {
                Timer::Begin => self.begin(),
                Timer::Stranger(connection) => self.stranger_is_late(connection),
                Timer::Lease(seat) => self.look_at_lease(seat),
                Timer::Grace => self.look_at_grace(),
                Timer::Retry(ticket) => self.ask_again(ticket),
                Timer::Sweep => self.sweep(),
            }
            if self.phase == Phase::Stopped {
                return;
            }
        }
        self.work_on();
    }

    /// When a [`Tick`](Input::Tick) is to be brought next, if nothing else happens before. It comes at least as often as
    /// clients renew their leases.
    pub fn next_tick(&self) -> Option<Duration> {
        if self.phase == Phase::Stopped {
            return None;
        }
        if !self.work.is_empty() {
            return Some(self.now);
        }
        let next = self.timers.next().unwrap_or(Duration::MAX);
        Some(next.min(self.now + self.config.plan.renewal))
    }

    /// Appends what clients have to be told after the steps since the last time: at most one write for each.
    pub fn flush(&mut self, effects: &mut Vec<Effect>) {
        if self.phase == Phase::Stopped {
            return;
        }
        let mut dirty = std::mem::take(&mut self.dirty);
        for seat in dirty.drain(..) {
            self.flush_one(seat, effects);
        }
        self.dirty = dirty;
        if self.phase == Phase::Stopping && self.changes.is_empty() {
            self.stop(StopReason::Asked);
            effects.append(&mut self.effects);
        }
    }

    fn flush_one(&mut self, seat: Seat, effects: &mut Vec<Effect>) {
        let Some(session) = self.sessions.get_mut(seat) else { return };
        session.is_dirty = false;
        let Some(connection) = session.link else { return };
        let mut bytes = Vec::new();
        let envelope = session.envelope(self.term, self.fence);
        let said = session.talk.say(envelope, &mut bytes);
        self.counters.messages_told += said.messages;
        self.counters.reports_told += said.reports;
        if !bytes.is_empty() {
            self.counters.writes += 1;
            effects.push(Effect::Write(connection, bytes));
        }
    }

    /// This session's client has to be told something.
    fn touch(&mut self, seat: Seat) {
        let Some(session) = self.sessions.get_mut(seat) else { return };
        if !session.is_dirty {
            session.is_dirty = true;
            self.dirty.push(seat);
        }
    }

    /// No further decision is made; those under way come to their end.
    fn wind_up(&mut self) {
        if self.phase != Phase::Stopping {
            self.phase = Phase::Stopping;
            self.changes.drop_paused();
        }
    }

    /// Y10.
    fn stop(&mut self, reason: StopReason) {
        self.phase = Phase::Stopped;
        self.effects.retain(|effect| matches!(effect, Effect::Notice(_)));
        self.stopped = Some(reason.clone());
        self.effects.push(Effect::Stop(reason));
    }
}
