//! A lock server, strangers who say anything, one client that keeps to the protocol, and records that fail.
//!
//! After every step the server's own invariants hold ([`Server::check`]), what it wants done goes to connections that there
//! are, and nobody has more of it than the quotas say (Y8). Nobody but the driver and the records can stop it. The client
//! that keeps to the protocol is never accused, never silent, and loses nothing; and when the others have fallen silent it is
//! served, and nothing is left of them.

use std::collections::BTreeSet;
use std::time::Duration;

use tidelock_authority::AuthorityError;
use tidelock_format::{Fsid, Key};
use tidelock_lock_server::{
    Connection, Effect, Expulsion, Handover, Input, Limits, Notice, Phase, Quotas, Server, ServerConfig,
    StopReason,
};
use tidelock_net::{Frame, Principal, TimeoutPlan};

use super::event::{Event, Reply};
use super::guest::{self, Guest};
use super::records::Ledger;
use super::stranger::{ENTRIES_MAX, Stranger};

const SERVICE: Fsid = Fsid(9);
const PLAN: TimeoutPlan = TimeoutPlan::DEFAULT;
const STRANGERS: u8 = 4;

const STRANGERS_MAX: usize = 5;
const SESSIONS_MAX: usize = 6;
const WAITING_MAX: usize = 6;
const WINDOW: usize = 4;
const LOCKS_MAX: usize = 6;

/// Longer than any lease, and any grace.
const QUIET: Duration = Duration::from_secs(150);

fn config() -> ServerConfig {
    ServerConfig {
        limits: Limits { locks_per_client_max: LOCKS_MAX },
        quotas: Quotas { strangers_max: STRANGERS_MAX, sessions_max: SESSIONS_MAX, waiting_max: WAITING_MAX },
        window: WINDOW,
        locks_per_step: 2,
        ..ServerConfig::new(SERVICE)
    }
}

/// A server and all around it.
#[derive(Debug)]
pub struct World {
    server: Server,
    records: Ledger,
    now: Duration,
    strangers: Vec<Stranger>,
    guest: Guest,
    /// Connections that the server has, as far as the network knows.
    open: BTreeSet<Connection>,
    connections: u64,
    /// When the present server began.
    began: Duration,
    /// Whether changes of the records are made at once.
    is_prompt: bool,
    is_stopping: bool,
    stopped: Option<StopReason>,
}

impl Default for World {
    /// A server that begins, without records.
    fn default() -> Self {
        let (mut records, now) = (Ledger::new(), Duration::from_secs(1));
        let server = begin(&mut records, now);
        Self {
            server,
            records,
            now,
            strangers: (0..STRANGERS).map(|_| Stranger::new(SERVICE)).collect(),
            guest: Guest::new(SERVICE, PLAN),
            open: BTreeSet::new(),
            connections: 0,
            began: now,
            is_prompt: false,
            is_stopping: false,
            stopped: None,
        }
    }
}

impl World {
    /// Lets this happen.
    ///
    /// # Panics
    /// When the server does what it must not.
    pub fn happen(&mut self, event: Event) {
        match event {
            Event::Open(who, is_user) => self.open(who, is_user),
            Event::Join(who) => self.join(who),
            Event::Close(who) => {
                if let Some(connection) = self.stranger(who).connection.take() {
                    self.close(connection);
                }
            }
            Event::Garbage(who) => {
                if let Some(connection) = self.stranger(who).connection {
                    self.step(Input::Garbage { connection });
                }
            }
            Event::Say(who, speech) => {
                let bytes = self.stranger(who).frame(speech);
                self.bring(who, &bytes);
            }
            Event::Tell(who, numbering, matter) => {
                let bytes = self.stranger(who).message(numbering, matter, |_| {});
                self.bring(who, &bytes);
            }
            Event::Damaged(who, speech, damage) => {
                let mut bytes = self.stranger(who).frame(speech);
                damage.strike(&mut bytes);
                self.bring(who, &bytes);
            }
            Event::Distorted(who, numbering, matter, damage) => {
                let bytes = self.stranger(who).message(numbering, matter, |it| damage.strike(it));
                self.bring(who, &bytes);
            }
            Event::Sleep(millis) => self.sleep(Duration::from_millis(millis.into())),
            Event::Suspend(seconds) => self.suspend(Duration::from_secs(seconds.into())),
            Event::Answer(which, reply) => self.answer(which, reply),
            Event::AnswerAll => self.answer_all(),
            Event::Flush => self.flush(),
            Event::Tick => self.step(Input::Tick),
            Event::Die => self.die(),
            Event::HandOver => self.hand_over(),
        }
        if self.stopped.is_some() {
            self.die();
        }
    }

