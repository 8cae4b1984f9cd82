//! How a handover lies in bytes: little-endian. `docs/lock-server.md` draws it.

use tidelock_format::Key;
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Followed by `sessions` times [`RawHanded`].
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
}

/// Followed by `held` times [`RawHeld`].
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct RawHanded {
    pub(super) client: [u8; 16],
    pub(super) incarnation: U64,
    pub(super) held: U64,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct RawHeld {
    pub(super) start: [u8; Key::BYTES],
    pub(super) end: [u8; Key::BYTES],
    pub(super) term: U64,
    pub(super) seq: U64,
    pub(super) mode: u8,
    pub(super) zero: [u8; 7],
}

const _: () = assert!(size_of::<RawHandover>() == 40);
const _: () = assert!(size_of::<RawHanded>() == 32);
const _: () = assert!(size_of::<RawHeld>() == 88);

/// What it is, so that no other file is taken for one.
pub(super) const MAGIC: [u8; 8] = *b"tidehand";

/// The version that is written and read here.
pub(super) const VERSION: u32 = 1;
