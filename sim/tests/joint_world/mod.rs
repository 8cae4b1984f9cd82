//! One lock, a few clients, one server at a time.

mod place;

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::time::Duration;

use tidelock_format::{ClientId, Key, KeyRange, Term, Token};
use tidelock_lock_proto::{Acquire, Holder, Mode, ToClient, ToServer};
use tidelock_lock_server::{Answer, Grants, Limits};

use self::place::{Place, Up};

const NOW: Duration = Duration::ZERO;

/// The lock.
pub(crate) const RANGE: KeyRange = KeyRange::of(Key::from_u64(7));

/// How far to go.
#[derive(Clone, Copy)]
pub(crate) struct Bound {
    /// For each client, how often it may begin something by itself.
    pub(crate) whims: &'static [u8],
    /// Clients that may die.
    pub(crate) deaths: u8,
    /// Clients that may shut down and say farewell.
    pub(crate) farewells: u8,
    /// Servers that may be replaced.
    pub(crate) switches: u8,
}

/// Something that may happen next, to the client with this number.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    /// A user takes the lock, or begins to wait for it.
    Take(usize, Mode),
    /// A user who has it takes it once more.
    Again(usize),
    /// A user lets it go.
    LetGo(usize, Mode),
    /// A user waits no longer.
    Cancel(usize),
    /// The client gives it back.
    GiveBack(usize),
    /// Caches have been dropped.
    Invalidated(usize),
    /// The client takes no locks any more.
    Close(usize),
    /// It says farewell.
    Farewell(usize),
    HearServer(usize),
    HearClient(usize),
    Die(usize),
    /// The server finds out that it is dead, and takes back what it had.
    Depart(usize),
    Switch,
    /// The client has found the new server.
    Recover(usize),
}

/// Everything.
#[derive(Clone)]
pub(crate) struct World {
    server: Grants,
    term: Term,
    places: Vec<Place>,
    deaths: u8,
    farewells: u8,
    switches: u8,
    newest: Token,
}

fn client(place: usize) -> ClientId {
    ClientId::new(place as u128 + 1).expect("not zero")
}

impl World {
    pub(crate) fn new(bound: Bound) -> Self {
        let Bound { whims, deaths, farewells, switches } = bound;
        let term = Term(1);
        Self {
            server: Grants::new(term, Limits::default()),
            term,
            places: whims.iter().map(|whims| Place::new(*whims, term)).collect(),
            deaths,
            farewells,
            switches,
            newest: Token::default(),
        }
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        for (i, place) in self.places.iter().enumerate() {
            place.events(i, &mut events);
            if place.is_alive {
                events.extend((self.deaths > 0).then_some(Event::Die(i)));
                events.extend((self.farewells > 0 && !place.is_closed).then_some(Event::Close(i)));
            }
        }
        events.extend((self.switches > 0).then_some(Event::Switch));
        events
    }

    pub(crate) fn happen(&mut self, event: Event) {
        let mut answers = Vec::new();
        match event {
            Event::Take(i, mode) => self.places[i].take(mode),
            Event::Again(i) => self.places[i].again(),
            Event::LetGo(i, mode) => self.places[i].let_go(mode),
            Event::Cancel(i) => self.places[i].cancel(),
            Event::GiveBack(i) => self.places[i].give_back(),
            Event::Invalidated(i) => self.places[i].invalidated(),
            Event::Close(i) => {
                self.farewells -= 1;
                self.places[i].close();
            }
            Event::Farewell(i) => self.places[i].say_farewell(),
            Event::HearServer(i) => self.places[i].hear(),
            Event::HearClient(i) => self.hear_client(i, &mut answers),
            Event::Die(i) => {
                self.deaths -= 1;
                self.places[i].die();
            }
            Event::Depart(i) => self.depart(i, &mut answers),
            Event::Switch => self.switch(),
            Event::Recover(i) => self.places[i].recover(self.term),
        }
        self.send(answers);
    }

