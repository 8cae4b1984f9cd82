//! Every order of events, up to a bound: one lock, a few clients, messages that take as long as they like, a client that
//! dies, a server that is replaced.
//!
//! In each state the server's own invariants hold, no two clients *believe* that they hold incompatible modes (K1), and
//! tokens rise over all terms (K7). Where nothing is on its way any more, nobody waits (K6, A-5, A-6). No client that
//! follows the protocol is refused or accused.

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashSet, VecDeque};
use std::hash::{Hash, Hasher};
use std::time::Duration;

use tidelock_format::{ClientId, Key, KeyRange, Term, Token};
use tidelock_lock_proto::{Holder, Mode, ToClient, ToServer};

use super::peer::Peer;
use crate::grants::{Answer, Grants, Limits};

const NOW: Duration = Duration::ZERO;

/// How far to go.
#[derive(Clone, Copy)]
struct Bound {
    /// For each client, how often it may ask for something or give something back by itself.
    whims: &'static [u8],
    /// Clients that may die.
    deaths: u8,
    /// Servers that may be replaced.
    switches: u8,
}

/// A client and what is on its way to it and from it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Place {
    /// None once it is dead.
    peer: Option<Peer>,
    /// Dead, and the server does not know yet.
    is_missing: bool,
    /// Has not told the present server what it held.
    owes_snapshot: bool,
    to_server: VecDeque<ToServer>,
    to_client: VecDeque<ToClient>,
}

#[derive(Clone)]
struct World {
    server: Grants,
    places: Vec<Place>,
    deaths: u8,
    switches: u8,
    /// The greatest token granted so far.
    newest: Token,
}

/// Something that may happen next, to the client with this number.
#[derive(Clone, Copy, Debug)]
enum Event {
    Ask(usize, Mode),
    Leave(usize, Mode),
    ComeDown(usize),
    HearServer(usize),
    HearClient(usize),
    Die(usize),
    Depart(usize),
    Switch,
    Recover(usize),
}

fn client(place: usize) -> ClientId {
    ClientId::new(place as u128 + 1).expect("not zero")
}

impl World {
    fn new(bound: Bound) -> Self {
        let range = KeyRange::of(Key::from_u64(7));
        let place = |whims: &u8| Place {
            peer: Some(Peer::new(range, *whims)),
            is_missing: false,
            owes_snapshot: false,
            to_server: VecDeque::new(),
            to_client: VecDeque::new(),
        };
        Self {
            server: Grants::new(Term(1), Limits::default()),
            places: bound.whims.iter().map(place).collect(),
            deaths: bound.deaths,
            switches: bound.switches,
            newest: Token::default(),
        }
    }

    fn term(&self) -> Term {
        self.server.clerk.term
    }

    fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        for (i, place) in self.places.iter().enumerate() {
            if let Some(peer) = &place.peer {
                if place.owes_snapshot {
                    events.push(Event::Recover(i));
                } else {
                    events.extend(peer.wishes(self.term()).into_iter().map(|mode| Event::Ask(i, mode)));
                    events.extend(peer.leaves().into_iter().map(|mode| Event::Leave(i, mode)));
                }
                events.extend(peer.is_descending().then_some(Event::ComeDown(i)));
                events.extend((self.deaths > 0).then_some(Event::Die(i)));
            }
            events.extend((!place.to_client.is_empty()).then_some(Event::HearServer(i)));
            events.extend((!place.to_server.is_empty()).then_some(Event::HearClient(i)));
            events.extend(place.is_missing.then_some(Event::Depart(i)));
        }
        events.extend((self.switches > 0).then_some(Event::Switch));
        events
    }

    fn peer(&mut self, i: usize) -> &mut Peer {
        self.places[i].peer.as_mut().expect("a living client")
    }

    fn happen(&mut self, event: Event) {
        let term = self.term();
        let mut answers = Vec::new();
        match event {
            Event::Ask(i, mode) => {
                let message = self.peer(i).ask(mode);
                self.places[i].to_server.push_back(message);
            }
            Event::Leave(i, mode) => {
                let message = self.peer(i).leave(mode);
                self.places[i].to_server.push_back(message);
            }
            Event::ComeDown(i) => {
                let messages = self.peer(i).come_down(term);
                let place = &mut self.places[i];
                // Who has no session yet says it with the snapshot.
                if !place.owes_snapshot {
                    place.to_server.extend(messages);
                }
            }
            Event::HearServer(i) => {
                let message = self.places[i].to_client.pop_front().expect("something is on its way");
                let answer = self.peer(i).hear(term, message);
                self.places[i].to_server.extend(answer);
            }
            Event::HearClient(i) => {
                let message = self.places[i].to_server.pop_front().expect("something is on its way");
                self.server.step(client(i), message, NOW, &mut answers).expect("clients follow the protocol");
            }
            Event::Die(i) => {
                self.deaths -= 1;
                let place = &mut self.places[i];
                (place.peer, place.is_missing, place.owes_snapshot) = (None, true, false);
                place.to_server.clear();
                place.to_client.clear();
            }
            Event::Depart(i) => {
                self.places[i].is_missing = false;
                assert!(self.server.depart(client(i), usize::MAX, NOW, &mut answers));
                self.open_if_all_are_heard(&mut answers);
            }
            Event::Switch => self.switch(),
            Event::Recover(i) => self.recover(i, &mut answers),
        }
        self.send(answers);
    }

    /// Another server takes over. Everything that was on its way is lost.
    fn switch(&mut self) {
        self.switches -= 1;
        self.server = Grants::recovering(self.term().next(), Limits::default());
        for place in &mut self.places {
            place.to_server.clear();
            place.to_client.clear();
            place.owes_snapshot = place.peer.is_some();
        }
    }

    /// A client tells the new server what it held and wants.
    fn recover(&mut self, i: usize, answers: &mut Vec<Answer>) {
        let place = &mut self.places[i];
        place.owes_snapshot = false;
        let peer = place.peer.as_mut().expect("the dead owe nothing");
        if let Some(held) = peer.snapshot() {
            self.server.restore(client(i), held, NOW).expect("clients held nothing incompatible");
        }
        place.to_server.extend(peer.ask_again(self.server.clerk.term));
        self.open_if_all_are_heard(answers);
    }

    /// Ends the recovery when every client that was known has told what it held, or is gone.
    fn open_if_all_are_heard(&mut self, answers: &mut Vec<Answer>) {
        let is_awaited = |place: &Place| place.owes_snapshot || place.is_missing;
        if !self.server.is_open() && !self.places.iter().any(is_awaited) {
            self.server.open(NOW, answers);
        }
    }

    fn send(&mut self, answers: Vec<Answer>) {
        for (to, message) in answers {
            if let ToClient::Granted(granted) = &message {
                assert!(granted.token > self.newest, "K7: {} after {}", granted.token, self.newest);
                self.newest = granted.token;
            }
            let place = &mut self.places[to.bits() as usize - 1];
            if place.peer.is_some() {
                place.to_client.push_back(message);
            }
        }
    }

    fn check(&self) {
        self.server.check();
        assert!(self.server.is_open() || self.newest.term < self.term(), "K5: granted while it recovers");
        let peers: Vec<&Peer> = self.places.iter().filter_map(|place| place.peer.as_ref()).collect();
        for (i, peer) in peers.iter().enumerate() {
            for other in &peers[i + 1..] {
                assert!(
                    peer.held.is_compatible(Holder::Another, other.held),
                    "K1: one believes {}, another {}",
                    peer.held,
                    other.held
                );
            }
        }
        if self.is_quiet() {
            assert!(peers.iter().all(|peer| peer.wanted.is_none()), "K6: somebody waits for nothing");
        }
    }

    /// Whether nothing happens any more unless somebody begins something new.
    fn is_quiet(&self) -> bool {
        self.places.iter().all(|place| {
            let is_descending = place.peer.as_ref().is_some_and(Peer::is_descending);
            let is_awaited = is_descending || place.is_missing || place.owes_snapshot;
            place.to_server.is_empty() && place.to_client.is_empty() && !is_awaited
        })
    }

    /// What tells two states apart. 64 bits, twice, of different beginnings: states are too many to keep.
    fn fingerprint(&self) -> (u64, u64) {
        let digest = |salt: u8| {
            let mut hasher = DefaultHasher::new();
            salt.hash(&mut hasher);
            let Self { server, places, deaths, switches, newest } = self;
            (server.clerk, &server.locks).hash(&mut hasher);
            (places, deaths, switches, newest).hash(&mut hasher);
            hasher.finish()
        };
        (digest(0), digest(1))
    }
}

/// Goes through every order of events. Returns how many states there are.
fn explore(bound: Bound) -> usize {
    let mut seen = HashSet::new();
    let mut waiting = vec![(World::new(bound), Vec::<Event>::new())];
    while let Some((world, path)) = waiting.pop() {
        for event in world.events() {
            let mut next = world.clone();
            let mut path = path.clone();
            path.push(event);
            let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                next.happen(event);
                next.check();
            }));
            assert!(checked.is_ok(), "after {path:?}");
            if seen.insert(next.fingerprint()) {
                waiting.push((next, path));
            }
        }
    }
    seen.len()
}

///
#[test]
fn no_order_of_events_of_three_clients_breaks_an_invariant() {
    let states = explore(Bound { whims: &[2, 2, 2], deaths: 0, switches: 0 });
    println!("{states} states");
    assert!(states > 10_000, "the bound is so small that it shows nothing: {states} states");
}

///
#[test]
fn a_client_that_dies_at_any_moment_breaks_nothing() {
    let states = explore(Bound { whims: &[2, 2, 1], deaths: 1, switches: 0 });
    println!("{states} states");
    assert!(states > 1_000, "{states} states");
}

/// whatever was on its way or being invalidated when the server was replaced.
#[test]
fn a_server_that_is_replaced_at_any_moment_breaks_nothing() {
    let states = explore(Bound { whims: &[3, 3], deaths: 0, switches: 1 });
    println!("{states} states");
    assert!(states > 10_000, "{states} states");
}

#[test]
fn a_death_and_two_new_servers_break_nothing() {
    let states = explore(Bound { whims: &[2, 2], deaths: 1, switches: 2 });
    println!("{states} states");
    assert!(states > 10_000, "{states} states");
}
