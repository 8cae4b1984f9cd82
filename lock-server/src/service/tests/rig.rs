//! A server, its authority, and clients that do as a story says.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use tidelock_authority::{
    Authority, AuthorityError, Campaign, Candidate, Change, MemAuthority, Outcome, Seat as _,
};
use tidelock_format::{ClientId, FenceEpoch, Fsid, Incarnation, Key, KeyRange, Term, Token};
use tidelock_lock_proto::{
    Acquire, Change as Modes, Descent, Envelope, Granted, Held, Mode, Snapshot, ToClient, ToServer,
};
use tidelock_net::{Frame, Hello, Number, Principal, TimeoutPlan, Verdict, frame_len};

use crate::{
    Connection, Counters, Effect, Expulsion, Handover, Input, Notice, Party, Records, Server, ServerConfig,
    StopReason, TakeOverError, Ticket,
};

pub(super) const SERVICE: Fsid = Fsid(9);
pub(super) const PLAN: TimeoutPlan = TimeoutPlan::DEFAULT;

/// A bit longer than a lease.
pub(super) const LEASE: Duration = Duration::from_millis(30_400);

pub(super) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) fn config() -> ServerConfig {
    ServerConfig::new(SERVICE)
}

pub(super) fn name(instance: u128) -> ClientId {
    Principal::Anonymous.client_id(instance)
}

/// Lock number so and so.
pub(super) fn range(number: u64) -> KeyRange {
    KeyRange::new(Key::from_u64(number << 8), Key::from_u64((number << 8) + 255)).expect("in order")
}

pub(super) fn acquire(number: u64, from: Mode, to: Mode) -> ToServer {
    ToServer::Acquire(Acquire { range: range(number), change: Modes { from, to } })
}

/// What a client gets to hear.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Said {
    Welcome(Verdict),
    Told(ToClient),
    Report(u64),
    Pong(u64),
    Goodbye,
    Closed,
}

/// A server and all around it.
pub(super) struct Rig {
    pub(super) server: Server,
    pub(super) authority: MemAuthority,
    pub(super) term: Term,
    pub(super) now: Duration,
    pub(super) wall_ms: u64,
    /// Changes that were asked for, while `is_prompt` is off.
    pub(super) asked: VecDeque<(Ticket, Change)>,
    pub(super) is_prompt: bool,
    heard: BTreeMap<Connection, VecDeque<Said>>,
    pub(super) closed: BTreeSet<Connection>,
    pub(super) writes: usize,
    pub(super) notices: Vec<Notice>,
    pub(super) stopped: Option<StopReason>,
    connections: u64,
}

/// A client as a story has it.
#[derive(Clone, Debug)]
pub(super) struct Puppet {
    pub(super) instance: u128,
    pub(super) connection: Connection,
    pub(super) incarnation: Incarnation,
    pub(super) term: Term,
    pub(super) attempt: u128,
    /// How far it has sent, and how far it is done.
    pub(super) sent: u64,
    pub(super) done: u64,
}

pub(super) fn campaign(authority: &MemAuthority) -> Term {
    match authority.campaign(&Candidate::new("a", "here")).expect("a campaign") {
        Campaign::Won(leader) => leader.term(),
        Campaign::Lost(_) => panic!("somebody leads"),
    }
}

impl Rig {
    pub(super) fn new() -> Self {
        Self::with(config())
    }

    pub(super) fn with(config: ServerConfig) -> Self {
        let mut rig = Self::recovering(config, MemAuthority::new(), Duration::ZERO);
        rig.tick();
        rig
    }

    /// A server that begins with the records that are there.
    pub(super) fn recovering(config: ServerConfig, authority: MemAuthority, now: Duration) -> Self {
        let term = campaign(&authority);
        authority.apply(term, Change::BeginGrace).expect("a leader");
        let records = Records::read(&authority).expect("memory");
        Self::around(Server::new(config, term, records, now), authority, term, now)
    }

