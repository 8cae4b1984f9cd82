//! A client that does what it is told, one thing after the other: a session, a link, and the locks that it has.
//!
//! What it is asked to come down to it comes down to at once, unless it is told to be stubborn.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::time::{ClockId, clock_gettime};
use tidelock_format::{Key, KeyRange, Token};
use tidelock_lock_proto::{Acquire, Change, Descent, Envelope, Held, Mode, Snapshot, ToClient, ToServer};
use tidelock_net::transport::{Address, ConnectOptions, Heard, Link};
use tidelock_net::{
    ANY_SERVICE, ClientConfig, ClientSession, Connection, Delivery, Effect, FRAME_BYTES_MAX, Frame, Standing,
};

use super::{PATIENCE, quick};

pub(crate) struct Client {
    address: Address,
    options: ConnectOptions,
    session: ClientSession,
    link: Option<(Connection, Link)>,
    is_told: bool,
    term: tidelock_format::Term,
    effects: Vec<Effect>,
    /// By first key.
    pub(crate) held: BTreeMap<Key, (KeyRange, Mode, Token)>,
    pub(crate) wanted: BTreeMap<Key, Acquire>,
    pub(crate) standings: Vec<Standing>,
    pub(crate) lost: Vec<Key>,
    pub(crate) refused: Vec<Key>,
    /// It does not come down.
    pub(crate) is_stubborn: bool,
    pub(crate) revoked: Vec<Descent>,
}

fn now() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

impl Client {
    /// One that has a session.
    pub(crate) fn new(address: &Address, instance: u128) -> Self {
        let mut client = Self::unconnected(address, instance);
        client.until("a session", |client| client.standings.contains(&Standing::Resumed) || client.is_new());
        client
    }

    /// One that has a session, over TLS or whatever else it takes.
    pub(crate) fn with(address: &Address, instance: u128, options: ConnectOptions) -> Self {
        let mut client = Self { options, ..Self::unconnected(address, instance) };
        client.until("a session", Self::is_new);
        client
    }

    pub(crate) fn unconnected(address: &Address, instance: u128) -> Self {
        let (versions, window, seed) = ((1, 1), 1024, instance as u64);
        let config = ClientConfig { versions, service: ANY_SERVICE, instance, plan: quick(), window, seed };
        let attempt = instance << 64 | u128::from(now().subsec_nanos());
        Self {
            address: address.clone(),
            options: ConnectOptions::default(),
            session: ClientSession::new(config, attempt, now()),
            link: None,
            is_told: false,
            term: tidelock_format::Term(0),
            effects: Vec::new(),
            held: BTreeMap::new(),
            wanted: BTreeMap::new(),
            standings: Vec::new(),
            lost: Vec::new(),
            refused: Vec::new(),
            is_stubborn: false,
            revoked: Vec::new(),
        }
    }

    fn is_new(&self) -> bool {
        self.standings.iter().any(|standing| matches!(standing, Standing::New { .. }))
    }

