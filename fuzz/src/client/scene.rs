//! A lock client, users of its locks, and a server that says anything.
//!
//! After every event the client's own invariants hold ([`Client::check`]), it writes frames and messages that a server could
//! read, nobody who waits is forgotten, a loss is told once, and nothing grows but with what its users want. The server may
//! end the session. It may not end the client: with a server that keeps to the protocol it goes on.

use std::collections::VecDeque;
use std::time::Duration;

use tidelock_format::{FenceEpoch, Fsid, GrantSeq, Incarnation, Key, KeyRange, Term, Token};
use tidelock_lock_client::{Client, Config, Guard, LockError, LockInfo, Locks};
use tidelock_lock_proto::{
    Acquire, Change, Descent, Envelope, Granted, Lost, Mode, Reason, Refused, ToClient, ToServer,
};
use tidelock_net::{ClientConfig, Connection, Frame, FrameError, Number, TimeoutPlan};
use tidelock_sync::Op;

use super::event::{Event, Matter};
use crate::carrier::{Recorder, Watch};
use crate::figure::{Figure, Numbering};
use crate::speech::{Right, Ruling, Speech};

const PLAN: TimeoutPlan = TimeoutPlan::DEFAULT;
const SERVICE: Fsid = Fsid(7);
const WINDOW: usize = 8;
const LOCKS: u8 = 4;

/// Users that there are at most.
const USERS_MAX: usize = 8;

/// A server that numbers and names everything as it should.
const SOUND: Numbering =
    Numbering { number: Figure::Right, done: Figure::Right, incarnation: Figure::Right, term: Figure::Right };

/// Somebody who wants a lock, or has it.
enum User<'a> {
    Waiting(Op<'a, Result<Guard<'a>, LockError>>),
    Has(#[expect(dead_code, reason = "a guard is there to be dropped")] Guard<'a>),
}

/// A client and what surrounds it.
struct Scene<'a> {
    client: &'a Client,
    locks: &'a Locks,
    watch: Watch,
    recorder: Recorder,
    now: Duration,
    /// The connection that is made.
    link: Option<Connection>,
    right: Right,
    seq: u64,
    users: VecDeque<User<'a>>,
    is_closed: bool,
}

/// Lets these things happen to a client.
///
/// # Panics
/// When the client does what it must not.
pub fn play(events: impl IntoIterator<Item = Event>) {
    let session =
        ClientConfig { versions: (1, 1), service: SERVICE, instance: 3, plan: PLAN, window: WINDOW, seed: 1 };
    let config = Config { idle_locks_max: 2, ..Config::new(session) };
    let (watch, recorder) = (Watch::default(), Recorder::default());
    let client = Client::new(config, watch.clone(), recorder.clone());
    let locks = client.locks();
    let mut scene = Scene {
        client: &client,
        locks: &locks,
        watch,
        recorder,
        now: Duration::ZERO,
        link: None,
        right: Right::new(SERVICE, Term(1)),
        seq: 0,
        users: VecDeque::new(),
        is_closed: false,
    };
    for event in events {
        scene.happen(event);
        scene.check();
    }
    scene.end_well();
}

