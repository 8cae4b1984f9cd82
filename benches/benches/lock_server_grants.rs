//! What does the server's decision cost: granting a lock nobody has, taking it back, letting in a second reader, and making
//! one client give way to another?
//!
//! Only the machine: no messages are encoded, nothing is sent. A step is one message taken in; there are 100 000 locks, and
//! each step concerns another one.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tidelock_format::{ClientId, Key, KeyRange, Term, Token};
use tidelock_lock_proto::{Acquire, Change, Descent, Mode, ToClient, ToServer};
use tidelock_lock_server::{Answer, Grants, Limits, LockView};

const LOCKS: u64 = 100_000;

/// The machine, and the answers to the last step.
struct Table {
    grants: Grants,
    answers: Vec<Answer>,
}

impl Table {
    /// Every lock, held by `holder` as `mode`.
    fn held_by(holder: ClientId, mode: Mode) -> Self {
        let grants = Grants::new(Term(1), Limits::default());
        let mut table = Self { grants, answers: Vec::new() };
        for lock in 0..LOCKS {
            table.acquire(holder, lock, mode);
        }
        table
    }

    /// The tokens of the locks that one client holds.
    fn tokens(&self) -> Vec<Token> {
        let token = |view: LockView<'_>| view.holders().next().expect("it is held").token;
        self.grants.locks_from(Key::MIN).map(token).collect()
    }

    fn step(&mut self, client: ClientId, message: ToServer) -> &[Answer] {
        self.answers.clear();
        let now = Duration::ZERO;
        self.grants
            .step(client, message, now, &mut self.answers)
            .expect("a client that follows the protocol");
        black_box(&self.answers)
    }

    /// The grant, or what has to happen first.
    fn acquire(&mut self, client: ClientId, lock: u64, mode: Mode) -> ToClient {
        let start = Key::from_u64(lock << 10);
        let range = KeyRange::new(start, Key::from_u64((lock << 10) + 1023)).expect("in order");
        let change = Change { from: Mode::Null, to: mode };
        let [(_, answer)] = self.step(client, ToServer::Acquire(Acquire { range, change })) else {
            panic!("one answer to one want")
        };
        answer.clone()
    }

    /// The token of a lock that is free for `client`.
    fn grant(&mut self, client: ClientId, lock: u64, mode: Mode) -> Token {
        let ToClient::Granted(granted) = self.acquire(client, lock, mode) else { panic!("it is free") };
        granted.token
    }

    fn release(&mut self, client: ClientId, lock: u64, mode: Mode, token: Token) {
        let (start, change) = (Key::from_u64(lock << 10), Change { from: mode, to: Mode::Null });
        self.step(client, ToServer::Release(Descent { start, token, change }));
    }
}

/// The locks in an order in which neighbours are far from each other.
fn scattered() -> impl Iterator<Item = u64> {
    (0..LOCKS).map(|i| i * 61_637 % LOCKS)
}

fn grants(criterion: &mut Criterion) {
    let [holder, other] = [1, 2].map(|bits| ClientId::new(bits).expect("not zero"));
    let mut group = criterion.benchmark_group("lock_server_grants");
    group.sample_size(10);

    group.throughput(Throughput::Elements(2 * LOCKS));
    group.bench_function("release and grant", |bencher| {
        let mut table = Table::held_by(holder, Mode::Write);
        let mut tokens = table.tokens();
        bencher.iter(|| {
            for lock in scattered() {
                let token = &mut tokens[lock as usize];
                table.release(holder, lock, Mode::Write, *token);
                *token = table.grant(holder, lock, Mode::Write);
            }
        });
    });

    group.bench_function("release all and grant all", |bencher| {
        let mut table = Table::held_by(holder, Mode::Write);
        let mut tokens = table.tokens();
        bencher.iter(|| {
            for lock in scattered() {
                table.release(holder, lock, Mode::Write, tokens[lock as usize]);
            }
            for lock in scattered() {
                tokens[lock as usize] = table.grant(holder, lock, Mode::Write);
            }
        });
    });

    group.bench_function("a second reader comes and goes", |bencher| {
        let mut table = Table::held_by(holder, Mode::Read);
        bencher.iter(|| {
            for lock in scattered() {
                let token = table.grant(other, lock, Mode::Read);
                table.release(other, lock, Mode::Read, token);
            }
        });
    });

    group.bench_function("revoke, cede and grant", |bencher| {
        let mut table = Table::held_by(holder, Mode::Write);
        let (mut from, mut to) = (holder, other);
        bencher.iter(|| {
            for lock in scattered() {
                let ToClient::Revoke(descent) = table.acquire(to, lock, Mode::Write) else {
                    panic!("it is held")
                };
                table.step(from, ToServer::Ceded(descent));
            }
            (from, to) = (to, from);
        });
    });
    group.finish();
}

criterion_group!(benches, grants);
criterion_main!(benches);
