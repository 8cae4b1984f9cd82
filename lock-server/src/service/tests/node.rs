//! One client, whole: its session as `tidelock_net` has it, and a few locks as their owner has to treat them.

use std::collections::VecDeque;
use std::time::Duration;

use tidelock_format::{FenceEpoch, Incarnation, Term};
use tidelock_lock_proto::{Envelope, Held, Mode, Snapshot, ToClient, ToServer};
use tidelock_net::{ClientConfig, ClientSession, Connection as Line, Effect, Frame, Standing, frame_len};

use super::rig::{PLAN, SERVICE, range};
use crate::Connection;
use crate::grants::tests::peer::Peer;

pub(super) const LOCKS: usize = 3;

/// What is on its way to a client.
#[derive(Debug)]
pub(super) enum Down {
    Bytes(Vec<u8>),
    Closed,
}

/// What a client wants of the network.
#[derive(Debug)]
pub(super) enum Wish {
    Connect,
    Write(Vec<u8>),
    Close,
}

/// A client.
pub(super) struct Node {
    pub(super) session: ClientSession,
    pub(super) peers: Vec<Peer>,
    pub(super) term: Term,
    /// The client's name of its connection, and the server's.
    line: Line,
    pub(super) link: Option<Connection>,
    pub(super) up: VecDeque<Vec<u8>>,
    pub(super) down: VecDeque<Down>,
    pub(super) is_frozen: bool,
    pub(super) is_leaving: bool,
    /// How its session ended, if it did.
    pub(super) end: Option<Standing>,
    pub(super) wishes: Vec<Wish>,
}

fn peers() -> Vec<Peer> {
    (0..LOCKS).map(|lock| Peer::new(range(lock as u64), u8::MAX)).collect()
}

impl Node {
    pub(super) fn new(instance: u128, attempt: u128, now: Duration) -> Self {
        let config = ClientConfig {
            versions: (1, 1),
            service: SERVICE,
            instance,
            plan: PLAN,
            window: 1024,
            seed: attempt as u64,
        };
        Self {
            session: ClientSession::new(config, attempt, now),
            peers: peers(),
            term: Term(0),
            line: Line(0),
            link: None,
            up: VecDeque::new(),
            down: VecDeque::new(),
            is_frozen: false,
            is_leaving: false,
            end: None,
            wishes: Vec::new(),
        }
    }

    pub(super) fn has_session(&self) -> bool {
        self.session.incarnation() != Incarnation(0) && self.end.is_none() && !self.is_leaving
    }

    /// What it believes to hold now, by its own clock.
    pub(super) fn believes(&self, lock: usize, now: Duration) -> Mode {
        if self.session.lease().is_valid(now) { self.peers[lock].held } else { Mode::Null }
    }

    pub(super) fn connected(&mut self, link: Connection, now: Duration) {
        self.link = Some(link);
        let mut effects = Vec::new();
        self.session.connected(self.line, now, &mut effects);
        self.carry_out(effects, now);
    }

    pub(super) fn disconnected(&mut self, now: Duration) {
        let mut effects = Vec::new();
        self.session.disconnected(self.line, now, &mut effects);
        self.carry_out(effects, now);
    }

    pub(super) fn tick(&mut self, now: Duration) {
        let mut effects = Vec::new();
        self.session.tick(now, &mut effects);
        self.carry_out(effects, now);
    }

    pub(super) fn hear(&mut self, bytes: &[u8], now: Duration) {
        let mut rest = bytes;
        while let Some(len) = frame_len(rest, usize::MAX).expect("whole frames") {
            let frame = Frame::decode(&rest[..len]).expect("a server writes frames");
            let mut effects = Vec::new();
            self.session.heard(self.line, &frame, now, &mut effects);
            self.carry_out(effects, now);
            rest = &rest[len..];
        }
    }

    pub(super) fn leave(&mut self, now: Duration) {
        self.is_leaving = true;
        self.peers = peers();
        let mut effects = Vec::new();
        self.session.leave(&mut effects);
        self.carry_out(effects, now);
    }

