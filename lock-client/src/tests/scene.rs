//! A client, its world, and a server that does nothing by itself.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tidelock_format::{Fsid, GrantSeq, Incarnation, Key, KeyRange, Term, Token};
use tidelock_lock_proto::{Acquire, Change, Descent, Envelope, Granted, Mode, ToClient, ToServer};
use tidelock_net::{ClientConfig, Connection, Frame, Number, TimeoutPlan, Verdict, Welcome};

use crate::{Carrier, Client, Config, Invalidation, Locks, Loss, ManualClock};

pub(super) const PLAN: TimeoutPlan = TimeoutPlan::DEFAULT;

pub(super) fn config() -> Config {
    let session =
        ClientConfig { versions: (1, 1), service: Fsid(7), instance: 1, plan: PLAN, window: 64, seed: 1 };
    Config::new(session)
}

pub(super) fn range(number: u64) -> KeyRange {
    let first = number * 100;
    KeyRange::new(Key::from_u64(first), Key::from_u64(first + 99)).unwrap()
}

/// What the client had done.
#[derive(Default)]
struct Doings {
    connection: Option<Connection>,
    written: VecDeque<Vec<u8>>,
    invalidations: VecDeque<Invalidation>,
    losses: VecDeque<Loss>,
    draws: u128,
}

#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Doings>>);

impl Carrier for Recorder {
    fn connect(&mut self, connection: Connection) {
        self.0.lock().unwrap().connection = Some(connection);
    }

    fn write(&mut self, _: Connection, bytes: &[u8]) {
        self.0.lock().unwrap().written.push_back(bytes.to_vec());
    }

    fn close(&mut self, connection: Connection) {
        let mut doings = self.0.lock().unwrap();
        doings.connection.take_if(|it| *it == connection);
    }

    fn invalidate(&mut self, invalidation: Invalidation) {
        self.0.lock().unwrap().invalidations.push_back(invalidation);
    }

    fn lose(&mut self, loss: Loss) {
        self.0.lock().unwrap().losses.push_back(loss);
    }

    fn set_timer(&mut self, _: Option<Duration>) {}

    fn draw(&mut self) -> u128 {
        let mut doings = self.0.lock().unwrap();
        doings.draws += 1;
        doings.draws
    }
}

pub(super) struct Scene {
    pub(super) client: Client,
    pub(super) locks: Locks,
    clock: Arc<ManualClock>,
    now: Duration,
    recorder: Recorder,
    term: Term,
    incarnation: Incarnation,
    /// Messages to the client, and those of the client that were seen.
    said: u64,
    seen: u64,
    seq: u64,
}

impl crate::Clock for Arc<ManualClock> {
    fn now(&self) -> Duration {
        ManualClock::now(self)
    }
}

impl Scene {
    /// A client that has a session.
    pub(super) fn new() -> Self {
        Self::with(config())
    }

    pub(super) fn with(config: Config) -> Self {
        let mut scene = Self::unconnected(config);
        scene.connect();
        scene.is_new(1);
        scene
    }

    pub(super) fn unconnected(config: Config) -> Self {
        let (clock, recorder) = (Arc::new(ManualClock::default()), Recorder::default());
        let now = Duration::from_secs(1000);
        clock.set(now);
        let client = Client::new(config, clock.clone(), recorder.clone());
        let locks = client.locks();
        let (term, incarnation) = (Term(1), Incarnation(0));
        Self { client, locks, clock, now, recorder, term, incarnation, said: 0, seen: 0, seq: 0 }
    }