    fn around(server: Server, authority: MemAuthority, term: Term, now: Duration) -> Self {
        Self {
            server,
            authority,
            term,
            now,
            wall_ms: 1_000_000,
            asked: VecDeque::new(),
            is_prompt: true,
            heard: BTreeMap::new(),
            closed: BTreeSet::new(),
            writes: 0,
            notices: Vec::new(),
            stopped: None,
            connections: 0,
        }
    }

    /// The server dies, with all that it was told and has not made durable, and another begins.
    pub(super) fn restart(self) -> Self {
        let mut next = self.restart_quietly();
        next.tick();
        next
    }

    pub(super) fn restart_quietly(self) -> Self {
        let storage = self.authority.storage();
        let mut next = Self::recovering(config(), MemAuthority::from_storage(storage), self.now);
        next.connections = self.connections;
        next
    }

    /// The server is asked to stop, and another takes its table.
    pub(super) fn hand_over(mut self) -> Self {
        let handover = self.stop().expect("it serves");
        let handover = Handover::decode(handover.bytes().to_vec()).expect("as it was");
        self.succeed(handover).expect("the next term")
    }

    pub(super) fn stop(&mut self) -> Option<Handover> {
        self.input(Input::Stop);
        assert_eq!(self.stopped, Some(StopReason::Asked));
        let empty = MemAuthority::new();
        let other = Self::recovering(config(), empty, self.now).server;
        std::mem::replace(&mut self.server, other).hand_over()
    }

    pub(super) fn succeed(self, handover: Handover) -> Result<Self, TakeOverError> {
        let term = campaign(&self.authority);
        let records = Records::read(&self.authority).expect("memory");
        let server = Server::taking_over(config(), term, records, &handover, self.now)?;
        let mut next = Self::around(server, self.authority, term, self.now);
        next.connections = self.connections;
        next.tick();
        Ok(next)
    }

    // --- inputs ------------------------------------------------------------------------------------------------------

    /// One input, and a flush.
    pub(super) fn input(&mut self, input: Input<'_>) {
        self.step(input);
        self.flush();
    }

    pub(super) fn step(&mut self, input: Input<'_>) {
        let mut effects = Vec::new();
        self.server.step(input, self.now, self.wall_ms, &mut effects);
        self.server.check();
        self.carry_out(effects);
    }

