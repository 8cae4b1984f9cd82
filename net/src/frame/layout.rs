//! How frames lie in bytes: little-endian. `docs/wire.md` draws them.

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// What every frame begins with.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct RawFrame {
    pub(super) len: U32,
    pub(super) version: u8,
    pub(super) kind: u8,
    pub(super) zero: U16,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct RawHello {
    pub(super) magic: [u8; 8],
    pub(super) versions: [u8; 2],
    pub(super) is_leaving: u8,
    pub(super) zero: [u8; 5],
    pub(super) service: U64,
    pub(super) incarnation: U64,
    pub(super) term: U64,
    pub(super) done: U64,
    pub(super) attempt: [u8; 16],
    pub(super) instance: [u8; 16],
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct RawWelcome {
    pub(super) service: U64,
    pub(super) term: U64,
    pub(super) verdict: u8,
    pub(super) versions: [u8; 2],
    pub(super) zero: u8,
    pub(super) millis: U32,
    pub(super) number: U64,
}

/// Followed by what the message says.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct RawMessage {
    pub(super) number: U64,
    pub(super) done: U64,
}

const _: () = assert!(size_of::<RawFrame>() == 8);
const _: () = assert!(size_of::<RawHello>() == 80);
const _: () = assert!(size_of::<RawWelcome>() == 32);
const _: () = assert!(size_of::<RawMessage>() == 16);
const _: () = assert!(super::FRAME_BYTES_MAX == size_of::<RawFrame>() + size_of::<RawMessage>() + (64 << 10));

/// What a first frame says it is, so that a stranger is told from a client of another version.
pub(super) const MAGIC: [u8; 8] = *b"tidelock";

/// Which frame it is.
pub(super) mod kind {
    pub(in crate::frame) const HELLO: u8 = 1;
    pub(in crate::frame) const WELCOME: u8 = 2;
    pub(in crate::frame) const MESSAGE: u8 = 3;
    pub(in crate::frame) const REPORT: u8 = 4;
    pub(in crate::frame) const PING: u8 = 5;
    pub(in crate::frame) const PONG: u8 = 6;
    pub(in crate::frame) const FAREWELL: u8 = 7;
    pub(in crate::frame) const GOODBYE: u8 = 8;
}

/// Which verdict it is.
pub(super) mod verdict {
    pub(in crate::frame) const NEW: u8 = 1;
    pub(in crate::frame) const RESUMED: u8 = 2;
    pub(in crate::frame) const RECOVER: u8 = 3;
    pub(in crate::frame) const EXPELLED: u8 = 4;
    pub(in crate::frame) const MISMATCH: u8 = 5;
    pub(in crate::frame) const BUSY: u8 = 6;
    pub(in crate::frame) const LEFT: u8 = 7;
}
