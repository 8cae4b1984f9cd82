//! Clients as they are, a server, its records, and a network that takes its time: whatever happens, and in whatever order.
//!
//! Connections break on either side, and what was on its way may still arrive, long after; answers of the authority are
//! late, lost, or errors; a server dies between any two steps, or hands over; clients sleep past their leases, leave, and
//! come back while their former life still lives. After every step the server's own invariants hold, and
//! - no two clients whose leases are valid by their own clocks believe that they hold incompatible modes (K1, Y2);
//! - whoever stands in the server's table has a record (Y1, Y3);
//! - nobody is accused who follows the protocol, and nobody loses a lock that it held (Y7, Y9).
//!
//! And when it has become quiet, nobody waits (K6).

use std::collections::VecDeque;
use std::time::Duration;

use proptest::prelude::*;
use tidelock_authority::{Authority as _, Change, MemAuthority, Seat as _};
use tidelock_format::{Key, Term};
use tidelock_lock_proto::{Holder, Mode};
use tidelock_net::{Frame, Principal, Standing};

use super::node::{Down, LOCKS, Node, Wish};
use super::rig::{PLAN, campaign, config};
use crate::{Connection, Effect, Expulsion, Handover, Input, Notice, Records, Server, StopReason, Ticket};

const NODES: usize = 3;

/// What a test chooses next.
#[derive(Clone, Debug)]
enum Choice {
    Sleep(u64),
    /// Much time passes, while everything arrives.
    Pass(u64),
    /// Everything that is on its way arrives.
    Breathe,
    ToClient(usize),
    ToServer(usize),
    /// Something arrives of a connection that its client gave up.
    Late(usize),
    Ask(usize, usize, Mode),
    GiveBack(usize, usize, Mode),
    ComeDown(usize, usize),
    /// The connection breaks for the client, and for the server sooner or later.
    Cut(usize),
    Freeze(usize),
    Thaw(usize),
    Leave(usize),
    /// The client begins anew, and what it was lives on beside it.
    Reboot(usize),
    Flush,
    /// A change of the records is made, and the server hears of it.
    Apply(usize),
    /// It is made, and the server does not hear of it yet.
    Make,
    Refuse,
    LoseAnswer,
    ServerDies,
    HandOver,
}

fn choices() -> impl Strategy<Value = Vec<Choice>> {
    let node = 0..NODES;
    let place = || (0..NODES, 0..LOCKS);
    let mode = || prop::sample::select(&[Mode::Read, Mode::Write, Mode::WriteOnly][..]);
    let choice = prop_oneof![
        4 => (1u64..1_200).prop_map(Choice::Sleep),
        1 => (1_000u64..12_000).prop_map(Choice::Sleep),
        2 => (1_000u64..36_000).prop_map(Choice::Pass),
        16 => Just(Choice::Breathe),
        24 => node.clone().prop_map(Choice::ToClient),
        24 => node.clone().prop_map(Choice::ToServer),
        6 => (0usize..4).prop_map(Choice::Late),
        12 => (place(), mode()).prop_map(|((node, lock), mode)| Choice::Ask(node, lock, mode)),
        3 => (place(), prop::sample::select(&[Mode::Null, Mode::Read][..]))
            .prop_map(|((node, lock), mode)| Choice::GiveBack(node, lock, mode)),
        10 => place().prop_map(|(node, lock)| Choice::ComeDown(node, lock)),
        4 => node.clone().prop_map(Choice::Cut),
        1 => node.clone().prop_map(Choice::Freeze),
        2 => node.clone().prop_map(Choice::Thaw),
        1 => node.clone().prop_map(Choice::Leave),
        1 => node.prop_map(Choice::Reboot),
        16 => Just(Choice::Flush),
        12 => (0usize..3).prop_map(Choice::Apply),
        2 => Just(Choice::Make),
        1 => Just(Choice::Refuse),
        1 => Just(Choice::LoseAnswer),
        1 => Just(Choice::ServerDies),
        1 => Just(Choice::HandOver),
    ];
    prop::collection::vec(choice, 1..400)
}

/// A change, and what came of it if it was made.
type Asked =
    (Ticket, Change, Option<Result<tidelock_authority::Outcome, tidelock_authority::AuthorityError>>);

struct World {
    server: Server,
    authority: MemAuthority,
    term: Term,
    now: Duration,
    nodes: Vec<Node>,
    /// Former lives that still run.
    zombies: Vec<Node>,
    /// What was on its way to the server when its client gave the connection up.
    late: Vec<(Connection, VecDeque<Vec<u8>>)>,
    asked: Vec<Asked>,
    connections: u64,
    attempts: u128,
    is_quiet: bool,
}