    fn carry_out(&mut self, effects: Vec<Effect>, now: Duration) {
        for effect in effects {
            match effect {
                Effect::Connect(line) => {
                    self.line = line;
                    self.wishes.push(Wish::Connect);
                }
                Effect::Write(line, bytes) if line == self.line => self.wishes.push(Wish::Write(bytes)),
                Effect::Close(line) if line == self.line => self.wishes.push(Wish::Close),
                Effect::Write(..) | Effect::Close(_) => {}
                Effect::Deliver(delivery, content) => {
                    self.deliver(&content, now);
                    let mut more = Vec::new();
                    self.session.handled(delivery, &mut more);
                    self.carry_out(more, now);
                }
                Effect::Stands(standing) => self.stands(standing, now),
                other => panic!("{other:?}"),
            }
        }
    }

    fn stands(&mut self, standing: Standing, now: Duration) {
        match standing {
            Standing::New { term, .. } => {
                self.peers = peers();
                self.term = term;
            }
            Standing::Recover { term } => {
                self.term = term;
                if !self.is_leaving {
                    self.tell_all(now);
                }
            }
            Standing::Expelled | Standing::Left => {
                self.peers = peers();
                self.end = Some(standing);
            }
            Standing::Mismatch(welcome) => panic!("{welcome:?}"),
            _ => {}
        }
    }

    /// The snapshot, a lock a part.
    fn tell_all(&mut self, now: Duration) {
        for lock in 0..LOCKS {
            let held: Vec<Held> = self.peers[lock].snapshot().into_iter().collect();
            let wanted = self.peers[lock].ask_again(self.term).into_iter();
            let wanted = wanted.map(|it| if let ToServer::Acquire(it) = it { it } else { panic!("{it:?}") });
            let part = Snapshot { held, wanted: wanted.collect(), is_last: lock + 1 == LOCKS };
            self.send(vec![ToServer::Snapshot(part)], now);
        }
    }

    fn deliver(&mut self, content: &[u8], now: Duration) {
        let (envelope, message) = ToClient::decode(content).expect("a server writes messages");
        assert_eq!((envelope.incarnation, envelope.term), (self.session.incarnation(), self.term));
        if self.is_leaving {
            return;
        }
        let start = match &message {
            ToClient::Granted(granted) => granted.range.start(),
            ToClient::Revoke(descent) => descent.start,
            ToClient::SnapshotTaken(_) => return,
            other => panic!("nobody does anything to hear {other:?}"),
        };
        let lock = (0..LOCKS).find(|lock| range(*lock as u64).start() == start).expect("a lock of ours");
        let answers = self.peers[lock].hear(self.term, message);
        self.send(answers, now);
    }

    pub(super) fn ask(&mut self, lock: usize, mode: Mode, now: Duration) {
        if self.has_session() && self.peers[lock].wishes(self.term).contains(&mode) {
            let message = self.peers[lock].ask(mode);
            self.send(vec![message], now);
        }
    }

    pub(super) fn give_back(&mut self, lock: usize, mode: Mode, now: Duration) {
        if self.has_session() && self.peers[lock].leaves().contains(&mode) {
            let message = self.peers[lock].leave(mode);
            self.send(vec![message], now);
        }
    }

    pub(super) fn come_down(&mut self, lock: usize, now: Duration) {
        if self.has_session() && self.peers[lock].is_descending() {
            let messages = self.peers[lock].come_down(self.term);
            self.send(messages, now);
        }
    }

    fn send(&mut self, messages: Vec<ToServer>, now: Duration) {
        let envelope = Envelope {
            incarnation: self.session.incarnation(),
            term: self.term,
            barrier: FenceEpoch::default(),
        };
        for message in messages {
            let (mut content, mut effects) = (Vec::new(), Vec::new());
            message.encode(envelope, &mut content);
            self.session.send(content, &mut effects).expect("a wide window");
            self.carry_out(effects, now);
        }
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.peers.iter().any(|peer| peer.wanted.is_some() || peer.is_descending())
    }
}
