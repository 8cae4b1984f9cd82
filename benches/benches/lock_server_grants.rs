//! What does the server's decision cost: granting a lock nobody has, taking it back, and making one client give way to another?
//!
//! Only the machine: no messages are encoded, nothing is sent. A step is one message taken in; there are 100 000 locks, and
//! each step concerns another one.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tidelock_format::{ClientId, Key, KeyRange, Term};
use tidelock_lock_proto::{Acquire, Change, Descent, Mode, ToClient, ToServer};
use tidelock_lock_server::{Answer, Grants, Limits};

const LOCKS: u64 = 100_000;

/// The machine, and the answers to the last step.
struct Table {
    grants: Grants,
    answers: Vec<Answer>,
}

impl Table {
    /// Every lock, held by `holder` for writing.
    fn held_by(holder: ClientId) -> Self {
        let grants = Grants::new(Term(1), Limits::default());
        let mut table = Self { grants, answers: Vec::new() };
        for lock in 0..LOCKS {
            table.acquire(holder, lock);
        }
        table
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
    fn acquire(&mut self, client: ClientId, lock: u64) -> ToClient {
        let start = Key::from_u64(lock << 10);
        let range = KeyRange::new(start, Key::from_u64((lock << 10) + 1023)).expect("in order");
        let change = Change { from: Mode::Null, to: Mode::Write };
        let [(_, answer)] = self.step(client, ToServer::Acquire(Acquire { range, change })) else {
            panic!("one answer to one want")
        };
        answer.clone()
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
        let mut table = Table::held_by(holder);
        let mut tokens = vec![Default::default(); LOCKS as usize];
        for view in table.grants.locks_from(Key::MIN).enumerate() {
            tokens[view.0] = view.1.holders().next().expect("it is held").token;
        }
        bencher.iter(|| {
            for lock in scattered() {
                let change = Change { from: Mode::Write, to: Mode::Null };
                let token = tokens[lock as usize];
                let start = Key::from_u64(lock << 10);
                table.step(holder, ToServer::Release(Descent { start, token, change }));
                let ToClient::Granted(granted) = table.acquire(holder, lock) else { panic!("it is free") };
                tokens[lock as usize] = granted.token;
            }
        });
    });

    group.bench_function("revoke, cede and grant", |bencher| {
        let mut table = Table::held_by(holder);
        let (mut from, mut to) = (holder, other);
        bencher.iter(|| {
            for lock in scattered() {
                let ToClient::Revoke(descent) = table.acquire(to, lock) else { panic!("it is held") };
                table.step(from, ToServer::Ceded(descent));
            }
            (from, to) = (to, from);
        });
    });
    group.finish();
}

criterion_group!(benches, grants);
criterion_main!(benches);
