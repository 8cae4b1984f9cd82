//! Taking and dropping a lock that the client holds already.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::RwLock;
use std::time::Duration;

use tidelock_format::{Key, KeyRange};
use tidelock_lock_client::Locks;
use tidelock_lock_proto::Mode;

use super::ground::{Ground, hold, range};
use super::row::{Row, Rows};
use super::turns::{Duel, duel, pace, pace_of_two};
use crate::error::CliError;

const LOCKS: u64 = 1000;
const BATCH: u64 = 1000;

pub(super) fn run(time: Duration, rows: &mut Rows) -> Result<(), CliError> {
    let ground = Ground::unix()?;
    let client = ground.client()?;
    let locks = client.locks();
    let ranges: Vec<KeyRange> = (0..LOCKS).map(range).collect();
    ranges.iter().try_for_each(|range| hold(&locks, *range, Mode::Read))?;
    rows.add(alone(time, &locks, &ranges));
    rows.add(different(time, &locks, &ranges));
    rows.add(shared(time, &locks, ranges[0]));
    rows.add(shared_by_name(time, &locks, ranges[0]));
    Ok(())
}

/// Takes one lock after the other, for ever.
fn taker<'a>(locks: &'a Locks, ranges: &'a [KeyRange]) -> impl FnMut() + Send + 'a {
    let mut next = ranges.iter().cycle();
    move || {
        let range = next.next().expect("it goes round");
        black_box(locks.lock(*range, Mode::Read).wait()).map(drop).expect("it is held");
    }
}

fn alone(time: Duration, locks: &Locks, ranges: &[KeyRange]) -> Row {
    let peers: HashMap<Key, RwLock<u64>> =
        ranges.iter().map(|range| (range.start(), RwLock::new(0))).collect();
    let mut ours = taker(locks, ranges);
    let mut next = ranges.iter().cycle();
    let mut theirs = || {
        let range = next.next().expect("it goes round");
        let lock = peers.get(&range.start()).expect("all are there");
        drop(black_box(lock.read().expect("nobody panics under it")));
    };
    let duel = duel(time, |turn| pace(turn, BATCH, &mut ours), |turn| pace(turn, BATCH, &mut theirs));
    let is_met = duel.ratio[0] <= 3.0;
    Row::new("cached", "one thread").beside("RwLock in a HashMap", &duel).goal("at most 3", is_met)
}

/// Two threads against one: how much more they do.
fn different(time: Duration, locks: &Locks, ranges: &[KeyRange]) -> Row {
    let (left, right) = ranges.split_at(ranges.len() / 2);
    let two = |turn| pace_of_two(turn, BATCH, [taker(locks, left), taker(locks, right)]) / 2.0;
    let Duel { ours_ns, theirs_ns, ratio } = duel(time, |turn| pace(turn, BATCH, taker(locks, left)), two);
    let duel = Duel { ours_ns: theirs_ns, theirs_ns: ours_ns, ratio };
    let is_met = duel.ratio[0] >= 1.8;
    let row = Row::new("cached", "two threads, different locks").beside("one thread", &duel);
    row.goal("at least 1.8", is_met)
}

/// One lock, read by two who have it at hand, as they have the other.
fn shared(time: Duration, locks: &Locks, range: KeyRange) -> Row {
    let lock = locks.named(range);
    let reader = || || black_box(lock.lock(Mode::Read).wait()).map(drop).expect("it is held");
    let duel = beside_parking_lot(time, |turn| pace_of_two(turn, BATCH, [reader(), reader()]));
    let is_met = duel.ratio[0] <= 1.0;
    let row = Row::new("cached", "two threads, one lock").beside("parking_lot::RwLock", &duel);
    row.goal("at most 1", is_met)
}

/// The same for two who look for it by its name each time.
fn shared_by_name(time: Duration, locks: &Locks, range: KeyRange) -> Row {
    let ranges = [range];
    let two = || [taker(locks, &ranges), taker(locks, &ranges)];
    let duel = beside_parking_lot(time, |turn| pace_of_two(turn, BATCH, two()));
    Row::new("cached", "the same, found by its name").beside("parking_lot::RwLock", &duel)
}

fn beside_parking_lot(time: Duration, ours: impl FnMut(Duration) -> f64) -> Duel {
    let peer = parking_lot::RwLock::new(0u64);
    let reader = || || drop(black_box(peer.read()));
    duel(time, ours, |turn| pace_of_two(turn, BATCH, [reader(), reader()]))
}
