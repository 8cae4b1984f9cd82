//! The one hash that every contender with a choice uses, with fixed keys: no cache wins by its hash, and a
//! repeated run meets the same collisions.

/// The hasher of all tables.
pub(super) type FixedState = ahash::RandomState;

/// The same keys for everyone.
pub(super) fn fixed() -> FixedState {
    FixedState::with_seeds(
        0x243f_6a88_85a3_08d3,
        0x1319_8a2e_0370_7344,
        0xa409_3822_299f_31d0,
        0x082e_fa98_ec4e_6c89,
    )
}
