//! How a handover lies in bytes: little-endian. `docs/lock-server.md` draws it.

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Followed by `sessions` times [`RawSession`], and `locks` times [`RawLock`].
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct RawHandover {
    /// Of everything behind it.
    pub(super) checksum: U32,
    pub(super) version: U32,
    pub(super) magic: [u8; 8],
    pub(super) service: U64,
    pub(super) term: U64,
    pub(super) sessions: U64,
    pub(super) locks: U64,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct RawSession {
    pub(super) client: [u8; 16],
    pub(super) incarnation: U64,
}

/// Followed by the rest of its first key, the rest of its last key, and `holders` times [`RawHolder`].
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct RawLock {
    /// Bytes that the first key has in common with that of the lock before; or with key zero, if there is none.
    pub(super) shared_start: u8,
    /// Bytes that the last key has in common with the first.
    pub(super) shared_end: u8,
    pub(super) zero: [u8; 2],
    pub(super) holders: U32,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct RawHolder {
    pub(super) term: U64,
    pub(super) seq: U64,
    /// Which of the sessions.
    pub(super) session: U32,
    pub(super) mode: u8,
    pub(super) zero: [u8; 3],
}

const _: () = assert!(size_of::<RawHandover>() == 48);
const _: () = assert!(size_of::<RawSession>() == 24);
const _: () = assert!(size_of::<RawLock>() == 8);
const _: () = assert!(size_of::<RawHolder>() == 24);

/// What it is, so that no other file is taken for one.
pub(super) const MAGIC: [u8; 8] = *b"tidehand";

/// The version that is written and read here.
pub(super) const VERSION: u32 = 2;
