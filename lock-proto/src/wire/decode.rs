//! From bytes to messages: total, whatever the bytes are.
//!
//! Bytes that mean nothing in this version have to be zero, so that a later one can give them a meaning. A message may be
//! longer than it is known to be: what a later version appends is passed over.

use tidelock_format::{Cursor, FenceEpoch, GrantSeq, Incarnation, Key, KeyRange, Term, Token};

use super::layout::{
    RawAcquire, RawChange, RawDescent, RawGranted, RawHeader, RawHeld, RawLost, RawRange, RawRefused,
    RawSnapshot, RawSnapshotTaken, RawToken, kind,
};
use super::{ENTRIES_MAX, MESSAGE_BYTES_MAX, Malformed, VERSION};
use crate::message::{
    Acquire, Descent, Envelope, Granted, Held, Lost, Reason, Refused, Snapshot, ToClient, ToServer,
};
use crate::{Change, Mode};

impl ToServer {
    /// The one message that `bytes` are.
    ///
    /// # Errors
    /// If they are none that goes to a server.
    pub fn decode(bytes: &[u8]) -> Result<(Envelope, Self), Malformed> {
        let (envelope, kind, mut body) = begin(bytes)?;
        let message = match kind {
            kind::ACQUIRE => ToServer::Acquire(acquire(body.take()?)?),
            kind::CEDED => ToServer::Ceded(descent(body.take()?)?),
            kind::RELEASE => ToServer::Release(descent(body.take()?)?),
            kind::SNAPSHOT => ToServer::Snapshot(snapshot(&mut body)?),
            found => return Err(stranger(found, kind::TO_CLIENT)),
        };
        Ok((envelope, message))
    }
}

impl ToClient {
    /// The one message that `bytes` are.
    ///
    /// # Errors
    /// If they are none that goes to a client.
    pub fn decode(bytes: &[u8]) -> Result<(Envelope, Self), Malformed> {
        let (envelope, kind, mut body) = begin(bytes)?;
        let message = match kind {
            kind::GRANTED => ToClient::Granted(granted(body.take()?)?),
            kind::REFUSED => ToClient::Refused(refused(body.take()?)?),
            kind::REVOKE => ToClient::Revoke(descent(body.take()?)?),
            kind::SNAPSHOT_TAKEN => ToClient::SnapshotTaken(Key(body.take::<RawSnapshotTaken>()?.upto)),
            kind::LOST => ToClient::Lost(lost(body.take()?)),
            found => return Err(stranger(found, 0)),
        };
        Ok((envelope, message))
    }
}

fn begin(bytes: &[u8]) -> Result<(Envelope, u8, Cursor<'_>), Malformed> {
    if bytes.len() > MESSAGE_BYTES_MAX {
        return Err(Malformed::TooLong { have: bytes.len(), max: MESSAGE_BYTES_MAX });
    }
    let mut body = Cursor::new(bytes);
    let header: &RawHeader = body.take()?;
    if header.version != VERSION {
        return Err(Malformed::Version { found: header.version, known: VERSION });
    }
    if header.len.get() as usize != bytes.len() {
        return Err(Malformed::Length { said: header.len.get(), have: bytes.len() });
    }
    zero(&header.zero.get().to_le_bytes())?;
    let envelope = Envelope {
        incarnation: Incarnation(header.incarnation.get()),
        term: Term(header.term.get()),
        barrier: FenceEpoch(header.barrier.get()),
    };
    Ok((envelope, header.kind, body))
}

/// What to say of a kind that was not expected here. `other` is the bit that kinds of the other direction have.
fn stranger(found: u8, other: u8) -> Malformed {
    let is_known =
        (kind::ACQUIRE..=kind::SNAPSHOT).contains(&found) || (kind::GRANTED..=kind::LOST).contains(&found);
    if is_known && found & kind::TO_CLIENT == other {
        Malformed::Direction { found }
    } else {
        Malformed::Kind { found }
    }
}

fn zero(bytes: &[u8]) -> Result<(), Malformed> {
    if bytes.iter().all(|byte| *byte == 0) { Ok(()) } else { Err(Malformed::NotZero) }
}

fn mode(number: u8) -> Result<Mode, Malformed> {
    Mode::from_number(number).ok_or(Malformed::Mode { found: number })
}

fn reason(number: u8) -> Result<Reason, Malformed> {
    let all = [Reason::Overlaps, Reason::Pointless, Reason::TooMany, Reason::Busy];
    all.into_iter().find(|reason| *reason as u8 == number).ok_or(Malformed::Reason { found: number })
}

fn flag(byte: u8) -> Result<bool, Malformed> {
    match byte {
        0 => Ok(false),
        1 => Ok(true),
        found => Err(Malformed::Flag { found }),
    }
}

fn range(raw: &RawRange) -> Result<KeyRange, Malformed> {
    let start = Key(raw.start);
    KeyRange::new(start, Key(raw.end)).ok_or(Malformed::Range { start })
}

fn change(raw: &RawChange) -> Result<Change, Malformed> {
    zero(&raw.zero)?;
    Ok(Change { from: mode(raw.from)?, to: mode(raw.to)? })
}

fn token(raw: &RawToken) -> Token {
    Token { term: Term(raw.term.get()), seq: GrantSeq(raw.seq.get()) }
}

fn acquire(raw: &RawAcquire) -> Result<Acquire, Malformed> {
    Ok(Acquire { range: range(&raw.range)?, change: change(&raw.change)? })
}

fn granted(raw: &RawGranted) -> Result<Granted, Malformed> {
    Ok(Granted { range: range(&raw.range)?, change: change(&raw.change)?, token: token(&raw.token) })
}

fn refused(raw: &RawRefused) -> Result<Refused, Malformed> {
    zero(&raw.zero)?;
    Ok(Refused { start: Key(raw.start), wanted: mode(raw.wanted)?, reason: reason(raw.reason)? })
}

fn descent(raw: &RawDescent) -> Result<Descent, Malformed> {
    Ok(Descent { start: Key(raw.start), token: token(&raw.token), change: change(&raw.change)? })
}

fn lost(raw: &RawLost) -> Lost {
    Lost { start: Key(raw.start), token: token(&raw.token) }
}

fn held(raw: &RawHeld) -> Result<Held, Malformed> {
    zero(&raw.zero)?;
    Ok(Held { range: range(&raw.range)?, mode: mode(raw.mode)?, token: token(&raw.token) })
}

fn snapshot(body: &mut Cursor<'_>) -> Result<Snapshot, Malformed> {
    let head: &RawSnapshot = body.take()?;
    zero(&head.zero)?;
    // Bound: as many as there are bytes for, and those are bounded. Room is made for no more.
    let room = |count: u16| usize::from(count).min(ENTRIES_MAX);
    let mut parts = Snapshot {
        held: Vec::with_capacity(room(head.held.get())),
        wanted: Vec::with_capacity(room(head.wanted.get())),
        is_last: flag(head.is_last)?,
    };
    for _ in 0..head.held.get() {
        let next = held(body.take()?)?;
        follows(parts.held.last().map(|last| &last.range), &next.range)?;
        parts.held.push(next);
    }
    for _ in 0..head.wanted.get() {
        let next = acquire(body.take()?)?;
        follows(parts.wanted.last().map(|last| &last.range), &next.range)?;
        parts.wanted.push(next);
    }
    Ok(parts)
}

fn follows(last: Option<&KeyRange>, next: &KeyRange) -> Result<(), Malformed> {
    let start = next.start();
    if last.is_none_or(|last| last.start() < start) { Ok(()) } else { Err(Malformed::Order { start }) }
}
