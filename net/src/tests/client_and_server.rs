//! A client and a server that keeps its side, with a network between them that loses connections and takes its time, and
//! servers that die.
//!
//! Whatever happens: each message is handled once under one server, and a client whose lease is valid was not expelled, by
//! clocks that differ as far as the plan allows (Q3).

use std::collections::VecDeque;
use std::time::Duration;

use proptest::prelude::*;
use tidelock_format::{Incarnation, Term};

use super::client::CONFIG;
use crate::{
    Arrival, ClientSession, Connection, Effect, Frame, Hello, Known, Number, Outcome, Service, Standing,
    Stream, Verdict, Welcome, greet,
};

/// What a test chooses next.
#[derive(Clone, Debug)]
enum Choice {
    /// The world sleeps for so many milliseconds.
    Sleep(u64),
    /// The oldest thing on its way arrives, at the client or at the server.
    ToClient,
    ToServer,
    Cut,
    Send,
    ServerSends,
    ServerDies,
}

fn choices() -> impl Strategy<Value = Vec<Choice>> {
    let choice = prop_oneof![
        6 => (1u64..9_000).prop_map(Choice::Sleep),
        20 => Just(Choice::ToClient),
        20 => Just(Choice::ToServer),
        2 => Just(Choice::Cut),
        6 => Just(Choice::Send),
        6 => Just(Choice::ServerSends),
        1 => Just(Choice::ServerDies),
    ];
    prop::collection::vec(choice, 1..300)
}

struct World {
    client: ClientSession,
    now: Duration,
    connection: Option<Connection>,
    to_server: VecDeque<Vec<u8>>,
    to_client: VecDeque<Vec<u8>>,
    term: Term,
    known: Known,
    stream: Stream,
    /// When the server heard of the client last, by its own clock.
    heard: Duration,
    /// What was sent under the present server, and handled, by both.
    sent: [u64; 2],
    handled: [u64; 2],
    standing: Option<Standing>,
}

impl World {
    fn new() -> Self {
        Self {
            client: ClientSession::new(CONFIG, 1, Duration::ZERO),
            now: Duration::ZERO,
            connection: None,
            to_server: VecDeque::new(),
            to_client: VecDeque::new(),
            term: Term(1),
            known: Known::Nothing,
            stream: Stream::new(CONFIG.window),
            heard: Duration::ZERO,
            sent: [0; 2],
            handled: [0; 2],
            standing: None,
        }
    }

    fn choose(&mut self, choice: &Choice) {
        match choice {
            Choice::Sleep(millis) => self.sleep(Duration::from_millis(*millis)),
            Choice::ToClient => self.client_hears(),
            Choice::ToServer => self.server_hears(),
            Choice::Cut => self.cut(),
            Choice::Send => {
                let mut effects = Vec::new();
                let content = (self.sent[0] + 1).to_le_bytes().to_vec();
                if self.client.incarnation() != Incarnation(0)
                    && self.client.send(content, &mut effects).is_ok()
                {
                    self.sent[0] += 1;
                }
                self.carry_out(effects);
            }
            Choice::ServerSends => {
                let content = (self.sent[1] + 1).to_le_bytes().to_vec();
                if matches!(self.known, Known::Live(_)) && self.stream.send(content).is_ok() {
                    self.sent[1] += 1;
                    self.server_writes();
                }
            }
            Choice::ServerDies => {
                self.cut();
                self.term = self.term.next();
                self.known = match self.known {
                    Known::Live(mine) => Known::Unheard(mine),
                    other => other,
                };
                // A new server gives everybody a whole lease from its beginning.
                self.heard = self.server_clock();
            }
        }
        self.expel_if_silent();
        self.check();
    }

    /// The server's clock runs ahead, as fast as the plan allows.
    fn server_clock(&self) -> Duration {
        self.now + self.now / CONFIG.plan.drift
    }

    fn expel_if_silent(&mut self) {
        let (Known::Live(mine) | Known::Unheard(mine)) = self.known else { return };
        if self.server_clock() > self.heard + CONFIG.plan.server_waits_for() {
            self.known = Known::Expelled(mine);
            self.cut();
        }
    }

    fn check(&self) {
        let is_expelled = matches!(self.known, Known::Expelled(_));
        assert!(!(is_expelled && self.client.lease().is_valid(self.now)), "Q3: expelled with a valid lease");
        for side in 0..2 {
            assert!(self.handled[side] <= self.sent[side], "N2: handled what was never sent");
        }
    }

