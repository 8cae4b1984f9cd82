//! The machine beside a plain list of locks: whatever ranges come and go, and wherever they begin and end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use tidelock_format::{ClientId, GrantSeq, Key, KeyRange, Term, Token};
use tidelock_lock_proto::{Acquire, Change, Descent, Held, Mode, Reason, ToClient, ToServer};

use crate::grants::{Answer, Grants, Holder, Limits, LockView, RestoreError};

const NOW: Duration = Duration::ZERO;
const CLIENTS: u128 = 4;

/// What happens next.
#[derive(Clone, Debug)]
enum Event {
    /// A client wants to read a range.
    Read(u128, KeyRange),
    /// A client gives back one of its locks; if it has none, nothing happens.
    Release(u128, prop::sample::Index),
    /// A client gives back half of its locks, or all, one by one, because it is gone.
    Depart(u128, bool),
}

/// Keys that have much in common: few digits are not zero, and these are in the first, the middle and the last places, where
/// words begin and end. Some follow each other.
fn key() -> impl Strategy<Value = Key> {
    let place = prop::sample::select(vec![0, 1, 15, 16, 31, 32, 61, 62, 63]);
    let digits = prop::collection::vec((place, 0u8..16), 0..4);
    let few = digits.prop_map(|digits| {
        let mut key = Key::MIN;
        for (place, digit) in digits {
            key.0[place / 2] |= if place % 2 == 0 { digit << 4 } else { digit };
        }
        key
    });
    prop_oneof![8 => few, 4 => (0u64..300).prop_map(Key::from_u64), 1 => Just(Key::MAX)]
}

/// The range of all keys that are the same in the first `bits` bits.
fn block(key: Key, bits: usize) -> KeyRange {
    let (mut start, mut end) = (key, key);
    for bit in bits..256 {
        start.0[bit / 8] &= !(0x80 >> (bit % 8));
        end.0[bit / 8] |= 0x80 >> (bit % 8);
    }
    KeyRange::new(start, end).unwrap()
}

fn range() -> impl Strategy<Value = KeyRange> {
    let any = (key(), key()).prop_map(|(a, b)| KeyRange::new(a.min(b), a.max(b)).unwrap());
    let blocks = (key(), 240usize..=256).prop_map(|(key, bits)| block(key, bits));
    let small = (0u64..300, 0u64..9)
        .prop_map(|(start, len)| KeyRange::new(Key::from_u64(start), Key::from_u64(start + len)).unwrap());
    prop_oneof![1 => any, 4 => key().prop_map(KeyRange::of), 6 => blocks, 4 => small]
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (1..=CLIENTS, range()).prop_map(|(client, range)| Event::Read(client, range)),
        3 => (1..=CLIENTS, any::<prop::sample::Index>()).prop_map(|(client, which)| Event::Release(client, which)),
        1 => (1..=CLIENTS, any::<bool>()).prop_map(|(client, all)| Event::Depart(client, all)),
    ]
}

fn client(bits: u128) -> ClientId {
    ClientId::new(bits).unwrap()
}

/// Who reads what, with which token.
#[derive(Default)]
struct Model(BTreeMap<Key, (KeyRange, BTreeMap<u128, Token>)>);

impl Model {
    /// The last lock that shares a key with `range`.
    fn last_overlapping(&self, range: &KeyRange) -> Option<KeyRange> {
        self.0.values().map(|(other, _)| *other).rfind(|other| other.overlaps(range))
    }

    /// What is said to who wants to read `range`, if not yes.
    fn reason_against(&self, client: u128, range: &KeyRange) -> Option<Reason> {
        let other = self.last_overlapping(range)?;
        if other != *range {
            return Some(Reason::Overlaps);
        }
        self.0[&range.start()].1.contains_key(&client).then_some(Reason::Pointless)
    }

    fn of(&self, client: u128) -> Vec<(Key, Token)> {
        let token = |(start, (_, holders)): (&Key, &(_, BTreeMap<u128, Token>))| {
            holders.get(&client).map(|token| (*start, *token))
        };
        self.0.iter().filter_map(token).collect()
    }

    fn remove(&mut self, client: u128, start: Key) {
        let (_, holders) = self.0.get_mut(&start).unwrap();
        holders.remove(&client);
        if holders.is_empty() {
            self.0.remove(&start);
        }
    }
}

/// The machine, and what it should be.
struct Both {
    grants: Grants,
    model: Model,
}