    fn hear_client(&mut self, i: usize, answers: &mut Vec<Answer>) {
        let up = self.places[i].to_server.pop_front().expect("something is on its way");
        if !self.places[i].has_record {
            // As sessions do: from who has said farewell nothing is taken any more.
            return;
        }
        match up {
            Up::Say(ToServer::Snapshot(part)) => {
                for held in part.held {
                    self.server
                        .restore(client(i), held, NOW)
                        .expect("Z-5: clients held nothing incompatible");
                }
                assert!(part.is_last, "one lock fits one part");
                self.places[i].is_missing = false;
                for acquire in part.wanted {
                    self.acquire(i, acquire, answers);
                }
                self.open_if_all_are_heard(answers);
            }
            Up::Say(message) => {
                self.server
                    .step(client(i), message, NOW, answers)
                    .expect("Z-15: clients follow the protocol");
            }
            Up::Farewell => self.depart(i, answers),
        }
    }

    fn acquire(&mut self, i: usize, acquire: Acquire, answers: &mut Vec<Answer>) {
        let message = ToServer::Acquire(acquire);
        self.server.step(client(i), message, NOW, answers).expect("a want offends nobody");
    }

    /// Nothing of the client is left, and then it has no record.
    fn depart(&mut self, i: usize, answers: &mut Vec<Answer>) {
        let place = &mut self.places[i];
        (place.is_missing, place.has_record) = (false, false);
        assert!(self.server.depart(client(i), usize::MAX, NOW, answers));
        self.open_if_all_are_heard(answers);
    }

    fn open_if_all_are_heard(&mut self, answers: &mut Vec<Answer>) {
        if !self.server.is_open() && !self.places.iter().any(|place| place.is_missing) {
            self.server.open(NOW, answers);
        }
    }

    /// Another server takes over. Everything that was on its way is lost.
    fn switch(&mut self) {
        self.switches -= 1;
        self.term = self.term.next();
        self.server = Grants::recovering(self.term, Limits::default());
        self.places.iter_mut().for_each(Place::lose_server);
        let mut answers = Vec::new();
        self.open_if_all_are_heard(&mut answers);
        assert!(answers.is_empty(), "nobody has asked for anything");
    }

    fn send(&mut self, answers: Vec<Answer>) {
        for (to, message) in answers {
            let to = to.bits() as usize - 1;
            if let ToClient::Granted(granted) = &message {
                assert!(granted.token > self.newest, "Z-13: {} after {}", granted.token, self.newest);
                self.newest = granted.token;
                self.check_grant(to, granted.change.to);
            }
            let place = &mut self.places[to];
            if place.is_alive && !place.has_left {
                place.to_client.push_back(message);
            }
        }
    }

    /// Z-2, Z-5.
    fn check_grant(&self, to: usize, mode: Mode) {
        let is_missing = self.places.iter().any(|place| place.is_missing);
        assert!(!is_missing, "Z-5: granted while somebody is missing");
        for (i, place) in self.places.iter().enumerate().filter(|(i, _)| *i != to) {
            let believed = place.believes();
            assert!(
                believed.is_compatible(Holder::Another, mode),
                "Z-2: {mode} granted, and {i} has {believed}"
            );
        }
    }

    pub(crate) fn check(&self) {
        self.server.check();
        for (i, place) in self.places.iter().enumerate() {
            place.check();
            assert!(
                place.has_record || self.server.share(client(i)) == 0,
                "Z-6, Z-7: {i} has locks, no record"
            );
            for (j, other) in self.places.iter().enumerate().skip(i + 1) {
                let (one, another) = (place.believes(), other.believes());
                assert!(one.is_compatible(Holder::Another, another), "Z-1: {i} has {one}, {j} {another}");
            }
        }
        if self.places.iter().all(Place::is_quiet) {
            assert!(self.places.iter().all(|place| !place.waits()), "Z-8, Z-9: somebody waits for nothing");
        }
    }

    /// What tells two states apart. 64 bits, twice, of different beginnings: states are too many to keep.
    pub(crate) fn fingerprint(&self) -> (u64, u64) {
        let digest = |salt: u8| {
            let mut hasher = DefaultHasher::new();
            let Self { server, term, places, deaths, farewells, switches, newest } = self;
            (salt, server, term, places, deaths, farewells, switches, newest).hash(&mut hasher);
            hasher.finish()
        };
        (digest(0), digest(1))
    }
}