impl<'a> Scene<'a> {
    fn happen(&mut self, event: Event) {
        match event {
            Event::Sleep(millis) => self.sleep(Duration::from_millis(millis.into())),
            Event::Suspend(seconds) => {
                self.now += Duration::from_secs(seconds.into());
                self.watch.set(self.now);
            }
            Event::Connect => self.connect(),
            Event::Join => self.join(Ruling::Fair),
            Event::Cut => self.cut(),
            Event::Say(speech) => self.say(&speech.frame(&self.right)),
            Event::Damaged(speech, damage) => {
                let mut bytes = Vec::new();
                speech.frame(&self.right).encode(&mut bytes);
                damage.strike(&mut bytes);
                match Frame::decode(&bytes) {
                    Ok(frame) => self.say(&frame),
                    Err(_) => self.cut(),
                }
            }
            Event::Tell(numbering, matter) => {
                let content = self.content(numbering, matter);
                self.tell(numbering, &content);
            }
            Event::TellTwice(first, second) => self.tell_twice(first, second),
            Event::Distorted(matter, damage) => {
                let mut content = self.content(SOUND, matter);
                damage.strike(&mut content);
                self.tell(SOUND, &content);
            }
            Event::Succeed => self.right.term = Term(self.right.term.0.saturating_add(1)),
            Event::Lock(lock, mode) => self.lock(lock, mode),
            Event::LetGo(which) => {
                let place = usize::from(which) % self.users.len().max(1);
                drop(self.users.remove(place));
            }
            Event::Invalidated(which) => self.invalidated(which),
            Event::LossHandled => self.loss_handled(),
            Event::Close => {
                self.is_closed = true;
                self.client.close();
            }
            Event::Leave => {
                self.is_closed = true;
                self.client.leave();
            }
        }
    }

    // --- time and connections ----------------------------------------------------------------------------------------

    fn sleep(&mut self, time: Duration) {
        let end = self.now + time;
        // Bound: as for a session, and two more for invalidations that take long.
        for _ in 0..5 * (time.as_millis() / 10 + 2) {
            let Some(next) = self.client.next_tick().filter(|next| *next <= end) else {
                self.now = end;
                return self.watch.set(end);
            };
            self.now = self.now.max(next);
            self.watch.set(self.now);
            self.client.tick();
            self.read();
        }
        panic!("the client is always due");
    }

    fn connect(&mut self) {
        let asked = self.recorder.wishes().connection;
        if let Some(connection) = asked.filter(|_| self.link.is_none()) {
            self.link = Some(connection);
            self.client.connected(connection);
            self.read();
        }
    }

    fn join(&mut self, verdict: Ruling) {
        self.sleep(PLAN.backoff);
        self.connect();
        self.welcome(verdict);
    }

    fn welcome(&mut self, verdict: Ruling) {
        let (term, number, time) = (Figure::Right, Figure::Right, Figure::Right);
        let welcome = Speech::Welcome { verdict, term, number, time, is_elsewhere: false };
        self.say(&welcome.frame(&self.right));
    }

    fn cut(&mut self) {
        let connection = self.recorder.wishes().connection.take();
        self.recorder.wishes().written.clear();
        self.link = None;
        connection.into_iter().for_each(|connection| self.client.disconnected(connection));
    }

    // --- the server --------------------------------------------------------------------------------------------------

    fn say(&mut self, frame: &Frame<'_>) {
        let Some(connection) = self.link else { return };
        self.right.say(frame);
        self.client.heard(connection, frame);
    }

    fn tell(&mut self, numbering: Numbering, content: &[u8]) {
        // No frame has a message without a number.
        let number = Number(numbering.number.of(self.right.said + 1).max(1));
        let done = Number(numbering.done.of(self.right.done));
        self.say(&Frame::Message { number, done, content });
    }

    fn tell_twice(&mut self, first: Matter, second: Matter) {
        let Some(connection) = self.link else { return };
        let contents = [self.content(SOUND, first), self.content(SOUND, second)];
        let (next, done) = (self.right.said + 1, Number(self.right.done));
        let frames = contents.iter().zip(next..).map(|(content, number)| {
            Ok::<_, FrameError>(Frame::Message { number: Number(number), done, content })
        });
        self.client.heard_all(connection, frames);
        self.right.said += 2;
    }

    fn content(&mut self, numbering: Numbering, matter: Matter) -> Vec<u8> {
        let envelope = Envelope {
            incarnation: Incarnation(numbering.incarnation.of(self.right.incarnation.0)),
            term: Term(numbering.term.of(self.right.term.0)),
            barrier: FenceEpoch(0),
        };
        let mut content = Vec::new();
        match self.message(matter) {
            Some(message) => message.encode(envelope, &mut content),
            None => match matter {
                Matter::Noise(bytes) => content.extend(bytes.to_le_bytes()),
                _ => {
                    let change = Change { from: Mode::Null, to: Mode::Read };
                    ToServer::Acquire(Acquire { range: range(0), change }).encode(envelope, &mut content);
                }
            },
        }
        content
    }