impl World {
    fn new() -> Self {
        let authority = MemAuthority::new();
        let (server, term) = begin(&authority, Duration::ZERO);
        let mut world = Self {
            server,
            authority,
            term,
            now: Duration::ZERO,
            nodes: Vec::new(),
            zombies: Vec::new(),
            late: Vec::new(),
            asked: Vec::new(),
            connections: 0,
            attempts: 0,
            is_quiet: false,
        };
        for instance in 0..NODES {
            let node = world.node(instance as u128);
            world.nodes.push(node);
        }
        world
    }

    fn node(&mut self, instance: u128) -> Node {
        self.attempts += 1;
        Node::new(instance, self.attempts, self.now)
    }

    /// The server's clock runs ahead, as fast as the plan allows.
    fn server_now(&self) -> Duration {
        self.now + self.now / PLAN.drift
    }

    fn choose(&mut self, choice: &Choice) {
        let now = self.now;
        match *choice {
            Choice::Sleep(millis) => self.sleep(Duration::from_millis(millis)),
            Choice::Pass(millis) => {
                self.is_quiet = true;
                self.sleep(Duration::from_millis(millis));
                self.is_quiet = false;
            }
            Choice::Breathe => self.breathe(),
            Choice::ToClient(node) => self.client_hears(node),
            Choice::ToServer(node) => self.server_hears(node),
            Choice::Late(which) => self.server_hears_late(which),
            Choice::Ask(node, lock, mode) => self.act(node, |it| it.ask(lock, mode, now)),
            Choice::GiveBack(node, lock, mode) => self.act(node, |it| it.give_back(lock, mode, now)),
            Choice::ComeDown(node, lock) => self.act(node, |it| it.come_down(lock, now)),
            Choice::Cut(node) => self.act(node, |it| {
                it.down.clear();
                it.disconnected(now);
            }),
            Choice::Freeze(node) => self.nodes[node].is_frozen = true,
            Choice::Thaw(node) => self.nodes[node].is_frozen = false,
            Choice::Leave(node) => self.act(node, |it| {
                if it.has_session() {
                    it.leave(now)
                }
            }),
            Choice::Reboot(node) => {
                let fresh = self.node(node as u128);
                let mut old = std::mem::replace(&mut self.nodes[node], fresh);
                old.is_frozen = false;
                self.zombies.push(old);
            }
            Choice::Flush => self.flush(),
            Choice::Apply(which) => self.apply(which),
            Choice::Make => self.make(0),
            Choice::Refuse => self.authority.refuse_next_write(),
            Choice::LoseAnswer => self.authority.lose_next_answer(),
            Choice::ServerDies => self.server_dies(),
            Choice::HandOver => self.hand_over(),
        }
        self.check();
    }

    fn check(&self) {
        self.server.check();
        let everybody: Vec<&Node> = self.nodes.iter().chain(&self.zombies).collect();
        for lock in 0..LOCKS {
            let beliefs: Vec<Mode> = everybody.iter().map(|node| node.believes(lock, self.now)).collect();
            for (n, one) in beliefs.iter().enumerate() {
                for other in &beliefs[n + 1..] {
                    assert!(one.is_compatible(Holder::Another, *other), "K1, Y2: lock {lock}: {beliefs:?}");
                }
            }
        }
        for lock in self.server.locks_from(Key::MIN) {
            for holder in lock.holders {
                let record = self.authority.client(holder.party.client).expect("memory");
                let record = record.expect("Y1: a holder without a record");
                assert!(record.incarnation >= holder.party.incarnation, "Y1: a session without a record");
            }
        }
    }

    // --- clients -----------------------------------------------------------------------------------------------------

    fn act(&mut self, node: usize, act: impl FnOnce(&mut Node)) {
        if !self.nodes[node].is_frozen {
            act(&mut self.nodes[node]);
            self.settle();
        }
    }

    /// Carries out what clients want, and begins anew with those that have come to an end.
    fn settle(&mut self) {
        for place in 0..self.nodes.len() + self.zombies.len() {
            self.carry_out(place);
        }
        for place in 0..NODES {
            if self.nodes[place].end.is_some() {
                self.nodes[place] = self.node(place as u128);
            }
        }
        self.zombies.retain(|zombie| zombie.end.is_none());
    }

    fn at(&mut self, place: usize) -> &mut Node {
        if place < NODES { &mut self.nodes[place] } else { &mut self.zombies[place - NODES] }
    }

    fn carry_out(&mut self, place: usize) {
        // Bound: a connection that is made asks for one write.
        while !self.at(place).wishes.is_empty() {
            for wish in std::mem::take(&mut self.at(place).wishes) {
                match wish {
                    Wish::Connect => self.connect(place),
                    Wish::Write(bytes) => self.at(place).up.push_back(bytes),
                    Wish::Close => self.abandon(place),
                }
            }
        }
    }

