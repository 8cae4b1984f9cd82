//! Which lock comes before which: asked when a lock is new, and by whoever looks at all of them.
//!
//! A tree of forks, with locks as its leaves. A fork says by which digit what is under it is parted; all first keys under it
//! are the same in all digits before. So each fork has two ways or more, a lock that comes or goes brings or takes one fork
//! at most, nothing is ever balanced, and the way down is no longer than a key has digits, whatever keys somebody chooses.
//!
//! What costs time here is memory that no cache holds: a hundred thousand locks are more than fits, their forks are not. So a
//! new lock finds its gap by looking at one other lock, as long as ranges end where their digits do: how many bits all keys
//! of a lock have in common is kept beside the way up from it.

use tidelock_format::{Key, KeyRange};

use super::lock::Lock;
use super::rank::{Bit, Digit, NO_BIT, NO_DIGIT, Rank, bit_of, digit_of};
use super::slab::{Place, Slab};

/// The places of locks, in the order of their first keys.
#[derive(Clone, Debug)]
pub(super) struct Order {
    /// The top is above all others and parts nothing: what there is, is on its first way.
    forks: Slab<Fork>,
    /// By the places of their locks.
    leaves: Vec<Leaf>,
}

#[derive(Clone, Copy, Debug)]
struct Fork {
    /// By the digit that parts them. Those that `used` does not name mean nothing.
    ways: [Side; 16],
    up: Up,
    /// One bit for each way.
    used: u16,
    digit: Digit,
}

/// A lock in the tree.
#[derive(Clone, Copy, Debug)]
struct Leaf {
    up: Up,
    /// The first bit that is not the same in all keys of the lock.
    free: Bit,
}

/// The fork above something, and on which of its ways that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Up {
    fork: Place,
    way: u8,
}

/// What is on a way: a lock or a fork, in one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Side(u32);

/// What a [`Side`] says.
enum Under {
    Lock(Place),
    Fork(Place),
}

/// Where a new lock would hang.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gap {
    /// On an unused way; or on one where there is something that it has to be parted from.
    up: Up,
    parted: Option<Parted>,
}

/// What a new lock has to be parted from, and how.
#[derive(Clone, Copy, Debug)]
struct Parted {
    side: Side,
    digit: Digit,
    /// That digit in the keys of `side`.
    its: u8,
    /// And in the new one.
    mine: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Down,
    Up,
}

/// The fork above all others.
const TOP: Place = Place::FIRST;
const TOP_WAY: Up = Up { fork: TOP, way: 0 };

/// Where the first lock hangs.
const EMPTY: Gap = Gap { up: TOP_WAY, parted: None };

impl Default for Order {
    fn default() -> Self {
        let mut forks = Slab::new();
        forks.insert(Fork::new(NO_DIGIT));
        Self { forks, leaves: Vec::new() }
    }
}

impl Order {
    /// Makes room for so many more locks.
    pub(super) fn reserve(&mut self, more: usize) {
        self.leaves.reserve(more);
    }

    /// The lock that begins at `key`.
    ///
    /// # Errors
    /// If there is none: with the gap where it would be.
    pub(super) fn seek(&self, key: Key, locks: &Slab<Lock>) -> Result<Place, Gap> {
        let rank = Rank::from(key);
        let Some(near) = self.near(&rank) else { return Err(EMPTY) };
        self.seek_from(near, &rank, locks)
    }

    /// The last of all locks.
    pub(super) fn last(&self) -> Option<Place> {
        let top = &self.forks[TOP];
        (top.used != 0).then(|| self.outmost(Side::fork(TOP), Direction::Up))
    }

    /// The gap behind all locks, for a key behind that of the `last`.
    pub(super) fn gap_behind(&self, last: Option<Place>, key: Key, locks: &Slab<Lock>) -> Gap {
        let Some(last) = last else { return EMPTY };
        self.seek_from(last, &Rank::from(key), locks).expect_err("no lock begins behind the last")
    }

    /// As [`seek`](Self::seek), where it is known that no lock has more first digits in common with `rank` than `near`.
    fn seek_from(&self, near: Place, rank: &Rank, locks: &Slab<Lock>) -> Result<Place, Gap> {
        let other = Rank::from(locks[near].range.start());
        let bit = rank.first_difference(&other);
        if bit == NO_BIT {
            return Ok(near);
        }
        let digit = digit_of(bit);
        let (mine, its) = (rank.digit(digit), other.digit(digit));
        let mut side = Side::lock(near);
        // Bound: digits fall on the way up, and the top has none.
        loop {
            let up = self.up(side);
            let above = self.forks[up.fork].digit;
            if above == digit {
                return Err(Gap { up: Up { fork: up.fork, way: mine }, parted: None });
            }
            if above < digit {
                return Err(Gap { up, parted: Some(Parted { side, digit, its, mine }) });
            }
            side = Side::fork(up.fork);
        }
    }

