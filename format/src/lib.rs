//! Every byte Tidelock puts on media, and nothing else: no I/O, no `unsafe`, no policy.
//!
//! A volume is an array of blocks of one [`BlockSize`]. Every block begins with a [`BlockHeader`]; a block is named by a
//! [`BlockRef`], its number and the random tag (`seq`) of the one image that the reference means. Blocks are
//! copy-on-write, so a reference may be older than what its location holds now: [`verify`] tells the two apart, and is
//! the only place that does.
//!
//! Items are named by a [`Key`]; a lock covers a [`KeyRange`].
//!
//! All integers are little-endian. Sizes and offsets are asserted at compile time; `docs/media.md` draws them.
#![forbid(unsafe_code)]

mod block;
mod checksum;
mod error;
mod header;
mod key;
mod range;
mod size;
mod verify;

pub use block::{BlockNo, BlockRef, Fsid, Magic, Seq};
pub use checksum::{Checksum, block_checksum};
pub use error::FormatError;
pub use header::{BlockHeader, HEADER_BYTES};
pub use key::{Key, KeyRange};
pub use range::DeviceRange;
pub use size::BlockSize;
pub use verify::{Mismatch, verify, verify_header};

/// The test vector on the page about media is computed.
#[cfg(doctest)]
#[doc = include_str!("../../docs/media.md")]
struct Media;