impl Both {
    fn happen(&mut self, event: Event) -> Vec<Answer> {
        let Self { grants, model } = self;
        let mut answers = Vec::new();
        match event {
            Event::Read(bits, range) => {
                let change = Change { from: Mode::Null, to: Mode::Read };
                let message = ToServer::Acquire(Acquire { range, change });
                grants.step(client(bits), message, NOW, &mut answers).unwrap();
                let reason = match &answers[..] {
                    [(_, ToClient::Granted(granted))] => {
                        assert_eq!(granted.range, range);
                        assert_eq!(model.reason_against(bits, &range), None);
                        let (_, holders) = model.0.entry(range.start()).or_insert((range, BTreeMap::new()));
                        holders.insert(bits, granted.token);
                        return answers;
                    }
                    [(_, ToClient::Refused(refused))] => refused.reason,
                    _ => panic!("one answer: {answers:?}"),
                };
                assert_eq!(Some(reason), model.reason_against(bits, &range));
            }
            Event::Release(bits, which) => {
                let locks = model.of(bits);
                if !locks.is_empty() {
                    let (start, token) = *which.get(&locks);
                    let change = Change { from: Mode::Read, to: Mode::Null };
                    let message = ToServer::Release(Descent { start, token, change });
                    grants.step(client(bits), message, NOW, &mut answers).unwrap();
                    model.remove(bits, start);
                }
            }
            Event::Depart(bits, all) => {
                let locks = model.of(bits);
                let most = if all { usize::MAX } else { locks.len() / 2 };
                assert_eq!(grants.depart(client(bits), most, NOW, &mut answers), all || locks.is_empty());
                let left: BTreeSet<Key> = self.held_by(bits);
                assert_eq!(left.len(), locks.len().saturating_sub(most));
                for (start, _) in locks {
                    if !left.contains(&start) {
                        self.model.remove(bits, start);
                    }
                }
            }
        }
        answers
    }

    fn held_by(&self, bits: u128) -> BTreeSet<Key> {
        let holds = |holder: Holder| holder.client == client(bits);
        let locks = self.grants.locks_from(Key::MIN).filter(|lock| lock.holders().any(holds));
        locks.map(|lock| lock.range().start()).collect()
    }

    /// Looks whether the two agree about what there is, from `from` on.
    fn compare(&self, from: Key) {
        self.grants.check();
        assert_eq!(self.grants.len(), self.model.0.len());
        let holders = |lock: LockView<'_>| {
            let holders = lock.holders().map(|holder| (holder.client.bits(), holder.token)).collect();
            (lock.range(), holders)
        };
        let locks: Vec<_> = self.grants.locks_from(from).map(holders).collect();
        let expected: Vec<_> = self.model.0.range(from..).map(|(_, lock)| lock.clone()).collect();
        assert_eq!(locks, expected, "from {from}");
    }
}

proptest! {
    /// K8, and that every lock is found by whoever names it, or another that shares a key with it.
    #[test]
    fn locks_are_found_wherever_they_begin_and_end(
        events in prop::collection::vec((event(), key()), 1..120),
    ) {
        let mut both = Both { grants: Grants::new(Term(1), Limits::default()), model: Model::default() };
        for (event, from) in events {
            both.happen(event);
            both.compare(from);
        }
    }

    /// Seeds decide how fast a lock is found, and nothing else.
    #[test]
    fn what_happens_does_not_depend_on_the_seeds(
        events in prop::collection::vec(event(), 1..120),
        seeds in any::<[u64; 4]>(),
    ) {
        let grants = Grants::new(Term(1), Limits::default());
        let mut one = Both { grants: grants.clone(), model: Model::default() };
        let mut other = Both { grants: grants.seeded(seeds), model: Model::default() };
        for event in events {
            prop_assert_eq!(one.happen(event.clone()), other.happen(event));
            prop_assert_eq!(&one.grants, &other.grants);
        }
    }

    #[test]
    fn what_is_restored_beside_another_lock_names_the_last_that_is_in_its_way(
        ranges in prop::collection::vec(range(), 1..60),
    ) {
        let mut grants = Grants::recovering(Term(2), Limits::default());
        let mut model = Model::default();
        let token = Token { term: Term(1), seq: GrantSeq(1) };
        for range in ranges {
            let start = range.start();
            let restored = grants.restore(client(1), Held { range, mode: Mode::Read, token }, NOW);
            grants.check();
            let expected = match model.last_overlapping(&range) {
                Some(other) if other == range => {
                    Err(RestoreError::Conflict { start, mode: Mode::Read, holder: client(1) })
                }
                Some(other) => Err(RestoreError::Overlaps { start, other: other.start() }),
                None => Ok(()),
            };
            prop_assert_eq!(restored, expected);
            if restored.is_ok() {
                model.0.insert(start, (range, BTreeMap::new()));
            }
        }
    }
}