    fn connect(&mut self, place: usize) {
        self.abandon(place);
        self.connections += 1;
        let connection = Connection(self.connections);
        self.input(Input::Opened { connection, principal: Principal::Anonymous, label: String::new() });
        let now = self.now;
        self.at(place).connected(connection, now);
    }

    /// The client hears nothing more of its connection. The server may.
    fn abandon(&mut self, place: usize) {
        let node = self.at(place);
        node.down.clear();
        let up = std::mem::take(&mut node.up);
        if let Some(connection) = node.link.take() {
            self.late.push((connection, up));
        }
    }

    fn client_hears(&mut self, place: usize) {
        let now = self.now;
        let node = self.at(place);
        if node.is_frozen {
            return;
        }
        match node.down.pop_front() {
            None => {}
            Some(Down::Bytes(bytes)) => node.hear(&bytes, now),
            Some(Down::Closed) => node.disconnected(now),
        }
        self.settle();
    }

    // --- the server --------------------------------------------------------------------------------------------------

    fn server_hears(&mut self, place: usize) {
        let node = self.at(place);
        let Some(connection) = node.link else { return };
        if let Some(bytes) = node.up.pop_front() {
            self.frame(connection, &bytes);
        }
    }

    fn server_hears_late(&mut self, which: usize) {
        if self.late.is_empty() {
            return;
        }
        let which = which % self.late.len();
        let (connection, mut bytes) = self.late.swap_remove(which);
        match bytes.pop_front() {
            None => self.input(Input::Closed { connection }),
            Some(first) => {
                self.frame(connection, &first);
                self.late.push((connection, bytes));
            }
        }
    }

    fn frame(&mut self, connection: Connection, bytes: &[u8]) {
        let frame = Frame::decode(bytes).expect("a client writes frames");
        self.input(Input::Heard { connection, frame });
    }

    fn input(&mut self, input: Input<'_>) {
        let mut effects = Vec::new();
        self.server.step(input, self.server_now(), 0, &mut effects);
        self.effects(effects);
    }

    fn flush(&mut self) {
        let mut effects = Vec::new();
        self.server.flush(&mut effects);
        self.effects(effects);
    }

