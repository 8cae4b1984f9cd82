//! How messages lie in bytes: little-endian, without gaps that the compiler chose. `docs/wire.md` draws them.

use tidelock_format::Key;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Derives what every layout has, and pins its size.
macro_rules! layout {
    ($(#[$about:meta])* $name:ident: $bytes:literal { $($field:ident: $type:ty,)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
        #[repr(C)]
        pub(super) struct $name { $(pub(super) $field: $type,)* }

        const _: () = assert!(size_of::<$name>() == $bytes);
    };
}

type RawKey = [u8; Key::BYTES];

layout! {
    /// What every message begins with.
    RawHeader: 32 {
        len: U32,
        version: u8,
        kind: u8,
        zero: U16,
        incarnation: U64,
        term: U64,
        barrier: U64,
    }
}

layout! {
    RawRange: 64 {
        start: RawKey,
        end: RawKey,
    }
}

layout! {
    RawChange: 8 {
        from: u8,
        to: u8,
        zero: [u8; 6],
    }
}

layout! {
    RawToken: 16 {
        term: U64,
        seq: U64,
    }
}

layout! {
    RawAcquire: 72 {
        range: RawRange,
        change: RawChange,
    }
}

layout! {
    RawGranted: 88 {
        range: RawRange,
        token: RawToken,
        change: RawChange,
    }
}

layout! {
    RawRefused: 40 {
        start: RawKey,
        wanted: u8,
        reason: u8,
        zero: [u8; 6],
    }
}

layout! {
    RawDescent: 56 {
        start: RawKey,
        token: RawToken,
        change: RawChange,
    }
}

layout! {
    /// Followed by `held` times [`RawHeld`] and `wanted` times [`RawAcquire`].
    RawSnapshot: 8 {
        held: U16,
        wanted: U16,
        is_last: u8,
        zero: [u8; 3],
    }
}

layout! {
    RawHeld: 88 {
        range: RawRange,
        token: RawToken,
        mode: u8,
        zero: [u8; 7],
    }
}

layout! {
    RawSnapshotTaken: 32 {
        upto: RawKey,
    }
}

layout! {
    RawLost: 48 {
        start: RawKey,
        token: RawToken,
    }
}

/// Which message follows a header. Those to a client have the high bit.
pub(super) mod kind {
    pub(in crate::wire) const ACQUIRE: u8 = 0x01;
    pub(in crate::wire) const CEDED: u8 = 0x02;
    pub(in crate::wire) const RELEASE: u8 = 0x03;
    pub(in crate::wire) const SNAPSHOT: u8 = 0x04;
    pub(in crate::wire) const GRANTED: u8 = 0x81;
    pub(in crate::wire) const REFUSED: u8 = 0x82;
    pub(in crate::wire) const REVOKE: u8 = 0x83;
    pub(in crate::wire) const SNAPSHOT_TAKEN: u8 = 0x84;
    pub(in crate::wire) const LOST: u8 = 0x85;

    /// Messages to a client have this bit.
    pub(in crate::wire) const TO_CLIENT: u8 = 0x80;
}