    fn sleep(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(next) = self.client.next_tick().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            let mut effects = Vec::new();
            self.client.tick(self.now, &mut effects);
            self.carry_out(effects);
            self.expel_if_silent();
            self.check();
        }
        self.now = end;
    }

    fn cut(&mut self) {
        self.to_server.clear();
        self.to_client.clear();
        if let Some(connection) = self.connection.take() {
            let mut effects = Vec::new();
            self.client.disconnected(connection, self.now, &mut effects);
            self.carry_out(effects);
        }
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            let mut more = Vec::new();
            match effect {
                Effect::Connect(connection) => {
                    self.to_server.clear();
                    self.to_client.clear();
                    self.connection = Some(connection);
                    self.client.connected(connection, self.now, &mut more);
                }
                Effect::Write(connection, bytes) => {
                    assert_eq!(self.connection, Some(connection), "Q1: written where it can arrive");
                    self.to_server.push_back(bytes);
                }
                Effect::Close(connection) if self.connection == Some(connection) => {
                    self.connection = None;
                    self.to_server.clear();
                    self.to_client.clear();
                }
                Effect::Close(_) => {}
                Effect::Deliver(delivery, content) => {
                    self.handled[1] += 1;
                    assert_eq!(content, self.handled[1].to_le_bytes(), "N1, N2: once and in order");
                    self.client.handled(delivery, self.now, &mut more);
                }
                Effect::Stands(standing) => {
                    if matches!(standing, Standing::New { .. } | Standing::Recover { .. }) {
                        self.sent[0] = 0;
                    }
                    self.standing = Some(standing);
                }
            }
            self.carry_out(more);
        }
    }

    fn client_hears(&mut self) {
        let (Some(bytes), Some(connection)) = (self.to_client.pop_front(), self.connection) else { return };
        let frame = Frame::decode(&bytes).expect("a server writes frames");
        let mut effects = Vec::new();
        self.client.heard(connection, &frame, self.now, &mut effects);
        self.carry_out(effects);
    }

    fn server_hears(&mut self) {
        let Some(bytes) = self.to_server.pop_front() else { return };
        let frame = Frame::decode(&bytes).expect("a client writes frames");
        match frame {
            Frame::Hello { hello, done, .. } => return self.server_is_greeted(&hello, done),
            Frame::Message { number, done, content } => {
                self.stream.peer_is_done(done).expect("N4");
                if self.stream.arrived(number).expect("N1") == Arrival::Fresh {
                    self.handled[0] += 1;
                    assert_eq!(content, self.handled[0].to_le_bytes(), "N1, N2: once and in order");
                    self.stream.handled(number);
                    self.tell(&Frame::Report(self.stream.done()));
                }
            }
            Frame::Report(done) => self.stream.peer_is_done(done).expect("N4"),
            Frame::Ping(number) => self.tell(&Frame::Pong(number)),
            other => panic!("a client does not say {other:?}"),
        }
        self.heard = self.server_clock();
    }

    fn server_is_greeted(&mut self, hello: &Hello, done: Number) {
        let service =
            Service { versions: CONFIG.versions, service: CONFIG.service, term: self.term, busy_for: None };
        let lease = CONFIG.plan.lease;
        let verdict = match greet(&service, hello, self.known) {
            // The same greeting sent again, as far as this server can tell: its client opens one session here.
            Outcome::New { least } => {
                let incarnation = self.known.incarnation().unwrap_or(least);
                self.known = Known::Live(incarnation);
                self.begin_stream();
                Verdict::New { incarnation, lease }
            }
            Outcome::Resumed => {
                self.stream.reconnected(done).expect("N4");
                Verdict::Resumed { done: self.stream.done(), lease }
            }
            Outcome::Recover => {
                self.known = Known::Live(hello.incarnation);
                self.begin_stream();
                Verdict::Recover { lease }
            }
            Outcome::Expelled { upto } => Verdict::Expelled { upto },
            other => panic!("no reason for {other:?}"),
        };
        self.heard = self.server_clock();
        self.tell(&Frame::Welcome(Welcome { service: CONFIG.service, term: self.term, verdict }));
        self.server_writes();
    }

    fn begin_stream(&mut self) {
        self.stream = Stream::new(CONFIG.window);
        self.sent[1] = 0;
        self.handled = [0; 2];
    }

    fn tell(&mut self, frame: &Frame<'_>) {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        self.to_client.push_back(bytes);
    }

    fn server_writes(&mut self) {
        // Before the client has greeted on it, a connection carries nothing of the session.
        if self.connection.is_none() || self.to_server.iter().any(|bytes| is_hello(bytes)) {
            return;
        }
        let done = self.stream.done();
        while let Some((number, content)) = self.stream.next_to_write() {
            let mut bytes = Vec::new();
            Frame::Message { number, done, content }.encode(&mut bytes);
            self.to_client.push_back(bytes);
        }
    }
}

fn is_hello(bytes: &[u8]) -> bool {
    matches!(Frame::decode(bytes), Ok(Frame::Hello { .. }))
}

proptest! {
    /// P-14.
    #[test]
    fn a_session_survives_cuts_and_new_servers_or_ends_before_it_is_expelled(choices in choices()) {
        let mut world = World::new();
        for choice in &choices {
            world.choose(choice);
        }
        // And then a quiet hour: whatever was sent arrives, unless the session is over.
        for _ in 0..3000 {
            world.choose(&Choice::ToServer);
            world.choose(&Choice::ToClient);
            world.choose(&Choice::Sleep(20));
        }
        if world.standing != Some(Standing::Expelled) {
            prop_assert_eq!(world.handled, world.sent);
            prop_assert!(world.client.lease().is_valid(world.now));
        }
    }
}
