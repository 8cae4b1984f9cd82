//! What does a lock server cost beside its decisions: from the frame with which a client asks for a lock to the bytes that
//! grant it?
//!
//! The table alone, and the whole server, do the same: give a lock back and take it again, 100 000 locks in an order in which
//! neighbours are far from each other. The server takes frames in, flushes after every burst, and its bytes are thrown away;
//! a burst is one pair of messages, or 32.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tidelock_authority::{Authority, Campaign, Candidate, MemAuthority, Seat};
use tidelock_format::{ClientId, Fsid, GrantSeq, Incarnation, Key, KeyRange, Term, Token};
use tidelock_lock_proto::{Acquire, Change, Descent, Envelope, Mode, ToServer};
use tidelock_lock_server::{
    Answer, Connection, Effect, Grants, Input, Limits, Records, Server, ServerConfig,
};
use tidelock_net::{Frame, Hello, Number, Principal};

const LOCKS: u64 = 100_000;
const NOW: Duration = Duration::ZERO;
const SERVICE: Fsid = Fsid(1);
const CONNECTION: Connection = Connection(1);

fn scattered() -> impl Iterator<Item = u64> {
    (0..LOCKS).map(|i| i * 61_637 % LOCKS)
}

fn acquire(lock: u64) -> ToServer {
    let range = KeyRange::new(Key::from_u64(lock << 10), Key::from_u64((lock << 10) + 1023));
    let change = Change { from: Mode::Null, to: Mode::Write };
    ToServer::Acquire(Acquire { range: range.expect("in order"), change })
}

fn release(lock: u64, token: Token) -> ToServer {
    let change = Change { from: Mode::Write, to: Mode::Null };
    ToServer::Release(Descent { start: Key::from_u64(lock << 10), token, change })
}

/// A grant's token: they are given out one after the other.
fn token(count: u64) -> Token {
    Token { term: Term(1), seq: GrantSeq(count) }
}

/// The table of grants, and nothing else.
struct Table {
    grants: Grants,
    answers: Vec<Answer>,
    count: u64,
    tokens: Vec<Token>,
}

impl Table {
    fn full() -> Self {
        let grants = Grants::new(Term(1), Limits::default());
        let tokens = vec![Token::default(); LOCKS as usize];
        let mut table = Self { grants, answers: Vec::new(), count: 0, tokens };
        (0..LOCKS).for_each(|lock| table.take(lock));
        table
    }

    fn step(&mut self, message: ToServer) {
        let client = ClientId::new(1).expect("not zero");
        self.answers.clear();
        self.grants
            .step(client, message, NOW, &mut self.answers)
            .expect("a client that follows the protocol");
        black_box(&self.answers);
    }

    fn take(&mut self, lock: u64) {
        self.step(acquire(lock));
        self.count += 1;
        self.tokens[lock as usize] = token(self.count);
    }

    fn turn(&mut self, lock: u64) {
        self.step(release(lock, self.tokens[lock as usize]));
        self.take(lock);
    }
}

/// A server with one client.
struct Whole {
    server: Server,
    effects: Vec<Effect>,
    sent: u64,
    done: u64,
    count: u64,
    tokens: Vec<Token>,
    content: Vec<u8>,
}

impl Whole {
    fn new() -> Self {
        let authority = MemAuthority::new();
        let Ok(Campaign::Won(leader)) = authority.campaign(&Candidate::new("a", "here")) else {
            panic!("nobody else leads")
        };
        leader.begin_grace().expect("memory");
        let records = Records::read(&authority).expect("memory");
        let mut whole = Self {
            server: Server::new(ServerConfig::new(SERVICE), leader.term(), records, NOW),
            effects: Vec::new(),
            sent: 0,
            done: 0,
            count: 0,
            tokens: vec![Token::default(); LOCKS as usize],
            content: Vec::new(),
        };
        whole.input(Input::Tick);
        whole.apply_all(&authority, leader.term());
        whole.greet();
        whole.apply_all(&authority, leader.term());
        for lock in 0..LOCKS {
            whole.take(lock);
            whole.flush();
        }
        whole
    }

    fn greet(&mut self) {
        let label = String::new();
        self.input(Input::Opened { connection: CONNECTION, principal: Principal::Anonymous, label });
        let hello = Hello {
            versions: (1, 1),
            service: SERVICE,
            instance: 1,
            incarnation: Incarnation(0),
            term: Term(0),
            is_leaving: false,
        };
        self.input(Input::Heard {
            connection: CONNECTION,
            frame: Frame::Hello { hello, done: Number(0), attempt: 1 },
        });
    }

    fn apply_all(&mut self, authority: &MemAuthority, term: Term) {
        while let Some(place) = self.effects.iter().position(|effect| matches!(effect, Effect::Apply(..))) {
            let Effect::Apply(ticket, change) = self.effects.swap_remove(place) else { unreachable!() };
            let result = authority.apply(term, change);
            self.input(Input::Applied { ticket, result });
        }
        self.flush();
    }

    fn input(&mut self, input: Input<'_>) {
        self.server.step(input, NOW, 0, &mut self.effects);
    }

    fn flush(&mut self) {
        self.server.flush(&mut self.effects);
        black_box(&self.effects);
        self.effects.clear();
        self.done = self.count;
    }

    fn say(&mut self, message: &ToServer) {
        self.sent += 1;
        let mut content = std::mem::take(&mut self.content);
        content.clear();
        let envelope = Envelope { incarnation: Incarnation(1), term: Term(1), ..Envelope::default() };
        message.encode(envelope, &mut content);
        let frame = Frame::Message { number: Number(self.sent), done: Number(self.done), content: &content };
        self.input(Input::Heard { connection: CONNECTION, frame });
        self.content = content;
    }

    fn take(&mut self, lock: u64) {
        self.say(&acquire(lock));
        self.count += 1;
        self.tokens[lock as usize] = token(self.count);
    }

    fn turn(&mut self, lock: u64) {
        let message = release(lock, self.tokens[lock as usize]);
        self.say(&message);
        self.take(lock);
    }

    fn granted(&self) -> u64 {
        self.server.counters().messages_told
    }
}

fn service(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("lock_server_service");
    group.sample_size(10);
    group.throughput(Throughput::Elements(2 * LOCKS));

    group.bench_function("the table alone", |bencher| {
        let mut table = Table::full();
        bencher.iter(|| scattered().for_each(|lock| table.turn(lock)));
    });
    for burst in [1, 32] {
        group.bench_function(format!("the server, bursts of {burst}"), |bencher| {
            let mut whole = Whole::new();
            bencher.iter(|| {
                for (n, lock) in scattered().enumerate() {
                    whole.turn(lock);
                    if n % burst == burst - 1 {
                        whole.flush();
                    }
                }
                whole.flush();
            });
            assert_eq!(whole.granted(), whole.count, "every want was granted");
        });
    }
    group.finish();
}

criterion_group!(benches, service);
criterion_main!(benches);
