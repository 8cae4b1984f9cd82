//! A handover as bytes, and back: total, whatever the bytes are.

use tidelock_format::{
    Checksum, ClientId, Cursor, Fsid, GrantSeq, Incarnation, Key, KeyRange, Term, Token, TooFew,
    block_checksum,
};
use tidelock_lock_proto::{Held, Mode};
use zerocopy::IntoBytes;

use super::layout::{MAGIC, RawHanded, RawHandover, RawHeld, VERSION};
use super::{Handed, Handover};

/// Why bytes are not a handover. Who got them recovers without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandoverError {
    /// Fewer bytes than it says there are.
    #[error(transparent)]
    TooShort(#[from] TooFew),
    /// Something else altogether.
    #[error("this is not what a lock server hands over")]
    Stranger,
    /// Of a version that is not read here.
    #[error("version {found} of what a lock server hands over, and only {known} is known")]
    Version {
        /// What it says.
        found: u32,
        /// What is known.
        known: u32,
    },
    /// Damaged.
    #[error("its checksum is {found}, and should be {expected}: it is damaged")]
    Checksum {
        /// What it says.
        found: Checksum,
        /// What its bytes come to.
        expected: Checksum,
    },
    /// A client without a name.
    #[error("it names client zero, which is nobody")]
    Nobody,
    /// A range that ends before it begins.
    #[error("a range from {start} ends before it begins")]
    Range {
        /// Where it begins.
        start: Key,
    },
    /// No such mode, or nothing that can be held.
    #[error("mode {found} cannot be held")]
    Mode {
        /// Its number.
        found: u8,
    },
    /// Sessions or locks that are not in order, or twice the same.
    #[error("its parts are not in order")]
    Order,
    /// Bytes that have to be zero are not.
    #[error("bytes that mean nothing yet are not zero")]
    NotZero,
    /// More bytes than it says there are.
    #[error("{surplus} bytes follow where it has ended")]
    Surplus {
        /// How many.
        surplus: usize,
    },
}

impl Handover {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut head = RawHandover {
            checksum: 0.into(),
            version: VERSION.into(),
            magic: MAGIC,
            service: self.service.0.into(),
            term: self.term.0.into(),
            sessions: (self.sessions.len() as u64).into(),
        };
        let locks: usize = self.sessions.iter().map(|handed| handed.held.len()).sum();
        let size = size_of::<RawHandover>()
            + size_of::<RawHanded>() * self.sessions.len()
            + size_of::<RawHeld>() * locks;
        let mut bytes = Vec::with_capacity(size);
        bytes.extend_from_slice(head.as_bytes());
        self.sessions.iter().for_each(|handed| put(handed, &mut bytes));
        head.checksum = block_checksum(&bytes).0.into();
        bytes[..size_of::<RawHandover>()].copy_from_slice(head.as_bytes());
        bytes
    }

    /// The handover that `bytes` are.
    ///
    /// # Errors
    /// If they are none.
    pub fn decode(bytes: &[u8]) -> Result<Self, HandoverError> {
        let mut rest = Cursor::new(bytes);
        let head: &RawHandover = rest.take()?;
        if head.magic != MAGIC {
            return Err(HandoverError::Stranger);
        }
        if head.version.get() != VERSION {
            return Err(HandoverError::Version { found: head.version.get(), known: VERSION });
        }
        let (found, expected) = (Checksum(head.checksum.get()), block_checksum(bytes));
        if found != expected {
            return Err(HandoverError::Checksum { found, expected });
        }
        let mut sessions: Vec<Handed> = Vec::new();
        for _ in 0..head.sessions.get() {
            let next = handed(&mut rest)?;
            let name = |it: &Handed| (it.client, it.incarnation);
            follows(sessions.last().map(name), name(&next))?;
            sessions.push(next);
        }
        match rest.rest().len() {
            0 => Ok(Self { service: Fsid(head.service.get()), term: Term(head.term.get()), sessions }),
            surplus => Err(HandoverError::Surplus { surplus }),
        }
    }
}

fn follows<T: PartialOrd>(last: Option<T>, next: T) -> Result<(), HandoverError> {
    if last.is_none_or(|last| last < next) { Ok(()) } else { Err(HandoverError::Order) }
}

fn put(handed: &Handed, bytes: &mut Vec<u8>) {
    let head = RawHanded {
        client: handed.client.bits().to_le_bytes(),
        incarnation: handed.incarnation.0.into(),
        held: (handed.held.len() as u64).into(),
    };
    bytes.extend_from_slice(head.as_bytes());
    for Held { range, mode, token } in &handed.held {
        let held = RawHeld {
            start: range.start().0,
            end: range.end().0,
            term: token.term.0.into(),
            seq: token.seq.0.into(),
            mode: mode.number(),
            zero: [0; 7],
        };
        bytes.extend_from_slice(held.as_bytes());
    }
}

fn handed(rest: &mut Cursor<'_>) -> Result<Handed, HandoverError> {
    let head: &RawHanded = rest.take()?;
    let client = ClientId::new(u128::from_le_bytes(head.client)).ok_or(HandoverError::Nobody)?;
    let mut locks: Vec<Held> = Vec::new();
    // Bound: each takes bytes, and there are as many as there are.
    for _ in 0..head.held.get() {
        let next = held(rest.take()?)?;
        follows(locks.last().map(|last| last.range.end()), next.range.start())?;
        locks.push(next);
    }
    Ok(Handed { client, incarnation: Incarnation(head.incarnation.get()), held: locks })
}

fn held(raw: &RawHeld) -> Result<Held, HandoverError> {
    let start = Key(raw.start);
    let range = KeyRange::new(start, Key(raw.end)).ok_or(HandoverError::Range { start })?;
    let mode = Mode::from_number(raw.mode).filter(|mode| *mode != Mode::Null);
    let mode = mode.ok_or(HandoverError::Mode { found: raw.mode })?;
    if raw.zero != [0; 7] {
        return Err(HandoverError::NotZero);
    }
    let token = Token { term: Term(raw.term.get()), seq: GrantSeq(raw.seq.get()) };
    Ok(Held { range, mode, token })
}