    fn message(&mut self, matter: Matter) -> Option<ToClient> {
        Some(match matter {
            Matter::Grant(which) => {
                let lock = self.one_of(which, |lock| lock.asked.is_some())?;
                let change = Change { from: lock.held, to: lock.asked? };
                ToClient::Granted(Granted {
                    range: lock.range,
                    change,
                    token: self.next_token(Figure::Right),
                })
            }
            Matter::GrantAny(lock, to, seq) => {
                let change = Change { from: Mode::Null, to: mode(to) };
                ToClient::Granted(Granted { range: range(lock), change, token: self.next_token(seq) })
            }
            Matter::Refuse(which, reason) => {
                let lock = self.one_of(which, |lock| lock.asked.is_some())?;
                let all = [Reason::Overlaps, Reason::TooMany, Reason::Pointless, Reason::Busy];
                let reason = all[usize::from(reason) % all.len()];
                ToClient::Refused(Refused { start: lock.range.start(), wanted: lock.asked?, reason })
            }
            Matter::Revoke(which, to) => {
                let lock = self.one_of(which, |lock| lock.held != Mode::Null)?;
                let to = if lock.held == Mode::Write && to % 2 == 0 { Mode::Read } else { Mode::Null };
                let change = Change { from: lock.held, to };
                ToClient::Revoke(Descent { start: lock.range.start(), token: lock.token, change })
            }
            Matter::RevokeAny(lock, from, to) => {
                let change = Change { from: mode(from), to: mode(to) };
                let token = Token { term: self.right.term, seq: GrantSeq(self.seq) };
                ToClient::Revoke(Descent { start: range(lock).start(), token, change })
            }
            Matter::Lose(which) => {
                let lock = self.one_of(which, |lock| lock.held != Mode::Null)?;
                ToClient::Lost(Lost { start: lock.range.start(), token: lock.token })
            }
            Matter::SnapshotTaken(upto) => ToClient::SnapshotTaken(range(upto).end()),
            Matter::Acquire | Matter::Noise(_) => return None,
        })
    }

    fn one_of(&self, which: u8, is_meant: impl Fn(&LockInfo) -> bool) -> Option<LockInfo> {
        let mut locks = self.locks.dump();
        locks.retain(is_meant);
        let place = usize::from(which) % locks.len().max(1);
        locks.into_iter().nth(place)
    }

    fn next_token(&mut self, seq: Figure) -> Token {
        self.seq += 1;
        Token { term: self.right.term, seq: GrantSeq(seq.of(self.seq)) }
    }

    /// What the client wrote.
    fn read(&mut self) {
        let written = std::mem::take(&mut self.recorder.wishes().written);
        for bytes in written {
            let frame = Frame::decode(&bytes).expect("a client writes frames");
            if let Frame::Message { content, .. } = frame {
                ToServer::decode(content).expect("a client writes messages");
            }
            self.right.hear(&frame);
        }
    }

    // --- users -------------------------------------------------------------------------------------------------------

    fn lock(&mut self, lock: u8, wanted: u8) {
        if self.users.len() == USERS_MAX {
            self.users.pop_front();
        }
        let wanted = Mode::ALL[usize::from(wanted % 3) + 1];
        match self.locks.lock(range(lock % LOCKS), wanted).try_now() {
            Ok(Ok(guard)) => self.users.push_back(User::Has(guard)),
            Ok(Err(_)) => {}
            Err(waiting) => self.users.push_back(User::Waiting(waiting)),
        }
    }

