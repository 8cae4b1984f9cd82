//! A handover as bytes, which it is from beginning to end: they are written as the table is gone through, and read as the next
//! one is made. A copy in between would be as much memory again, and everybody waits for each page of it.

use tidelock_format::{Checksum, ClientId, Cursor, Fsid, Incarnation, Key, Term, TooFew, block_checksum};
use zerocopy::IntoBytes;

use super::layout::{MAGIC, RawHandover, RawSession, VERSION};
use super::locks::{LOCK_BYTES_MIN, LockReader, LockWriter};

/// What one server leaves to the next. Its checksum is right; its locks are looked at when they are
/// [entered](crate::Server::taking_over).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handover {
    bytes: Vec<u8>,
    pub(super) service: Fsid,
    pub(super) term: Term,
    /// In order.
    pub(super) sessions: Vec<SessionName>,
    pub(super) locks: u64,
}

/// A session, as records know it.
pub(super) type SessionName = (ClientId, Incarnation);

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
    /// There are not bytes enough for as many locks.
    #[error("it says that it has {found} locks, and has bytes for fewer")]
    Locks {
        /// How many it says.
        found: u64,
    },
    /// A client without a name.
    #[error("it names client zero, which is nobody")]
    Nobody,
    /// A lock is held by a session that is not there.
    #[error("it names session {found}, and has not as many")]
    Session {
        /// Its number.
        found: u32,
    },
    /// A key has more bytes in common with another than it says, or cannot have as many.
    #[error("a key has not {found} bytes in common with the one before it, but more or fewer")]
    Shared {
        /// How many it says.
        found: u8,
    },
    /// A range that ends before it begins.
    #[error("a range from {start} ends before it begins")]
    Range {
        /// Where it begins.
        start: Key,
    },
    /// A lock that nobody holds.
    #[error("nobody holds lock {start}")]
    Vacant {
        /// Where it begins.
        start: Key,
    },
    /// No such mode, or nothing that can be held.
    #[error("mode {found} cannot be held")]
    Mode {
        /// Its number.
        found: u8,
    },
    /// Sessions, locks or holders that are not in order, or twice the same.
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
    /// Of these sessions, which are in order, and the locks that `put` appends.
    pub(super) fn encode(
        service: Fsid,
        term: Term,
        sessions: Vec<SessionName>,
        put: impl FnOnce(&mut LockWriter<'_>),
    ) -> Self {
        let mut bytes = vec![0; size_of::<RawHandover>()];
        for (client, incarnation) in &sessions {
            let session =
                RawSession { client: client.bits().to_le_bytes(), incarnation: incarnation.0.into() };
            bytes.extend_from_slice(session.as_bytes());
        }
        let mut writer = LockWriter::new(&mut bytes);
        put(&mut writer);
        let locks = writer.count();
        let mut head = RawHandover {
            checksum: 0.into(),
            version: VERSION.into(),
            magic: MAGIC,
            service: service.0.into(),
            term: term.0.into(),
            sessions: (sessions.len() as u64).into(),
            locks: locks.into(),
        };
        bytes[..size_of::<RawHandover>()].copy_from_slice(head.as_bytes());
        head.checksum = block_checksum(&bytes).0.into();
        bytes[..size_of::<RawHandover>()].copy_from_slice(head.as_bytes());
        Self { bytes, service, term, sessions, locks }
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The handover that `bytes` are.
    ///
    /// # Errors
    /// If they are none.
    pub fn decode(bytes: Vec<u8>) -> Result<Self, HandoverError> {
        let mut rest = Cursor::new(&bytes);
        let head: &RawHandover = rest.take()?;
        if head.magic != MAGIC {
            return Err(HandoverError::Stranger);
        }
        if head.version.get() != VERSION {
            return Err(HandoverError::Version { found: head.version.get(), known: VERSION });
        }
        let (found, expected) = (Checksum(head.checksum.get()), block_checksum(&bytes));
        if found != expected {
            return Err(HandoverError::Checksum { found, expected });
        }
        let sessions = sessions(&mut rest, head.sessions.get())?;
        let (service, term) = (Fsid(head.service.get()), Term(head.term.get()));
        let locks = head.locks.get();
        // Each takes bytes, so memory for so many is not more than was paid for.
        let (have, need) = (rest.rest().len() as u64, locks.saturating_mul(LOCK_BYTES_MIN));
        if have < need {
            return Err(HandoverError::Locks { found: locks });
        }
        Ok(Self { bytes, service, term, sessions, locks })
    }

    /// Its locks, in order.
    pub(in crate::service) fn locks(&self) -> LockReader<'_> {
        let head = size_of::<RawHandover>() + size_of::<RawSession>() * self.sessions.len();
        LockReader::new(Cursor::new(&self.bytes[head..]), self.locks, self.sessions.len())
    }
}

fn sessions(rest: &mut Cursor<'_>, count: u64) -> Result<Vec<SessionName>, HandoverError> {
    let mut sessions: Vec<SessionName> = Vec::new();
    // Bound: each takes bytes, and there are as many as there are.
    for _ in 0..count {
        let raw: &RawSession = rest.take()?;
        let client = ClientId::new(u128::from_le_bytes(raw.client)).ok_or(HandoverError::Nobody)?;
        let next = (client, Incarnation(raw.incarnation.get()));
        if sessions.last().is_some_and(|last| *last >= next) {
            return Err(HandoverError::Order);
        }
        sessions.push(next);
    }
    Ok(sessions)
}