    /// Whether it can be seen without looking at other locks that `range`, which begins in `gap`, shares no key with any.
    pub(super) fn is_apart(&self, gap: &Gap, range: &KeyRange) -> bool {
        let before = self.next_to(gap, Direction::Down);
        // The lock before has the same bits in all its keys up to the one that parts it from here: it does not reach here.
        let is_reached = before.is_some_and(|(bit, side)| {
            let last = self.outmost(side, Direction::Up);
            self.leaves[last.number()].free <= bit
        });
        let behind = self.next_to(gap, Direction::Up);
        // And the other way round.
        !is_reached && behind.is_none_or(|(bit, _)| bit < Rank::first_free(range))
    }

    /// Enters the lock at `place`, whose range begins in `gap`.
    pub(super) fn insert(&mut self, place: Place, range: &KeyRange, gap: Gap) {
        let leaf = Leaf { up: TOP_WAY, free: Rank::first_free(range) };
        if self.leaves.len() <= place.number() {
            self.leaves.resize(place.number() + 1, leaf);
        }
        self.leaves[place.number()] = leaf;
        let mut up = gap.up;
        if let Some(Parted { side, digit, its, mine }) = gap.parted {
            let fork = self.forks.insert(Fork::new(digit));
            self.hang(Side::fork(fork), up);
            self.hang(side, Up { fork, way: its });
            up = Up { fork, way: mine };
        }
        self.hang(Side::lock(place), up);
    }

    /// Forgets the lock at `place`, and the fork above if that parts nothing any more.
    pub(super) fn remove(&mut self, place: Place) {
        let Up { fork: number, way } = self.leaves[place.number()].up;
        let fork = &mut self.forks[number];
        fork.used &= !(1 << way);
        if fork.used.is_power_of_two() && number != TOP {
            let (rest, up) = (fork.ways[fork.used.trailing_zeros() as usize], fork.up);
            self.hang(rest, up);
            self.forks.remove(number);
        }
    }

    /// The last lock that begins at `key` or before.
    pub(super) fn last_to(&self, key: Key, locks: &Slab<Lock>) -> Option<Place> {
        self.nearest(key, Direction::Down, locks)
    }

    /// The locks that begin at `key` or after, in order.
    pub(super) fn from(&self, key: Key, locks: &Slab<Lock>) -> impl Iterator<Item = Place> {
        let first = self.nearest(key, Direction::Up, locks);
        std::iter::successors(first, |place| {
            let (_, side) = self.beyond(self.leaves[place.number()].up, Direction::Up)?;
            Some(self.outmost(side, Direction::Down))
        })
    }

    /// The lock that begins at `key`, or the next one in this direction.
    fn nearest(&self, key: Key, direction: Direction, locks: &Slab<Lock>) -> Option<Place> {
        match self.seek(key, locks) {
            Ok(place) => Some(place),
            Err(gap) => {
                let (_, side) = self.next_to(&gap, direction)?;
                Some(self.outmost(side, direction.back()))
            }
        }
    }

    /// A lock that has as many first digits in common with `rank` as any: where the way down ends.
    fn near(&self, rank: &Rank) -> Option<Place> {
        let mut fork = &self.forks[TOP];
        if fork.used == 0 {
            return None;
        }
        loop {
            let way = rank.digit(fork.digit);
            if fork.used >> way & 1 == 0 {
                let before = fork.next_way(way, Direction::Down);
                let way = before.or_else(|| fork.next_way(way, Direction::Up)).expect("a fork has ways");
                return Some(self.outmost(fork.ways[usize::from(way)], Direction::Up));
            }
            match fork.ways[usize::from(way)].under() {
                Under::Fork(next) => fork = &self.forks[next],
                Under::Lock(place) => return Some(place),
            }
        }
    }

    /// What is next to a gap in this direction, and the bit that parts it from there.
    fn next_to(&self, gap: &Gap, direction: Direction) -> Option<(Bit, Side)> {
        if let Some(Parted { side, digit, its, mine }) = gap.parted
            && (its > mine) == (direction == Direction::Up)
        {
            return Some((bit_of(digit, its, mine), side));
        }
        self.beyond(gap.up, direction)
    }

