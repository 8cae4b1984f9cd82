//! Why a connection ends.

use std::error::Error;
use std::io;

use crate::FrameError;

/// Why a link can be used no more. Whoever holds it drops it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The other end closed it.
    #[error("the other end closed the connection, {rest} bytes into a frame")]
    Closed {
        /// Bytes of a frame that never became whole.
        rest: usize,
    },
    /// The system says that it is broken, or could not be made.
    #[error("the connection is broken: {0}")]
    Io(#[from] io::Error),
    /// What comes in is no sequence of frames.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// TLS: somebody's certificate was not accepted, or what comes in is no TLS.
    #[error("TLS failed: {0}")]
    Tls(#[source] Box<dyn Error + Send + Sync>),
}