    /// Goes on until it is so.
    pub(crate) fn until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let since = Instant::now();
        while !is_so(self) {
            assert!(since.elapsed() < PATIENCE, "still no {what}: {:?}", self.standings);
            self.turn(Duration::from_millis(50));
        }
    }

    /// Goes on for so long.
    pub(crate) fn go_on(&mut self, time: Duration) {
        let since = Instant::now();
        while since.elapsed() < time {
            self.turn(Duration::from_millis(5));
        }
    }

    // --- locks ---------------------------------------------------------------------------------------------------------

    pub(crate) fn want(&mut self, range: KeyRange, mode: Mode) {
        let from = self.held.get(&range.start()).map_or(Mode::Null, |(_, mode, _)| *mode);
        let acquire = Acquire { range, change: Change { from, to: mode } };
        self.wanted.insert(range.start(), acquire);
        self.say(ToServer::Acquire(acquire));
    }

    /// Takes a lock, and waits until it has it.
    pub(crate) fn take(&mut self, range: KeyRange, mode: Mode) {
        self.want(range, mode);
        self.until("grant", |client| client.has(range, mode));
    }

    pub(crate) fn has(&self, range: KeyRange, mode: Mode) -> bool {
        self.held.get(&range.start()).is_some_and(|(_, held, _)| *held == mode)
    }

    pub(crate) fn release(&mut self, range: KeyRange) {
        if let Some((_, from, token)) = self.held.remove(&range.start()) {
            let change = Change { from, to: Mode::Null };
            self.say(ToServer::Release(Descent { start: range.start(), token, change }));
        }
    }

    /// Comes down to what it was told to while it was stubborn.
    pub(crate) fn give_in(&mut self) {
        self.is_stubborn = false;
        for descent in std::mem::take(&mut self.revoked) {
            self.cede(descent);
        }
    }

    pub(crate) fn leave(mut self) {
        self.session.leave(&mut self.effects);
        self.carry_out();
        self.until("end", |client| client.standings.last() == Some(&Standing::Left));
    }

    fn say(&mut self, message: ToServer) {
        let envelope =
            Envelope { incarnation: self.session.incarnation(), term: self.term, ..Envelope::default() };
        let mut content = Vec::new();
        message.encode(envelope, &mut content);
        self.session.send(content, &mut self.effects).expect("the window is large");
        self.carry_out();
    }

    fn handle(&mut self, message: ToClient) {
        match message {
            ToClient::Granted(granted) => {
                let start = granted.range.start();
                self.wanted.remove(&start);
                self.held.insert(start, (granted.range, granted.change.to, granted.token));
            }
            ToClient::Refused(refused) => {
                self.wanted.remove(&refused.start);
                self.refused.push(refused.start);
            }
            ToClient::Revoke(descent) if self.is_stubborn => self.revoked.push(descent),
            ToClient::Revoke(descent) => self.cede(descent),
            ToClient::Lost(lost) => {
                self.held.remove(&lost.start);
                self.lost.push(lost.start);
            }
            _ => {}
        }
    }

    fn cede(&mut self, descent: Descent) {
        if let Some(held) = self.held.get_mut(&descent.start)
            && held.2 == descent.token
        {
            held.1 = descent.change.to;
            if held.1 == Mode::Null {
                self.held.remove(&descent.start);
            }
        }
        self.say(ToServer::Ceded(descent));
    }

    fn tell_all(&mut self) {
        let held: Vec<Held> = self
            .held
            .values()
            .map(|(range, mode, token)| Held { range: *range, mode: *mode, token: *token })
            .collect();
        let wanted: Vec<Acquire> = self.wanted.values().copied().collect();
        let parts = held.len().div_ceil(256).max(1);
        for part in 0..parts {
            let held = held.iter().skip(part * 256).take(256).copied().collect();
            let is_last = part + 1 == parts;
            let wanted = if is_last { wanted.clone() } else { Vec::new() };
            self.say(ToServer::Snapshot(Snapshot { held, wanted, is_last }));
        }
    }

    // --- the session ---------------------------------------------------------------------------------------------------

    /// Looks once at what came in, for at most so long.
    pub(crate) fn turn(&mut self, at_most: Duration) {
        if self.session.next_tick().is_some_and(|due| due <= now()) {
            self.session.tick(now(), &mut self.effects);
            self.carry_out();
        }
        let due = self.session.next_tick().map_or(at_most, |due| due.saturating_sub(now()).min(at_most));
        let Some((connection, link)) = &self.link else {
            std::thread::sleep(due.min(Duration::from_millis(5)));
            return;
        };
        let connection = *connection;
        let is_writing = link.queued() > 0 || !link.is_open();
        let flags = if is_writing { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
        let timeout = Timespec { tv_sec: due.as_secs() as i64, tv_nsec: i64::from(due.subsec_nanos()) };
        let _ = poll(&mut [PollFd::new(link, flags)], Some(&timeout)).expect("a poll");
        self.listen(connection);
    }

    fn listen(&mut self, connection: Connection) {
        let Some((_, link)) = &mut self.link else { return };
        if link.flush().is_err() {
            return self.cut(connection);
        }
        if link.is_open() && !self.is_told {
            self.is_told = true;
            self.session.connected(connection, now(), &mut self.effects);
            return self.carry_out();
        }
        let heard = link.read();
        loop {
            let Some((_, link)) = &mut self.link else { return };
            match link.next_frame(FRAME_BYTES_MAX) {
                Ok(Some(bytes)) => {
                    let frame = Frame::decode(bytes).expect("the server says frames");
                    self.session.heard(connection, &frame, now(), &mut self.effects);
                }
                Ok(None) => break,
                Err(error) => panic!("{error}"),
            }
            self.carry_out();
        }
        if !matches!(heard, Ok(Heard::All | Heard::More)) {
            self.cut(connection);
        }
    }

    fn cut(&mut self, connection: Connection) {
        self.link = None;
        self.session.disconnected(connection, now(), &mut self.effects);
        self.carry_out();
    }

    fn carry_out(&mut self) {
        while !self.effects.is_empty() {
            for effect in std::mem::take(&mut self.effects) {
                self.carry_out_one(effect);
            }
        }
        if let Some((_, link)) = &mut self.link {
            // A link that is broken says so when it is read.
            let _ = link.flush();
        }
    }

    fn carry_out_one(&mut self, effect: Effect) {
        match effect {
            Effect::Connect(connection) => {
                self.is_told = false;
                match Link::connect(&self.address, &self.options, connection.0) {
                    Ok(link) => self.link = Some((connection, link)),
                    Err(_) => self.session.disconnected(connection, now(), &mut self.effects),
                }
            }
            Effect::Write(connection, bytes) => {
                if let Some((mine, link)) = &mut self.link
                    && *mine == connection
                {
                    link.queue(&bytes);
                }
            }
            Effect::Close(_) => self.link = None,
            Effect::Deliver(delivery, content) => self.deliver(delivery, &content),
            Effect::Stands(standing) => self.stands(standing),
            _ => {}
        }
    }

    fn deliver(&mut self, delivery: Delivery, content: &[u8]) {
        let (_, message) = ToClient::decode(content).expect("the server says messages");
        self.handle(message);
        self.session.handled(delivery, now(), &mut self.effects);
    }

    fn stands(&mut self, standing: Standing) {
        self.standings.push(standing);
        match standing {
            Standing::New { term, .. } => {
                self.term = term;
                self.held.clear();
            }
            Standing::Recover { term } => {
                self.term = term;
                self.tell_all();
            }
            _ => {}
        }
    }
}