    // --- strangers ---------------------------------------------------------------------------------------------------

    fn stranger(&mut self, who: u8) -> &mut Stranger {
        &mut self.strangers[usize::from(who % STRANGERS)]
    }

    /// A connection is made. What the stranger had before stays with the server.
    fn open(&mut self, who: u8, is_user: bool) {
        let connection = self.new_connection();
        self.stranger(who).connection = Some(connection);
        let principal = if is_user { Principal::User(1) } else { Principal::Anonymous };
        self.step(Input::Opened { connection, principal, label: "a stranger".into() });
    }

    fn new_connection(&mut self) -> Connection {
        self.connections += 1;
        let connection = Connection(self.connections);
        self.open.insert(connection);
        connection
    }

    fn join(&mut self, who: u8) {
        self.open(who, false);
        let greeting = self.stranger(who).greeting(who);
        self.bring(who, &greeting);
        self.answer_all();
        self.flush();
    }

    /// As a driver takes bytes.
    fn bring(&mut self, who: u8, bytes: &[u8]) {
        let Some(connection) = self.stranger(who).connection else { return };
        match Frame::decode(bytes) {
            Ok(frame) => self.step(Input::Heard { connection, frame }),
            Err(_) => self.step(Input::Garbage { connection }),
        }
    }

    fn close(&mut self, connection: Connection) {
        self.step(Input::Closed { connection });
        self.open.remove(&connection);
    }

    // --- the server --------------------------------------------------------------------------------------------------

    fn step(&mut self, input: Input<'_>) {
        let mut effects = Vec::new();
        // For tombstones, a second is a day.
        let wall_ms = u64::try_from(self.now.as_millis()).unwrap_or(u64::MAX).saturating_mul(86_400);
        self.server.step(input, self.now, wall_ms, &mut effects);
        self.after(effects);
    }

    fn flush(&mut self) {
        let mut effects = Vec::new();
        self.server.flush(&mut effects);
        self.after(effects);
    }

    fn after(&mut self, effects: Vec<Effect>) {
        self.server.check();
        self.check();
        assert!(effects.len() <= 8 * (SESSIONS_MAX + ENTRIES_MAX), "one step, {} effects", effects.len());
        effects.into_iter().for_each(|effect| self.carry_out(effect));
    }

    fn carry_out(&mut self, effect: Effect) {
        assert!(self.stopped.is_none(), "Y10: {effect:?}");
        match effect {
            Effect::Write(connection, bytes) => {
                assert!(self.open.contains(&connection), "written to {connection:?}, which is gone");
                self.to(connection, &bytes);
            }
            Effect::Close(connection) => {
                assert!(self.open.remove(&connection), "{connection:?} is closed twice");
                self.closed(connection);
            }
            Effect::Apply(ticket, change) => self.records.ask(ticket, change),
            Effect::Notice(notice) => assert!(self.is_fair(&notice), "{notice}"),
            Effect::Stop(reason) => {
                let is_fair = match &reason {
                    StopReason::Asked => self.is_stopping,
                    StopReason::Records(error) => {
                        let is_storage =
                            matches!(error, AuthorityError::Full(_) | AuthorityError::Unknown { .. });
                        self.records.has_failed && is_storage
                    }
                    StopReason::Deposed(_) => false,
                    _ => false,
                };
                assert!(is_fair, "whatever clients say, the server goes on: {reason}");
                self.stopped = Some(reason);
            }
            other => panic!("{other:?} is new here"),
        }
    }