    pub(super) fn flush(&mut self) {
        let mut effects = Vec::new();
        self.server.flush(&mut effects);
        self.server.check();
        self.carry_out(effects);
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            assert!(self.stopped.is_none(), "Y10: {effect:?}");
            match effect {
                Effect::Write(connection, bytes) => self.written(connection, &bytes),
                Effect::Close(connection) => {
                    self.closed.insert(connection);
                    self.heard.entry(connection).or_default().push_back(Said::Closed);
                }
                Effect::Apply(ticket, change) => self.asked.push_back((ticket, change)),
                Effect::Notice(notice) => self.notices.push(notice),
                Effect::Stop(reason) => self.stopped = Some(reason),
            }
        }
        while self.is_prompt && !self.asked.is_empty() {
            self.apply_next();
        }
    }

    fn written(&mut self, connection: Connection, mut bytes: &[u8]) {
        self.writes += 1;
        while let Some(len) = frame_len(bytes, usize::MAX).expect("whole frames") {
            let frame = Frame::decode(&bytes[..len]).expect("a server writes frames");
            let said = said(frame, self.term, self.server.barrier());
            self.heard.entry(connection).or_default().push_back(said);
            bytes = &bytes[len..];
        }
        assert!(bytes.is_empty(), "whole frames");
    }

    /// The oldest change is made, and the server hears of it.
    pub(super) fn apply_next(&mut self) {
        let (ticket, change) = self.asked.pop_front().expect("something was asked for");
        let result = self.authority.apply(self.term, change);
        self.answer(ticket, result);
    }

    pub(super) fn answer(&mut self, ticket: Ticket, result: Result<Outcome, AuthorityError>) {
        if self.stopped.is_none() {
            self.input(Input::Applied { ticket, result });
        }
    }

    /// Time passes until everything that is due has happened.
    pub(super) fn tick(&mut self) {
        for _ in 0..10_000 {
            self.input(Input::Tick);
            if self.server.next_tick().is_none_or(|next| next > self.now) {
                return;
            }
        }
        panic!("it is always due");
    }

    /// Time passes, as a driver has it: the server is woken whenever it wants to be.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(next) = self.server.next_tick().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.tick();
        }
        self.now = end;
        self.tick();
    }

    // --- clients -----------------------------------------------------------------------------------------------------

    pub(super) fn connect(&mut self) -> Connection {
        self.connections += 1;
        let connection = Connection(self.connections);
        let label = format!("10.0.0.{}", self.connections);
        self.input(Input::Opened { connection, principal: Principal::Anonymous, label });
        connection
    }

    pub(super) fn frame(&mut self, connection: Connection, frame: Frame<'_>) {
        self.input(Input::Heard { connection, frame });
    }

    /// A client that has no session greets.
    pub(super) fn greet_new(&mut self, instance: u128, attempt: u128) -> Puppet {
        let connection = self.connect();
        let mut puppet = Puppet {
            instance,
            connection,
            incarnation: Incarnation(0),
            term: Term(0),
            attempt,
            sent: 0,
            done: 0,
        };
        self.greet(&mut puppet, connection);
        puppet
    }

    /// A client opens a session.
    pub(super) fn come(&mut self, instance: u128) -> Puppet {
        let attempt = instance << 64 | u128::from(self.connections);
        let mut puppet = self.greet_new(instance, attempt);
        puppet.welcomed(self);
        assert_ne!(puppet.incarnation, Incarnation(0), "it has a session");
        puppet
    }

    fn greet(&mut self, puppet: &mut Puppet, connection: Connection) {
        puppet.connection = connection;
        let hello = puppet.hello(false);
        self.frame(connection, Frame::Hello { hello, done: Number(puppet.done), attempt: puppet.attempt });
    }

    /// A client comes again, on another connection, and hears how.
    pub(super) fn come_again(&mut self, puppet: &mut Puppet) -> Verdict {
        let connection = self.connect();
        self.greet(puppet, connection);
        puppet.welcomed(self)
    }

    pub(super) fn leave(&mut self, puppet: &mut Puppet) -> Verdict {
        let connection = self.connect();
        puppet.connection = connection;
        let hello = puppet.hello(true);
        self.frame(connection, Frame::Hello { hello, done: Number(puppet.done), attempt: puppet.attempt });
        puppet.welcomed(self)
    }

    pub(super) fn close(&mut self, puppet: &Puppet) {
        self.input(Input::Closed { connection: puppet.connection });
    }

    pub(super) fn ping(&mut self, puppet: &Puppet) {
        self.frame(puppet.connection, Frame::Ping(7));
    }

    /// One message of a client.
    pub(super) fn say(&mut self, puppet: &mut Puppet, message: ToServer) {
        puppet.sent += 1;
        self.say_again(puppet, puppet.sent, message);
    }

    pub(super) fn say_again(&mut self, puppet: &Puppet, number: u64, message: ToServer) {
        let content = puppet.content(&message);
        let frame = Frame::Message { number: Number(number), done: Number(puppet.done), content: &content };
        self.frame(puppet.connection, frame);
    }

    pub(super) fn snapshot(&mut self, puppet: &mut Puppet, held: Vec<Held>, wanted: Vec<Acquire>) {
        self.say(puppet, ToServer::Snapshot(Snapshot { held, wanted, is_last: true }));
    }

    /// What the client was told since it listened last. It is done with the messages among it.
    pub(super) fn hear(&mut self, puppet: &mut Puppet) -> Vec<Said> {
        let heard: Vec<Said> = self.heard.remove(&puppet.connection).into_iter().flatten().collect();
        puppet.done += heard.iter().filter(|said| matches!(said, Said::Told(_))).count() as u64;
        heard
    }

    /// The messages among it.
    pub(super) fn told(&mut self, puppet: &mut Puppet) -> Vec<ToClient> {
        let heard = self.hear(puppet).into_iter();
        heard.filter_map(|said| if let Said::Told(message) = said { Some(message) } else { None }).collect()
    }

    /// The client wants a lock, and gets it.
    pub(super) fn grant(&mut self, puppet: &mut Puppet, number: u64, to: Mode) -> Token {
        self.say(puppet, acquire(number, Mode::Null, to));
        let granted = self.granted(puppet).unwrap_or_else(|| panic!("lock {number} is not granted"));
        assert_eq!(granted.range, range(number));
        granted.token
    }

    /// The last grant among what the client was told.
    pub(super) fn granted(&mut self, puppet: &mut Puppet) -> Option<Granted> {
        self.told(puppet).into_iter().rev().find_map(|message| match message {
            ToClient::Granted(granted) => Some(granted),
            _ => None,
        })
    }

    pub(super) fn counters(&self) -> &Counters {
        self.server.counters()
    }

    /// Why somebody was expelled last.
    pub(super) fn why(&self) -> Option<&Expulsion> {
        self.notices.iter().rev().find_map(|notice| match notice {
            Notice::Expelled { why, .. } => Some(why),
            _ => None,
        })
    }

    /// Who holds a lock, and as what.
    pub(super) fn holders(&self, number: u64) -> Vec<(Party, Mode)> {
        let start = range(number).start();
        let lock = self.server.locks_from(start).next().filter(|lock| lock.range.start() == start);
        lock.into_iter().flat_map(|lock| lock.holders).map(|it| (it.party, it.mode)).collect()
    }

    pub(super) fn record(&self, instance: u128) -> Option<tidelock_authority::ClientRecord> {
        self.authority.client(name(instance)).expect("memory")
    }
}

