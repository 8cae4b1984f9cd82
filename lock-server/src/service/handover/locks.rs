//! The locks of a handover, in order of their keys: as bytes, and back.
//!
//! Of a hundred thousand locks each byte counts, for all of it is memory that nobody has touched before, here and in the file,
//! and everybody waits. Keys that follow each other begin alike as a rule, so of each only the rest is there. There is one way
//! to write a lock, and reading is total, whatever the bytes are.

use std::cmp::Ordering;

use tidelock_format::{Cursor, GrantSeq, Key, KeyRange, Term, Token};
use tidelock_lock_proto::Mode;
use zerocopy::IntoBytes;

use super::HandoverError;
use super::layout::{RawHolder, RawLock};

/// Bytes that every lock has: its head, and who holds it.
pub(super) const LOCK_BYTES_MIN: u64 = (size_of::<RawLock>() + size_of::<RawHolder>()) as u64;

/// Who holds a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HandedHolder {
    /// Which of the handover's sessions.
    pub(super) session: u32,
    pub(super) mode: Mode,
    pub(super) token: Token,
}

/// Appends one lock after the other.
#[derive(Debug)]
pub(super) struct LockWriter<'a> {
    bytes: &'a mut Vec<u8>,
    /// The first key of the last lock.
    before: Key,
    count: u64,
}

impl<'a> LockWriter<'a> {
    pub(super) fn new(bytes: &'a mut Vec<u8>) -> Self {
        Self { bytes, before: Key::MIN, count: 0 }
    }

    /// Appends a lock that is behind all before, and that these hold, in order of their sessions.
    pub(super) fn put(&mut self, range: &KeyRange, holders: &[HandedHolder]) {
        let (start, end) = (range.start(), range.end());
        let (shared_start, shared_end) = (shared(&self.before, &start), shared(&start, &end));
        let head = RawLock {
            shared_start: shared_start as u8,
            shared_end: shared_end as u8,
            zero: [0; 2],
            // There are no more of them than sessions.
            holders: (holders.len() as u32).into(),
        };
        self.bytes.extend_from_slice(head.as_bytes());
        self.bytes.extend_from_slice(&start.0[shared_start..]);
        self.bytes.extend_from_slice(&end.0[shared_end..]);
        for HandedHolder { session, mode, token } in holders {
            let holder = RawHolder {
                term: token.term.0.into(),
                seq: token.seq.0.into(),
                session: (*session).into(),
                mode: mode.number(),
                zero: [0; 3],
            };
            self.bytes.extend_from_slice(holder.as_bytes());
        }
        self.before = start;
        self.count += 1;
    }

    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        self.count
    }
}

/// How many of their first bytes two keys have in common.
fn shared(one: &Key, other: &Key) -> usize {
    let words = |key: &Key| {
        let (words, _) = key.0.as_chunks();
        [0, 1].map(|i| u128::from_be_bytes(words[i]))
    };
    let ([high, low], [other_high, other_low]) = (words(one), words(other));
    let bits = match high ^ other_high {
        0 => 128 + (low ^ other_low).leading_zeros(),
        difference => difference.leading_zeros(),
    };
    bits as usize / 8
}

/// Takes one lock after the other.
#[derive(Clone, Debug)]
pub(in crate::service) struct LockReader<'a> {
    rest: Cursor<'a>,
    left: u64,
    sessions: usize,
    last: Option<KeyRange>,
    /// Who holds that one.
    holders: Vec<HandedHolder>,
}

impl<'a> LockReader<'a> {
    /// Of so many locks, held by some of so many sessions.
    pub(super) fn new(rest: Cursor<'a>, locks: u64, sessions: usize) -> Self {
        Self { rest, left: locks, sessions, last: None, holders: Vec::new() }
    }

    /// The next lock; `None` behind the last, which is where the bytes end.
    ///
    /// # Errors
    /// If the bytes are none.
    pub(in crate::service) fn next(&mut self) -> Result<Option<KeyRange>, HandoverError> {
        if self.left == 0 {
            let surplus = self.rest.rest().len();
            return if surplus == 0 { Ok(None) } else { Err(HandoverError::Surplus { surplus }) };
        }
        self.left -= 1;
        let head: &RawLock = self.rest.take()?;
        if head.zero != [0; 2] {
            return Err(HandoverError::NotZero);
        }
        let range = self.range(head)?;
        self.holders.clear();
        // Bound: each takes bytes, and there are as many as there are.
        for _ in 0..head.holders.get() {
            let next = holder(self.rest.take()?)?;
            if self.holders.last().is_some_and(|last| last.session >= next.session) {
                return Err(HandoverError::Order);
            }
            if next.session as usize >= self.sessions {
                return Err(HandoverError::Session { found: next.session });
            }
            self.holders.push(next);
        }
        if self.holders.is_empty() {
            return Err(HandoverError::Vacant { start: range.start() });
        }
        Ok(Some(range))
    }

    /// Who holds the lock that was taken last, in order of their sessions.
    pub(super) fn holders(&self) -> &[HandedHolder] {
        &self.holders
    }

    fn range(&mut self, head: &RawLock) -> Result<KeyRange, HandoverError> {
        let before = self.last.map_or(Key::MIN, |last| last.start());
        let (start, order) = self.key(&before, head.shared_start)?;
        // Whole keys are compared only where a lock has more than one: what was put together just now is slow to read.
        let is_behind = match self.last {
            None => true,
            Some(last) if last.end() == before => order == Ordering::Greater,
            Some(last) => start > last.end(),
        };
        if !is_behind {
            return Err(HandoverError::Order);
        }
        let (end, order) = self.key(&start, head.shared_end)?;
        let range =
            if order == Ordering::Equal { Some(KeyRange::of(start)) } else { KeyRange::new(start, end) };
        let range = range.ok_or(HandoverError::Range { start })?;
        self.last = Some(range);
        Ok(range)
    }

    /// A key that has so many bytes in common with `other`, and no more; and whether it is greater than that.
    fn key(&mut self, other: &Key, shared: u8) -> Result<(Key, Ordering), HandoverError> {
        let mut key = *other;
        let place = usize::from(shared);
        let rest = key.0.get_mut(place..).ok_or(HandoverError::Shared { found: shared })?;
        let bytes = self.rest.take_bytes(rest.len())?;
        rest.copy_from_slice(bytes);
        match bytes.first().zip(other.0.get(place)).map(|(its, others)| its.cmp(others)) {
            Some(Ordering::Equal) => Err(HandoverError::Shared { found: shared }),
            order => Ok((key, order.unwrap_or(Ordering::Equal))),
        }
    }
}

fn holder(raw: &RawHolder) -> Result<HandedHolder, HandoverError> {
    let mode = Mode::from_number(raw.mode).filter(|mode| *mode != Mode::Null);
    let mode = mode.ok_or(HandoverError::Mode { found: raw.mode })?;
    if raw.zero != [0; 3] {
        return Err(HandoverError::NotZero);
    }
    let token = Token { term: Term(raw.term.get()), seq: GrantSeq(raw.seq.get()) };
    Ok(HandedHolder { session: raw.session.get(), mode, token })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_as_many_bytes_in_common_as_are_the_same_before_the_first_that_is_not() {
        assert_eq!(shared(&Key::MIN, &Key::MIN), Key::BYTES);
        for place in 0..Key::BYTES {
            let mut other = Key::MIN;
            other.0[place..].fill(1);
            assert_eq!(shared(&Key::MIN, &other), place);
        }
    }
}