    /// What comes next to a way in this direction, and the bit that parts the two.
    fn beyond(&self, mut up: Up, direction: Direction) -> Option<(Bit, Side)> {
        // Bound: this goes up, and the top has one way.
        loop {
            let fork = &self.forks[up.fork];
            if let Some(way) = fork.next_way(up.way, direction) {
                return Some((bit_of(fork.digit, up.way, way), fork.ways[usize::from(way)]));
            }
            if up.fork == TOP {
                return None;
            }
            up = fork.up;
        }
    }

    /// The outmost lock of `side` in this direction.
    fn outmost(&self, mut side: Side, direction: Direction) -> Place {
        loop {
            match side.under() {
                Under::Fork(fork) => side = self.forks[fork].outmost(direction),
                Under::Lock(place) => return place,
            }
        }
    }

    fn up(&self, side: Side) -> Up {
        match side.under() {
            Under::Lock(place) => self.leaves[place.number()].up,
            Under::Fork(fork) => self.forks[fork].up,
        }
    }

    /// Puts something on a way, in place of what was there.
    fn hang(&mut self, side: Side, up: Up) {
        let fork = &mut self.forks[up.fork];
        fork.ways[usize::from(up.way)] = side;
        fork.used |= 1 << up.way;
        match side.under() {
            Under::Lock(place) => self.leaves[place.number()].up = up,
            Under::Fork(below) => self.forks[below].up = up,
        }
    }

    /// See [`Grants::check`](super::Grants::check). `order` is all locks, in order.
    pub(super) fn check<'a>(&self, order: impl Iterator<Item = (Place, &'a Lock)>) {
        let mut order = order.map(|(place, lock)| (place, lock.range));
        let mut forks = vec![TOP];
        let mut len = 0;
        let mut ways = Vec::new();
        while let Some(side) = ways.pop().or_else(|| forks.pop().map(Side::fork)) {
            match side.under() {
                Under::Fork(place) => {
                    len += 1;
                    let fork = &self.forks[place];
                    assert_eq!(fork.used.count_ones() > 1, place != TOP, "a fork parts something");
                    for way in (0..16).rev().filter(|way| fork.used >> way & 1 == 1) {
                        let side = fork.ways[usize::from(way)];
                        assert_eq!(self.up(side), Up { fork: place, way }, "what hangs on a fork knows it");
                        if let Under::Fork(below) = side.under() {
                            assert!(self.forks[below].digit > fork.digit, "digits rise on the way down");
                        }
                        ways.push(side);
                    }
                }
                Under::Lock(place) => {
                    let (next, range) = order.next().expect("nothing hangs here but locks");
                    assert_eq!(place, next, "locks hang in order");
                    assert_eq!(self.near(&range.start().into()), Some(place), "and where their keys lead");
                    assert_eq!(self.leaves[place.number()].free, Rank::first_free(&range));
                }
            }
        }
        assert!(order.next().is_none(), "all locks hang here");
        assert_eq!(self.forks.len(), len, "no fork is left over");
    }
}

impl Fork {
    const fn new(digit: Digit) -> Self {
        Self { ways: [Side(0); 16], up: TOP_WAY, used: 0, digit }
    }

    /// The next way that is used, in this direction.
    fn next_way(&self, way: u8, direction: Direction) -> Option<u8> {
        let ways = match direction {
            Direction::Down => self.used & ((1 << way) - 1),
            Direction::Up => self.used >> way >> 1 << 1 << way,
        };
        (ways != 0).then(|| direction.first(ways))
    }

    fn outmost(&self, direction: Direction) -> Side {
        self.ways[usize::from(direction.back().first(self.used))]
    }
}

impl Direction {
    fn back(self) -> Self {
        match self {
            Direction::Down => Direction::Up,
            Direction::Up => Direction::Down,
        }
    }

    /// Of some ways, that which comes first in this direction.
    fn first(self, ways: u16) -> u8 {
        let way = match self {
            Direction::Down => 15 - ways.leading_zeros(),
            Direction::Up => ways.trailing_zeros(),
        };
        way as u8
    }
}

impl Side {
    const fn lock(place: Place) -> Self {
        Self(place.bits() << 1)
    }

    const fn fork(place: Place) -> Self {
        Self(place.bits() << 1 | 1)
    }

    const fn under(self) -> Under {
        let place = Place::from_bits(self.0 >> 1);
        if self.0 & 1 == 0 { Under::Lock(place) } else { Under::Fork(place) }
    }
}