    fn doings(&self) -> std::sync::MutexGuard<'_, Doings> {
        self.recorder.0.lock().unwrap()
    }

    pub(super) fn later(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(next) = self.client.next_tick().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.clock.set(self.now);
            self.client.tick();
        }
        self.now = end;
        self.clock.set(end);
    }

    /// The process stands still: nothing ticks.
    pub(super) fn freeze(&mut self, time: Duration) {
        self.now += time;
        self.clock.set(self.now);
    }

    pub(super) fn connect(&mut self) {
        self.client.tick();
        let connection = self.doings().connection.expect("it connects");
        self.doings().written.clear();
        self.client.connected(connection);
        let hello = self.doings().written.pop_front().expect("it greets");
        assert!(matches!(Frame::decode(&hello), Ok(Frame::Hello { .. })));
    }

    pub(super) fn cut(&mut self) {
        let connection = self.doings().connection.take().expect("there is one");
        self.client.disconnected(connection);
        self.doings().written.clear();
    }

    fn welcome(&mut self, verdict: Verdict) {
        let connection = self.doings().connection.expect("there is one");
        let welcome = Welcome { service: Fsid(7), term: self.term, verdict };
        self.client.heard(connection, &Frame::Welcome(welcome));
    }

    pub(super) fn is_new(&mut self, incarnation: u64) {
        self.incarnation = Incarnation(incarnation);
        (self.said, self.seen) = (0, 0);
        self.welcome(Verdict::New { incarnation: self.incarnation, lease: PLAN.lease });
    }

    pub(super) fn recovers(&mut self, term: u64) {
        self.term = Term(term);
        (self.said, self.seen, self.seq) = (0, 0, 0);
        self.welcome(Verdict::Recover { lease: PLAN.lease });
    }

    pub(super) fn is_expelled(&mut self) {
        self.welcome(Verdict::Expelled { upto: self.incarnation });
    }

    /// What the client has said since this was asked last.
    pub(super) fn heard(&mut self) -> Vec<ToServer> {
        let written = std::mem::take(&mut self.doings().written);
        let mut heard = Vec::new();
        for bytes in written {
            if let Ok(Frame::Message { number, content, .. }) = Frame::decode(&bytes) {
                assert_eq!(number.0, self.seen + 1, "N1");
                self.seen += 1;
                let (envelope, message) = ToServer::decode(content).expect("clients speak the protocol");
                assert_eq!((envelope.incarnation, envelope.term), (self.incarnation, self.term));
                heard.push(message);
            }
        }
        heard
    }

    pub(super) fn says(&mut self, message: ToClient) {
        self.says_as(self.incarnation, self.term, &message);
    }

    pub(super) fn says_as(&mut self, incarnation: Incarnation, term: Term, message: &ToClient) {
        let mut bytes = Vec::new();
        let envelope = Envelope { incarnation, term, ..Envelope::default() };
        message.encode(envelope, &mut bytes);
        self.says_bytes(&bytes);
    }

    pub(super) fn says_bytes(&mut self, content: &[u8]) {
        self.said += 1;
        let connection = self.doings().connection.expect("there is one");
        let frame = Frame::Message { number: Number(self.said), done: Number(self.seen), content };
        self.client.heard(connection, &frame);
    }

    /// Several messages that come in together.
    pub(super) fn says_bytes_at_once(&mut self, contents: &[&[u8]]) {
        let (first, done) = (self.said + 1, Number(self.seen));
        let frame = |(content, number)| Ok(Frame::Message { number: Number(number), done, content });
        let connection = self.doings().connection.expect("there is one");
        self.client.heard_all(connection, contents.iter().copied().zip(first..).map(frame));
        self.said += contents.len() as u64;
    }

    pub(super) fn token(&self) -> Token {
        Token { term: self.term, seq: GrantSeq(self.seq) }
    }

    /// The server grants the lock of this number.
    pub(super) fn grants(&mut self, number: u64, from: Mode, to: Mode) {
        self.seq += 1;
        let granted = Granted { range: range(number), change: Change { from, to }, token: self.token() };
        self.says(ToClient::Granted(granted));
    }

    /// It calls it back, the last grant.
    pub(super) fn revokes(&mut self, number: u64, from: Mode, to: Mode) -> Descent {
        let descent =
            Descent { start: range(number).start(), token: self.token(), change: Change { from, to } };
        self.says(ToClient::Revoke(descent));
        descent
    }

    /// The client holds this lock, and nobody uses it.
    pub(super) fn holds(&mut self, number: u64, mode: Mode) {
        let locks = self.locks.clone();
        let waiting = locks.lock(range(number), mode).try_now().expect_err("it has to ask");
        assert_eq!(self.heard(), [acquire(number, Mode::Null, mode)]);
        self.grants(number, Mode::Null, mode);
        drop(waiting.wait().expect("it is granted"));
    }

    pub(super) fn invalidation(&mut self) -> Option<Invalidation> {
        self.doings().invalidations.pop_front()
    }

    pub(super) fn loss(&mut self) -> Option<Loss> {
        self.doings().losses.pop_front()
    }
}

pub(super) fn acquire(number: u64, from: Mode, to: Mode) -> ToServer {
    ToServer::Acquire(Acquire { range: range(number), change: Change { from, to } })
}
