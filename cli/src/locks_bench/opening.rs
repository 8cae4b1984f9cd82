//! The end of a recovery: how long a server decides nothing else, because it serves everybody who has waited.

use std::time::{Duration, Instant};

use tidelock_format::{ClientId, GrantSeq, Term, Token};
use tidelock_lock_proto::{Acquire, Change, Held, Mode, ToServer};
use tidelock_lock_server::{Grants, Limits};

use super::ground::range;
use super::row::{Row, Rows};
use crate::error::CliError;

const LOCKS: u64 = 100_000;

pub(super) fn run(time: Duration, rows: &mut Rows) -> Result<(), CliError> {
    for (what, is_held) in [("that others hold", true), ("that nobody holds", false)] {
        let begin = Instant::now();
        let mut times = vec![open(is_held)];
        while begin.elapsed() < time / 2 {
            times.push(open(is_held));
        }
        times.sort();
        let median = times[times.len() / 2];
        let what = format!("{LOCKS} waiters for locks {what}: {:.1} ms for all", median.as_secs_f64() * 1e3);
        let row = Row::new("opening", what).with("waiters", LOCKS);
        rows.add(Row { ns_per_op: Some(median.as_nanos() as f64 / LOCKS as f64), ..row });
    }
    Ok(())
}

/// How long it takes to open, with a waiter for each lock.
fn open(is_held: bool) -> Duration {
    let [holder, waiter] = [1, 2].map(|number| ClientId::new(number).expect("not zero"));
    let mut grants = Grants::recovering(Term(2), Limits::default());
    let mut answers = Vec::new();
    for lock in 0..LOCKS {
        let range = range(lock);
        if is_held {
            let token = Token { term: Term(1), seq: GrantSeq(lock + 1) };
            let held = Held { range, mode: Mode::Write, token };
            grants.restore(holder, held, Duration::ZERO).expect("nobody else had it");
        }
        let change = Change { from: Mode::Null, to: Mode::Write };
        let wanted = ToServer::Acquire(Acquire { range, change });
        grants.step(waiter, wanted, Duration::ZERO, &mut answers).expect("it follows the protocol");
    }
    assert!(answers.is_empty(), "K5: nothing is granted before");
    let begin = Instant::now();
    grants.open(Duration::ZERO, &mut answers);
    let took = begin.elapsed();
    assert_eq!(answers.len() as u64, LOCKS, "each waiter is served, or somebody told to make way for it");
    took
}
