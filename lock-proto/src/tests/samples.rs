//! One message of each kind, with a different number in each field: what the vectors are made of.

use tidelock_format::{FenceEpoch, GrantSeq, Incarnation, Key, KeyRange, Term, Token};

use crate::{
    Acquire, Change, Descent, Envelope, Granted, Held, Lost, Mode, Reason, Refused, Snapshot, ToClient,
    ToServer,
};

pub(super) const ENVELOPE: Envelope =
    Envelope { incarnation: Incarnation(0x0101), term: Term(0x0202), barrier: FenceEpoch(0x0303) };

pub(super) fn range(start: u64, end: u64) -> KeyRange {
    KeyRange::new(Key::from_u64(start), Key::from_u64(end)).expect("in order")
}

const TOKEN: Token = Token { term: Term(0x0404), seq: GrantSeq(0x0505) };

fn descent() -> Descent {
    let change = Change { from: Mode::Write, to: Mode::Read };
    Descent { start: Key::from_u64(0x1000), token: TOKEN, change }
}

fn acquire(start: u64) -> Acquire {
    let change = Change { from: Mode::Read, to: Mode::Write };
    Acquire { range: range(start, start + 0xff), change }
}

pub(super) fn to_server() -> Vec<(&'static str, ToServer)> {
    let held = |start, mode| Held { range: range(start, start + 0xff), mode, token: TOKEN };
    let snapshot = Snapshot {
        held: vec![held(0x1000, Mode::Read), held(0x2000, Mode::WriteOnly)],
        wanted: vec![acquire(0x1000)],
        is_last: true,
    };
    vec![
        ("acquire", ToServer::Acquire(acquire(0x1000))),
        ("ceded", ToServer::Ceded(descent())),
        ("release", ToServer::Release(descent())),
        ("snapshot", ToServer::Snapshot(snapshot)),
    ]
}

pub(super) fn to_client() -> Vec<(&'static str, ToClient)> {
    let change = Change { from: Mode::Null, to: Mode::WriteOnly };
    let refused = Refused { start: Key::from_u64(0x1000), wanted: Mode::Write, reason: Reason::TooMany };
    vec![
        ("granted", ToClient::Granted(Granted { range: range(0x1000, 0x10ff), change, token: TOKEN })),
        ("refused", ToClient::Refused(refused)),
        ("revoke", ToClient::Revoke(descent())),
        ("snapshot-taken", ToClient::SnapshotTaken(Key::from_u64(0x2000))),
        ("lost", ToClient::Lost(Lost { start: Key::from_u64(0x1000), token: TOKEN })),
    ]
}
