//! What a read or a write of blocks can come to instead of a block.

use tidelock_dev::DeviceError;
use tidelock_format::{BlockNo, BlockRef, FormatError, Mismatch};

/// Why there is no block.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// The reference is older than the block now stored there (ESTALE): fetch newer roots and try again. See
    /// [`with_snapshot`](crate::with_snapshot), which does.
    #[error("reference {wanted} is stale: {found}")]
    Stale {
        /// The reference.
        wanted: BlockRef,
        /// How what is there differs.
        found: Mismatch,
    },
    /// The same roots were stale twice (EIO). A newer root would exist if a writer had overwritten the block, so this is
    /// damage.
    #[error("reference {wanted} does not lead to its block, and there are no newer roots: {found}")]
    Corrupt {
        /// The reference.
        wanted: BlockRef,
        /// How what is there differs.
        found: Mismatch,
    },
    /// The reference means an image that a local writer has not written yet: only that writer can read it.
    #[error("block {wanted} is dirty: an open writer has not written it yet")]
    Dirty {
        /// The reference.
        wanted: BlockRef,
    },
    /// The reference is null: it points at no block.
    #[error("a null reference points at no block")]
    Null,
    /// The reference points beyond the device.
    #[error("block {blkno} cannot be on this device: {why}")]
    OutOfRange {
        /// The number.
        blkno: BlockNo,
        /// What is wrong with it.
        why: FormatError,
    },
    /// The device failed (EIO).
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// Every frame is pinned, dirty, or held up by a guard (ENOMEM): let go of blocks, write, or raise the capacity.
    #[error(
        "no frame is free: all {frames} are pinned, dirty or guarded; let go of some or raise the capacity"
    )]
    NoFrame {
        /// Frames there are.
        frames: usize,
    },
    /// The system's random generator failed, so no new image can be tagged.
    #[error("the system gave no random numbers")]
    NoRandomness,
    /// The cache was closed.
    #[error("the cache was closed")]
    Closed,
}

impl CacheError {
    /// Whether newer roots may help.
    pub fn is_stale(&self) -> bool {
        matches!(self, CacheError::Stale { .. })
    }

    /// The error number that a file system would answer with (positive, Linux).
    pub fn errno(&self) -> i32 {
        use rustix::io::Errno;
        let errno = match self {
            CacheError::Stale { .. } => Errno::STALE,
            CacheError::Corrupt { .. } | CacheError::Device(_) | CacheError::Null => Errno::IO,
            CacheError::OutOfRange { .. } | CacheError::NoRandomness => Errno::IO,
            CacheError::Dirty { .. } => Errno::BUSY,
            CacheError::NoFrame { .. } => Errno::NOMEM,
            CacheError::Closed => Errno::SHUTDOWN,
        };
        errno.raw_os_error()
    }
}
