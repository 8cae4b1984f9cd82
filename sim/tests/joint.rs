//! Every order of events, up to a bound: the client's real machine [`Holdings`] and the server's real machine [`Grants`]
//! together, with users that are as simple as they can be, messages that take as long as they like, a client that dies, one that
//! says farewell, and a server that is replaced.
//!
//! In each state both machines' own invariants hold, and what Z-1 to Z-3, Z-5 to Z-9, Z-11 and Z-13 say. Messages of a
//! session keep their order (Z-4), as `net` sees to. Where nothing is on its way any more and nobody uses anything, nobody
//! waits. No question is refused, and nobody is accused.

mod joint_world;

use std::collections::HashSet;
use std::time::Instant;

use joint_world::{Bound, Event, World};

/// Goes through every order of events. Returns how many states there are.
fn explore(what: &str, bound: Bound) -> usize {
    let began = Instant::now();
    let mut seen = HashSet::new();
    // Events by which states were reached, each with the place of the one before.
    let mut steps: Vec<(usize, Event)> = Vec::new();
    let mut waiting = vec![(World::new(bound), usize::MAX)];
    while let Some((world, last)) = waiting.pop() {
        for event in world.events() {
            let mut next = world.clone();
            let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                next.happen(event);
                next.check();
            }));
            if checked.is_err() {
                panic!("after {:?}, {event:?}", path(&steps, last));
            }
            if seen.insert(next.fingerprint()) {
                steps.push((last, event));
                waiting.push((next, steps.len() - 1));
            }
        }
    }
    println!("{what}: {} states in {:.1} s", seen.len(), began.elapsed().as_secs_f64());
    seen.len()
}

fn path(steps: &[(usize, Event)], last: usize) -> Vec<Event> {
    let mut path: Vec<Event> =
        std::iter::successors(steps.get(last), |(before, _)| steps.get(*before)).map(|(_, it)| *it).collect();
    path.reverse();
    path
}

/// three clients, and a server that is replaced, a client that dies,
/// or one that leaves, at any moment.
#[test]
fn three_clients_and_one_misfortune_break_nothing() {
    let bound = Bound { whims: &[1, 1, 1], deaths: 0, farewells: 0, switches: 0 };
    let states = explore("three clients, a switch", Bound { switches: 1, ..bound });
    assert!(states > 10_000, "the bound is so small that it shows nothing: {states} states");
    explore("three clients, a death", Bound { deaths: 1, ..bound });
    explore("three clients, a farewell", Bound { farewells: 1, ..bound });
}

/// three clients alone, with more that they may do: cancel, take a lock again while it is called back, give it back.
#[test]
fn three_clients_that_may_do_more_break_nothing() {
    let states = explore(
        "three clients, one of them with two whims",
        Bound { whims: &[2, 1, 1], deaths: 0, farewells: 0, switches: 0 },
    );
    assert!(states > 10_000, "{states} states");
}

/// Two clients, each of which may do more, and everything that can go wrong once.
#[test]
fn two_clients_with_every_misfortune_break_nothing() {
    let states = explore(
        "two clients, a switch, a death, a farewell",
        Bound { whims: &[2, 1], deaths: 1, farewells: 1, switches: 1 },
    );
    assert!(states > 10_000, "{states} states");
}

/// Two servers that are replaced, one after the other, while locks come down for the first.
#[test]
fn two_new_servers_break_nothing() {
    let states =
        explore("two clients, two switches", Bound { whims: &[2, 1], deaths: 0, farewells: 0, switches: 2 });
    assert!(states > 10_000, "{states} states");
}

/// The larger bound, for `cargo xtask sim --long`.
#[test]
fn larger_bounds_when_asked_for() {
    if std::env::var_os("TIDELOCK_JOINT_LONG").is_some() {
        let more = Bound { whims: &[2, 2, 1], deaths: 0, farewells: 0, switches: 0 };
        explore("three clients, two of them with two whims", more);
        let all = Bound { whims: &[2, 2], deaths: 1, farewells: 1, switches: 1 };
        explore("two clients, a switch, a death, a farewell", all);
        explore("three clients, a switch, a death, a farewell", Bound { whims: &[1, 1, 1], ..all });
    }
}