    /// The guest keeps to the protocol, and comes back in time. A session of it may end that it was not told of, or that was
    /// opened in a recovery which was broken off.
    fn is_fair(&self, notice: &Notice) -> bool {
        match notice {
            Notice::Expelled { client, why, .. } if *client == Guest::name() => match why {
                Expulsion::BrokenOff | Expulsion::Before(_) => true,
                Expulsion::Silent => !self.guest.has_session(),
                Expulsion::Missing => !self.guest.has_session() || self.now >= self.began + PLAN.grace_max,
                _ => false,
            },
            Notice::Lost { client, .. } | Notice::Mismatch { client, .. } => *client != Guest::name(),
            _ => true,
        }
    }

    fn to(&mut self, connection: Connection, bytes: &[u8]) {
        if self.guest.link.is_some_and(|(_, link)| link == connection) {
            self.guest.hear(bytes);
        }
        let mut strangers = self.strangers.iter_mut();
        if let Some(stranger) = strangers.find(|stranger| stranger.connection == Some(connection)) {
            stranger.hear(bytes);
        }
    }

    fn closed(&mut self, connection: Connection) {
        if self.guest.link.is_some_and(|(_, link)| link == connection) {
            self.guest.disconnected();
        }
        for stranger in &mut self.strangers {
            stranger.connection.take_if(|it| *it == connection);
        }
    }

    /// Y8.
    fn check(&self) {
        let (links, strangers) = self.server.connections();
        assert!(strangers <= STRANGERS_MAX, "{strangers} strangers");
        assert!(links <= self.open.len(), "{links} connections, and {} are open", self.open.len());
        // A session that is opened may bring one with it whose end was not known to be over.
        let sessions = self.server.sessions().count();
        assert!(sessions <= 2 * SESSIONS_MAX, "{sessions} sessions");
        let changes = self.server.changes_pending();
        assert!(changes <= SESSIONS_MAX * 2 + 3, "{changes} changes under way");
        for session in self.server.sessions() {
            let (locks, waiting) = (session.locks, session.waiting);
            assert!(locks <= LOCKS_MAX, "a session with {locks} locks");
            let most = WINDOW + WAITING_MAX + 2 * LOCKS_MAX + 2 * ENTRIES_MAX + 2;
            assert!(waiting <= most, "{waiting} messages wait for {:?}", session.party);
        }
    }

    // --- records -----------------------------------------------------------------------------------------------------

    fn answer(&mut self, which: u8, reply: Reply) {
        if let Some((ticket, result)) = self.records.answer(which, reply) {
            self.step(Input::Applied { ticket, result });
        }
    }

    fn answer_all(&mut self) {
        // Bound: each session has five steps to its end.
        for _ in 0..100 * SESSIONS_MAX {
            if self.records.is_idle() || self.stopped.is_some() {
                return;
            }
            self.answer(0, Reply::Made);
        }
        panic!("there is always something to be made durable");
    }

    // --- servers -----------------------------------------------------------------------------------------------------

    fn die(&mut self) {
        let server = begin(&mut self.records, self.now);
        self.replace(server);
    }

    fn replace(&mut self, server: Server) {
        (self.server, self.stopped, self.is_stopping) = (server, None, false);
        self.began = self.now;
        for connection in std::mem::take(&mut self.open) {
            self.closed(connection);
        }
        self.step(Input::Tick);
    }

    fn hand_over(&mut self) {
        self.is_stopping = true;
        self.step(Input::Stop);
        self.answer_all();
        self.flush();
        assert!(self.stopped.is_some(), "it was asked to stop");
        let (idle, stopped) = (begin(&mut Ledger::new(), Duration::ZERO), &mut self.server);
        let Some(handover) = std::mem::replace(stopped, idle).hand_over() else { return self.die() };
        let handover = Handover::decode(handover.bytes().to_vec()).expect("as it was");
        let term = self.records.campaign();
        let server = Server::taking_over(config(), term, self.records.read(), &handover, self.now);
        self.replace(server.expect("the next term"));
    }

