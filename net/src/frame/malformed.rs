//! Why bytes are not a frame.

use tidelock_format::TooFew;

/// What is wrong with bytes that should have been a frame. The connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// Fewer bytes than the frame needs.
    #[error(transparent)]
    TooShort(#[from] TooFew),
    /// Longer than a frame may be here.
    #[error("a frame of {said} bytes is too long: {max} are allowed here")]
    TooLong {
        /// Bytes that it says it has.
        said: usize,
        /// Bytes that it may have.
        max: usize,
    },
    /// The length at the beginning is not that of the bytes.
    #[error("it says that it has {said} bytes, and has {have}")]
    Length {
        /// Bytes that it says it has.
        said: usize,
        /// Bytes there are.
        have: usize,
    },
    /// Not a client of Tidelock at all.
    #[error("whoever this is does not speak Tidelock's protocol")]
    Stranger,
    /// Of a version that is not spoken here.
    #[error("version {found} of frames is spoken, and only {known} is known")]
    Version {
        /// What it says.
        found: u8,
        /// What is known.
        known: u8,
    },
    /// No such frame.
    #[error("there is no frame of kind {found}")]
    Kind {
        /// What it says.
        found: u8,
    },
    /// No such verdict.
    #[error("there is no verdict {found}")]
    Verdict {
        /// What it says.
        found: u8,
    },
    /// Something that is neither yes nor no.
    #[error("{found} is neither yes (1) nor no (0)")]
    Flag {
        /// What is there instead.
        found: u8,
    },
    /// Bytes that have to be zero are not.
    #[error("bytes that mean nothing yet are not zero")]
    NotZero,
    /// More bytes than the frame has a meaning for.
    #[error("{surplus} bytes follow where the frame has ended")]
    Surplus {
        /// How many.
        surplus: usize,
    },
    /// A message is numbered from one on.
    #[error("a message has number 0")]
    NoNumber,
}