    /// Whoever waited and does not have to any more.
    fn look_at_users(&mut self) {
        for user in std::mem::take(&mut self.users) {
            match user {
                User::Waiting(waiting) => match waiting.try_now() {
                    Ok(Ok(guard)) => self.users.push_back(User::Has(guard)),
                    Ok(Err(_)) => {}
                    Err(waiting) => self.users.push_back(User::Waiting(waiting)),
                },
                has => self.users.push_back(has),
            }
        }
    }

    fn invalidated(&mut self, which: u8) {
        let mut wishes = self.recorder.wishes();
        let len = wishes.invalidations.len();
        if len > 0 {
            let invalidation = wishes.invalidations.swap_remove(usize::from(which) % len);
            drop(wishes);
            invalidation.done();
        }
    }

    fn loss_handled(&mut self) {
        let loss = self.recorder.wishes().losses.pop();
        loss.into_iter().for_each(tidelock_lock_client::Loss::handled);
    }

    fn check(&mut self) {
        self.read();
        self.look_at_users();
        self.client.check();
        let wishes = self.recorder.wishes();
        if wishes.connection.is_none() || wishes.connection != self.link {
            self.link = None;
        }
        assert!(wishes.losses.len() <= 1, "a loss is told once");
        let invalidations = wishes.invalidations.len();
        // Each lock is dropped once at a time, and once more for each time that it was lost meanwhile.
        let most = usize::from(LOCKS) + self.client.counters().locks_lost as usize;
        assert!(invalidations <= most, "{invalidations} invalidations");
        assert!(self.locks.dump().len() <= usize::from(LOCKS) + 1, "a lock that nobody wanted");
    }

    // --- and then ----------------------------------------------------------------------------------------------------

    /// Everybody lets go, and a server comes that keeps to the protocol: a lock can be taken, unless the client was closed,
    /// or cannot talk to this server.
    fn end_well(&mut self) {
        self.users.clear();
        // Bound: dropping one may begin another, once for each lock and mode.
        for _ in 0..100 {
            self.invalidated(0);
            self.loss_handled();
        }
        self.check();
        let Some(next) = self.client.next_tick().filter(|_| !self.is_closed) else { return };
        self.cut();
        self.now = self.now.max(next).max(self.client.next_tick().unwrap_or_default());
        self.watch.set(self.now);
        self.sleep(PLAN.backoff);
        self.connect();
        // What the client knows, and not what it was told and passed over.
        self.right.term = Term(self.right.term_greeted.0.saturating_add(1));
        let has_session = self.right.incarnation != Incarnation(0);
        self.welcome(if has_session { Ruling::Recover } else { Ruling::New });
        self.take_last();
        self.check();
        let has_it = self.users.iter().any(|user| matches!(user, User::Has(_)));
        assert!(has_it, "nobody has a lock: {:?}", self.locks.dump());
    }

    /// A lock that nobody has wanted before is taken.
    fn take_last(&mut self) {
        let range = range(LOCKS);
        let Err(waiting) = self.locks.lock(range, Mode::Write).try_now() else {
            panic!("nobody has granted it")
        };
        self.users.push_back(User::Waiting(waiting));
        let change = Change { from: Mode::Null, to: Mode::Write };
        let granted = ToClient::Granted(Granted { range, change, token: self.next_token(Figure::Right) });
        let envelope =
            Envelope { incarnation: self.right.incarnation, term: self.right.term, barrier: FenceEpoch(0) };
        let mut content = Vec::new();
        granted.encode(envelope, &mut content);
        self.tell(SOUND, &content);
    }
}

/// The server may speak of one more than users want.
fn range(lock: u8) -> KeyRange {
    let first = u64::from(lock % (LOCKS + 1)) * 16;
    KeyRange::new(Key::from_u64(first), Key::from_u64(first + 15)).expect("in order")
}

fn mode(number: u8) -> Mode {
    Mode::ALL[usize::from(number) % Mode::ALL.len()]
}
