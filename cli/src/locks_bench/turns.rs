//! Two things taking turns, so that both meet the same machine.

use std::time::{Duration, Instant};

/// Turns that each of two has.
const TURNS: u32 = 15;

/// What taking turns came to: nanoseconds an operation, and how many times the other's each turn took.
#[derive(Clone, Debug)]
pub(super) struct Duel {
    pub(super) ours_ns: f64,
    pub(super) theirs_ns: f64,
    /// Ours over theirs: median, least, greatest.
    pub(super) ratio: [f64; 3],
}

/// Has `ours` and `theirs` take turns. Each is told for how long to work, and tells how many nanoseconds an operation took.
pub(super) fn duel(
    time: Duration,
    mut ours: impl FnMut(Duration) -> f64,
    mut theirs: impl FnMut(Duration) -> f64,
) -> Duel {
    let turn = time / (2 * TURNS);
    // One of each for nothing: caches, clocks, page tables.
    ours(turn);
    theirs(turn);
    let turns: Vec<(f64, f64)> = (0..TURNS)
        .map(|number| {
            if number % 2 == 0 {
                let mine = ours(turn);
                (mine, theirs(turn))
            } else {
                let other = theirs(turn);
                (ours(turn), other)
            }
        })
        .collect();
    let ratios = sorted(turns.iter().map(|(ours, theirs)| ours / theirs));
    Duel {
        ours_ns: median(&sorted(turns.iter().map(|turn| turn.0))),
        theirs_ns: median(&sorted(turns.iter().map(|turn| turn.1))),
        ratio: [median(&ratios), ratios[0], ratios[ratios.len() - 1]],
    }
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

fn median(sorted: &[f64]) -> f64 {
    sorted[sorted.len() / 2]
}

/// Repeats `operation` for this long, looking at the clock once for `batch` of them: nanoseconds for one.
pub(super) fn pace(time: Duration, batch: u64, mut operation: impl FnMut()) -> f64 {
    let begin = Instant::now();
    let mut count = 0;
    loop {
        (0..batch).for_each(|_| operation());
        count += batch;
        let elapsed = begin.elapsed();
        if elapsed >= time {
            return elapsed.as_nanos() as f64 / count as f64;
        }
    }
}

/// The same by two threads at a time, each with an operation of its own: nanoseconds for one operation of one thread.
pub(super) fn pace_of_two<F: FnMut() + Send>(time: Duration, batch: u64, operations: [F; 2]) -> f64 {
    let paces = std::thread::scope(|scope| {
        operations
            .map(|operation| scope.spawn(move || pace(time, batch, operation)))
            .map(|thread| thread.join().expect("a measurement does not panic"))
    });
    (paces[0] + paces[1]) / 2.0
}