    fn effects(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Write(connection, bytes) => self.to(connection, Down::Bytes(bytes)),
                Effect::Close(connection) => self.to(connection, Down::Closed),
                Effect::Apply(ticket, change) => self.asked.push((ticket, change, None)),
                Effect::Notice(notice) => assert!(is_fair(&notice), "{notice}"),
                Effect::Stop(StopReason::Asked) => {}
                Effect::Stop(reason) => {
                    assert!(matches!(reason, StopReason::Records(_)), "{reason}");
                    return self.server_dies();
                }
            }
        }
    }

    fn to(&mut self, connection: Connection, down: Down) {
        let mut everybody = self.nodes.iter_mut().chain(&mut self.zombies);
        if let Some(node) = everybody.find(|node| node.link == Some(connection)) {
            if matches!(down, Down::Closed) {
                node.up.clear();
            }
            node.down.push_back(down);
        }
    }

    fn make(&mut self, which: usize) {
        if let Some((_, change, made)) = self.asked.get_mut(which)
            && made.is_none()
        {
            *made = Some(self.authority.apply(self.term, change.clone()));
        }
    }

    fn apply(&mut self, which: usize) {
        if self.asked.is_empty() {
            return;
        }
        let which = which % self.asked.len();
        self.make(which);
        let (ticket, _, made) = self.asked.remove(which);
        self.input(Input::Applied { ticket, result: made.expect("it was made just now") });
    }

    fn server_dies(&mut self) {
        let (server, term) = begin(&self.authority, self.server_now());
        self.replace(server, term);
    }

    fn replace(&mut self, server: Server, term: Term) {
        (self.server, self.term) = (server, term);
        self.asked.clear();
        self.late.clear();
        for node in self.nodes.iter_mut().chain(&mut self.zombies) {
            node.up.clear();
            if node.link.is_some() {
                node.down.push_back(Down::Closed);
            }
        }
        self.input(Input::Tick);
    }

    fn hand_over(&mut self) {
        self.input(Input::Stop);
        while !self.asked.is_empty() {
            self.apply(0);
        }
        self.flush();
        let (idle, _) = begin(&MemAuthority::new(), Duration::ZERO);
        let Some(handover) = std::mem::replace(&mut self.server, idle).hand_over() else {
            return self.server_dies();
        };
        let handover = Handover::decode(handover.bytes().to_vec()).expect("as it was");
        let term = campaign(&self.no_faults());
        let records = Records::read(&self.authority).expect("memory");
        let server = Server::taking_over(config(), term, records, &handover, self.server_now());
        self.replace(server.expect("the next term"), term);
    }

    fn no_faults(&self) -> MemAuthority {
        // A fault that nothing has met yet would meet the campaign.
        let _ = self.authority.apply(Term(u64::MAX), Change::SetReady);
        self.authority.clone()
    }

    // --- time --------------------------------------------------------------------------------------------------------

    fn sleep(&mut self, time: Duration) {
        let end = self.now + time;
        // Bound: whoever is woken wants to be woken later.
        for _ in 0..100_000 {
            let next = self.next_tick();
            if next.is_none_or(|next| next > end) {
                self.now = end;
                return;
            }
            self.now = self.now.max(next.unwrap_or_default());
            self.tick();
            self.check();
        }
        panic!("somebody is always due");
    }

    fn next_tick(&self) -> Option<Duration> {
        let drifted = |at: Duration| at * PLAN.drift / (PLAN.drift + 1) + Duration::from_nanos(2);
        let server = self.server.next_tick().map(drifted);
        let everybody = self.nodes.iter().chain(&self.zombies).filter(|node| !node.is_frozen);
        everybody.filter_map(|node| node.session.next_tick()).chain(server).min()
    }

    fn tick(&mut self) {
        let now = self.now;
        for node in self.nodes.iter_mut().chain(&mut self.zombies).filter(|node| !node.is_frozen) {
            node.tick(now);
        }
        self.settle();
        if self.server.next_tick().is_some_and(|next| next <= self.server_now()) {
            self.input(Input::Tick);
        }
        if self.is_quiet {
            self.calm();
        }
    }

    /// Everything that is on its way arrives, as far as its receiver listens.
    fn breathe(&mut self) {
        while !self.asked.is_empty() {
            self.apply(0);
        }
        // Bound: zombies may come to an end meanwhile, and places move.
        for place in (0..NODES + self.zombies.len()).rev() {
            let count = self.at(place).up.len();
            (0..count).for_each(|_| self.server_hears(place));
        }
        self.flush();
        for place in (0..NODES + self.zombies.len()).rev() {
            let count = self.at(place).down.len();
            for _ in 0..count {
                if place < NODES + self.zombies.len() {
                    self.client_hears(place);
                }
            }
        }
    }

    /// And everybody does what it has to.
    fn calm(&mut self) {
        let now = self.now;
        for _ in 0..4 {
            self.breathe();
            for lock in 0..LOCKS {
                (0..NODES).for_each(|node| self.act(node, |it| it.come_down(lock, now)));
                self.zombies.iter_mut().for_each(|zombie| zombie.come_down(lock, now));
            }
            self.settle();
        }
        self.check();
    }

    fn quiet(&mut self) {
        self.is_quiet = true;
        let _ = self.no_faults();
        self.nodes.iter_mut().for_each(|node| node.is_frozen = false);
        self.zombies.clear();
        for _ in 0..60 {
            (0..10).for_each(|_| self.calm());
            self.sleep(Duration::from_secs(3));
        }
    }
}

/// A server that begins, whatever the authority was about to refuse.
fn begin(authority: &MemAuthority, now: Duration) -> (Server, Term) {
    let _ = authority.apply(Term(u64::MAX), Change::SetReady);
    let term = campaign(authority);
    authority.apply(term, Change::BeginGrace).expect("a leader");
    let records = Records::read(authority).expect("memory");
    (Server::new(config(), term, records, now), term)
}

/// Nobody here breaks the protocol, or tells of what it does not have.
fn is_fair(notice: &Notice) -> bool {
    match notice {
        Notice::Expelled { why, .. } => !matches!(why, Expulsion::Offence(_) | Expulsion::NotListed(_)),
        Notice::Lost { .. } | Notice::Mismatch { .. } => false,
        _ => true,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    /// K1, K6, Y1 to Y9, A-22, A-49, A-66, A-71, A-73, A-74, A-93, A-97, A-151, G-03, P-11, P-14, P-15.
    #[test]
    fn whatever_happens_locks_are_safe_and_in_the_end_nobody_waits(choices in choices()) {
        let mut world = World::new();
        for choice in &choices {
            world.choose(choice);
        }
        world.quiet();
        for node in &world.nodes {
            prop_assert!(node.has_session() && !node.is_waiting(), "K6: {:?}, {:?}", node.peers, node.session);
            prop_assert!(node.session.lease().is_valid(world.now));
            prop_assert!(node.end != Some(Standing::Expelled));
        }
    }
}
