//! From messages to bytes.

use zerocopy::{Immutable, IntoBytes};

use super::layout::{
    RawAcquire, RawChange, RawDescent, RawGranted, RawHeader, RawHeld, RawLost, RawRange, RawRefused,
    RawSnapshot, RawSnapshotTaken, RawToken, kind,
};
use super::{ENTRIES_MAX, VERSION};
use crate::Change;
use crate::message::{
    Acquire, Descent, Envelope, Granted, Held, Lost, Refused, Snapshot, ToClient, ToServer,
};
use tidelock_format::{KeyRange, Token};

impl ToServer {
    /// Appends this message's bytes to `bytes`.
    ///
    /// # Panics
    /// If a snapshot has more than [`ENTRIES_MAX`] locks and wants: it is sent in parts.
    pub fn encode(&self, envelope: Envelope, bytes: &mut Vec<u8>) {
        match self {
            ToServer::Acquire(acquire) => put(bytes, envelope, kind::ACQUIRE, &raw_acquire(acquire)),
            ToServer::Ceded(descent) => put(bytes, envelope, kind::CEDED, &raw_descent(descent)),
            ToServer::Release(descent) => put(bytes, envelope, kind::RELEASE, &raw_descent(descent)),
            ToServer::Snapshot(snapshot) => put_snapshot(bytes, envelope, snapshot),
        }
    }
}

impl ToClient {
    /// Appends this message's bytes to `bytes`.
    pub fn encode(&self, envelope: Envelope, bytes: &mut Vec<u8>) {
        match self {
            ToClient::Granted(granted) => put(bytes, envelope, kind::GRANTED, &raw_granted(granted)),
            ToClient::Refused(refused) => put(bytes, envelope, kind::REFUSED, &raw_refused(refused)),
            ToClient::Revoke(descent) => put(bytes, envelope, kind::REVOKE, &raw_descent(descent)),
            ToClient::SnapshotTaken(upto) => {
                put(bytes, envelope, kind::SNAPSHOT_TAKEN, &RawSnapshotTaken { upto: upto.0 })
            }
            ToClient::Lost(lost) => put(bytes, envelope, kind::LOST, &raw_lost(lost)),
        }
    }
}

fn put(bytes: &mut Vec<u8>, envelope: Envelope, kind: u8, body: &(impl IntoBytes + Immutable)) {
    put_header(bytes, envelope, kind, body.as_bytes().len());
    bytes.extend_from_slice(body.as_bytes());
}

fn put_header(bytes: &mut Vec<u8>, envelope: Envelope, kind: u8, body: usize) {
    let len = u32::try_from(size_of::<RawHeader>() + body).expect("no body is that long");
    let header = RawHeader {
        len: len.into(),
        version: VERSION,
        kind,
        zero: 0.into(),
        incarnation: envelope.incarnation.0.into(),
        term: envelope.term.0.into(),
        barrier: envelope.barrier.0.into(),
    };
    bytes.extend_from_slice(header.as_bytes());
}

fn put_snapshot(bytes: &mut Vec<u8>, envelope: Envelope, snapshot: &Snapshot) {
    let Snapshot { held, wanted, is_last } = snapshot;
    assert!(held.len() + wanted.len() <= ENTRIES_MAX, "a snapshot is sent in parts of {ENTRIES_MAX} locks");
    let count = |count: usize| (count as u16).into();
    let head = RawSnapshot {
        held: count(held.len()),
        wanted: count(wanted.len()),
        is_last: (*is_last).into(),
        zero: [0; 3],
    };
    let body =
        size_of::<RawSnapshot>() + held.len() * size_of::<RawHeld>() + wanted.len() * size_of::<RawAcquire>();
    put_header(bytes, envelope, kind::SNAPSHOT, body);
    bytes.extend_from_slice(head.as_bytes());
    held.iter().for_each(|held| bytes.extend_from_slice(raw_held(held).as_bytes()));
    wanted.iter().for_each(|wanted| bytes.extend_from_slice(raw_acquire(wanted).as_bytes()));
}

fn raw_range(range: &KeyRange) -> RawRange {
    RawRange { start: range.start().0, end: range.end().0 }
}

fn raw_change(change: &Change) -> RawChange {
    RawChange { from: change.from.number(), to: change.to.number(), zero: [0; 6] }
}

fn raw_token(token: &Token) -> RawToken {
    RawToken { term: token.term.0.into(), seq: token.seq.0.into() }
}

fn raw_acquire(acquire: &Acquire) -> RawAcquire {
    RawAcquire { range: raw_range(&acquire.range), change: raw_change(&acquire.change) }
}

fn raw_granted(granted: &Granted) -> RawGranted {
    RawGranted {
        range: raw_range(&granted.range),
        token: raw_token(&granted.token),
        change: raw_change(&granted.change),
    }
}

fn raw_refused(refused: &Refused) -> RawRefused {
    let Refused { start, wanted, reason } = refused;
    RawRefused { start: start.0, wanted: wanted.number(), reason: *reason as u8, zero: [0; 6] }
}

fn raw_descent(descent: &Descent) -> RawDescent {
    let Descent { start, token, change } = descent;
    RawDescent { start: start.0, token: raw_token(token), change: raw_change(change) }
}

fn raw_lost(lost: &Lost) -> RawLost {
    RawLost { start: lost.start.0, token: raw_token(&lost.token) }
}

fn raw_held(held: &Held) -> RawHeld {
    let Held { range, mode, token } = held;
    RawHeld { range: raw_range(range), token: raw_token(token), mode: mode.number(), zero: [0; 7] }
}