fn said(frame: Frame<'_>, term: Term, barrier: FenceEpoch) -> Said {
    match frame {
        Frame::Welcome(welcome) => {
            assert_eq!((welcome.service, welcome.term), (SERVICE, term));
            Said::Welcome(welcome.verdict)
        }
        Frame::Message { content, .. } => {
            let (envelope, message) = ToClient::decode(content).expect("a server writes messages");
            assert_eq!(envelope.term, term);
            assert!(envelope.barrier <= barrier);
            Said::Told(message)
        }
        Frame::Report(done) => Said::Report(done.0),
        Frame::Pong(number) => Said::Pong(number),
        Frame::Goodbye => Said::Goodbye,
        other => panic!("a server does not say {other:?}"),
    }
}

impl Puppet {
    pub(super) fn party(&self) -> Party {
        Party { client: name(self.instance), incarnation: self.incarnation }
    }

    fn hello(&self, is_leaving: bool) -> Hello {
        Hello {
            versions: (1, 1),
            service: SERVICE,
            instance: self.instance,
            incarnation: self.incarnation,
            term: self.term,
            is_leaving,
        }
    }

    /// Listens for the answer to its greeting, and takes it in.
    pub(super) fn welcomed(&mut self, rig: &mut Rig) -> Verdict {
        let heard = rig.heard.get_mut(&self.connection).and_then(VecDeque::pop_front);
        let Some(Said::Welcome(verdict)) = heard else { panic!("no answer, but {heard:?}") };
        match verdict {
            Verdict::New { incarnation, .. } => {
                (self.incarnation, self.term, self.sent, self.done) = (incarnation, rig.term, 0, 0);
            }
            Verdict::Recover { .. } => (self.term, self.sent, self.done) = (rig.term, 0, 0),
            _ => {}
        }
        verdict
    }

    pub(super) fn content(&self, message: &ToServer) -> Vec<u8> {
        let mut content = Vec::new();
        let envelope =
            Envelope { incarnation: self.incarnation, term: self.term, barrier: FenceEpoch::default() };
        message.encode(envelope, &mut content);
        content
    }
}

pub(super) fn held(number: u64, mode: Mode, token: Token) -> Held {
    Held { range: range(number), mode, token }
}

pub(super) fn wanted(number: u64, from: Mode, to: Mode) -> Acquire {
    Acquire { range: range(number), change: Modes { from, to } }
}

pub(super) fn descent(number: u64, token: Token, from: Mode, to: Mode) -> Descent {
    Descent { start: range(number).start(), token, change: Modes { from, to } }
}
