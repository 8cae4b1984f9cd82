//! The server's decisions alone: no bytes, no sockets, one thread.

use std::time::Duration;

use tidelock_format::{ClientId, Term, Token};
use tidelock_lock_proto::{Acquire, Change, Descent, Mode, ToClient, ToServer};
use tidelock_lock_server::{Answer, Grants, Limits};

use super::ground::range;
use super::row::{Row, Rows};
use super::turns::pace;
use crate::error::CliError;

const LOCKS: u64 = 100_000;
/// Has no factor in common with the number of locks, so that neighbours are far from each other.
const STRIDE: u64 = 61_637;

pub(super) fn run(time: Duration, rows: &mut Rows) -> Result<(), CliError> {
    let mut table = Table::new();
    let mut lock = 0;
    (0..LOCKS).for_each(|lock| table.acquire(lock));
    let ns = pace(time, 1000, || {
        lock = (lock + STRIDE) % LOCKS;
        table.release(lock);
        table.acquire(lock);
    });
    // A release and a grant are two steps.
    let steps = 2e9 / ns;
    let row = Row::new("grants", format!("{:.2} million steps a second", steps / 1e6));
    rows.add(
        Row { ns_per_op: Some(ns / 2.0), ..row }
            .goal("at least 1 million", steps >= 1e6)
            .with("steps_per_second", steps),
    );
    Ok(())
}

struct Table {
    client: ClientId,
    grants: Grants,
    tokens: Vec<Token>,
    answers: Vec<Answer>,
}

impl Table {
    fn new() -> Self {
        let client = ClientId::new(1).expect("not zero");
        let grants = Grants::new(Term(1), Limits::default());
        Self { client, grants, tokens: vec![Token::default(); LOCKS as usize], answers: Vec::new() }
    }

    fn step(&mut self, message: ToServer) {
        self.answers.clear();
        let step = self.grants.step(self.client, message, Duration::ZERO, &mut self.answers);
        step.expect("this client follows the protocol");
    }

    fn acquire(&mut self, lock: u64) {
        let change = Change { from: Mode::Null, to: Mode::Write };
        self.step(ToServer::Acquire(Acquire { range: range(lock), change }));
        let Some((_, ToClient::Granted(granted))) = self.answers.first() else {
            unreachable!("nobody else wants it")
        };
        self.tokens[lock as usize] = granted.token;
    }

    fn release(&mut self, lock: u64) {
        let (start, token) = (range(lock).start(), self.tokens[lock as usize]);
        let change = Change { from: Mode::Write, to: Mode::Null };
        self.step(ToServer::Release(Descent { start, token, change }));
    }
}
