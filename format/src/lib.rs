//! Every byte Tidelock puts on media, and the names of things that more than one part of it speaks of; nothing else: no I/O,
//! no `unsafe`, no policy.
//!
//! A volume is an array of blocks of one [`BlockSize`]. Every block begins with a [`BlockHeader`]; a block is named by a
//! [`BlockRef`], its number and the random tag (`seq`) of the one image that the reference means. Blocks are
//! copy-on-write, so a reference may be older than what its location holds now: [`verify`] tells the two apart, and is
//! the only place that does.
//!
//! Items are named by a [`Key`]; a lock covers a [`KeyRange`]. Who writes is named by a [`ClientId`] and its [`Incarnation`],
//! and the [`Token`] of a grant lets a store refuse who writes too late.
//!
//! All integers are little-endian. Sizes and offsets are asserted at compile time; `docs/media.md` draws them.
#![forbid(unsafe_code)]

mod block;
mod checksum;
mod cursor;
mod error;
mod header;
mod ids;
mod key;
mod range;
mod size;
mod token;
mod verify;

pub use block::{BlockNo, BlockRef, Fsid, Magic, Seq};
pub use checksum::{Checksum, block_checksum};
pub use cursor::{Cursor, TooFew};
pub use error::FormatError;
pub use header::{BlockHeader, HEADER_BYTES};
pub use ids::{ClientId, FenceEpoch, GraceEpoch, Incarnation, Term};
pub use key::{Key, KeyRange};
pub use range::DeviceRange;
pub use size::BlockSize;
pub use token::{GrantSeq, Token};
pub use verify::{Mismatch, verify, verify_header};

/// The test vector on the page about media is computed.
#[cfg(doctest)]
#[doc = include_str!("../../docs/media.md")]
struct Media;