    // --- time, and the guest -----------------------------------------------------------------------------------------

    fn sleep(&mut self, time: Duration) {
        let end = self.now + time;
        self.guest.take();
        // Bound: whoever is woken wants to be woken later.
        for _ in 0..20_000 {
            if self.is_prompt {
                self.answer_all();
            }
            self.pump();
            let next = [self.server.next_tick(), self.guest.next_tick()].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= end && self.stopped.is_none()) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(next);
            if self.server.next_tick().is_some_and(|due| due <= self.now) {
                self.step(Input::Tick);
            }
        }
        panic!("somebody is always due");
    }

    /// A leap, and time enough for the guest to come back.
    fn suspend(&mut self, time: Duration) {
        self.now += time;
        self.sleep(PLAN.backoff + PLAN.greeting);
    }

    /// What the guest and the server have to say to each other arrives.
    fn pump(&mut self) {
        self.guest.tick(self.now);
        // Bound: each round brings what the last one was answered.
        for _ in 0..100 {
            if self.stopped.is_some() {
                return;
            }
            self.look_at_line();
            let is_quiet = !self.guest_speaks();
            self.flush();
            if is_quiet {
                return;
            }
        }
        panic!("the two never come to an end");
    }

    /// The guest's connection is made or given up as it wants.
    fn look_at_line(&mut self) {
        if !self.guest.wants_connection() {
            return;
        }
        let connection = self.new_connection();
        // It is open to the server before the client says anything on it.
        let principal = guest::PRINCIPAL;
        if let Some(before) = self.guest.connect(connection) {
            self.close(before);
        }
        match self.guest.link {
            Some(_) => self.step(Input::Opened { connection, principal, label: "the guest".into() }),
            None => _ = self.open.remove(&connection),
        }
    }

    fn guest_speaks(&mut self) -> bool {
        let mut has_said = false;
        while let Some(bytes) = self.guest.next_written() {
            let Some((_, connection)) = self.guest.link else { return has_said };
            let frame = Frame::decode(&bytes).expect("a client writes frames");
            self.step(Input::Heard { connection, frame });
            has_said = true;
        }
        has_said
    }

    // --- and then ----------------------------------------------------------------------------------------------------

    /// The strangers say nothing any more.
    ///
    /// # Panics
    /// If the guest is not served then, or something is left of them.
    pub fn end_well(mut self) {
        self.is_prompt = true;
        self.sleep(QUIET);
        if self.stopped.is_some() {
            // The records failed for too long, and do not any more.
            self.die();
            self.sleep(QUIET);
        }
        self.answer_all();
        // One lock that it may have asked for long ago, and one that it has not.
        let mut served = 0;
        for _ in 0..5 {
            self.guest.tick(self.now);
            served += usize::from(self.guest.take());
            self.pump();
        }
        assert!(served >= 2, "the guest is not served: {:?}", self.guest);
        assert_eq!(self.server.phase(), Phase::Serving);
        let parties: Vec<_> = self.server.sessions().map(|session| session.party.client).collect();
        assert_eq!(parties, [Guest::name()], "nobody else is left");
        assert_eq!((self.server.connections(), self.server.changes_pending()), ((1, 0), 0));
        for lock in self.server.locks_from(Key::MIN) {
            let mut holders = lock.holders.iter().map(|holder| holder.party.client);
            assert!(holders.all(|holder| holder == Guest::name()), "{lock:?}");
        }
    }
}

/// A server that leads from now on, and begins the grace.
fn begin(records: &mut Ledger, now: Duration) -> Server {
    let term = records.campaign();
    records.begin_grace();
    Server::new(config(), term, records.read(), now)
}
