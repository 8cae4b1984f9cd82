//! Why nobody can be listened for, or taken in.

use std::io;
use std::path::PathBuf;

use super::Address;

/// Why listening cannot begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// Plain TCP where others than this machine's processes could come.
    #[error(
        "{address} can be reached from other machines, and without TLS nobody there proves who it is: \
         give certificates, listen on 127.0.0.1 or [::1], or allow it with Exposure::TrustedNetwork"
    )]
    Exposed {
        /// Where it was to listen.
        address: Address,
    },
    /// Somebody listens there.
    #[error("somebody listens at {address} already: stop that server, or choose another address")]
    InUse {
        /// Where.
        address: Address,
    },
    /// A file is in the way.
    #[error("{} is no socket, and is left alone: remove it, or choose another path", path.display())]
    NotASocket {
        /// Which.
        path: PathBuf,
    },
    /// A socket that was handed over is none that one can listen at.
    #[error(
        "socket {place} that was handed over by LISTEN_FDS is of no use here: it has to be a listening Unix stream or TCP socket"
    )]
    Inherited {
        /// Which, counted from 0.
        place: usize,
        /// What is wrong with it.
        source: io::Error,
    },
    /// The system refuses.
    #[error("cannot {what} {address}: {source}")]
    Io {
        /// What it refuses to do.
        what: &'static str,
        /// Where.
        address: Address,
        /// Why.
        source: io::Error,
    },
}

/// Why no connection could be taken in. One that broke before it was taken in is no error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// There are too many open files, or too little memory, at present. The connection still waits, and no event will tell
    /// of it: go on, and call again when a connection was closed, or after a pause.
    #[error("cannot take a connection in at present: {0}; close some, or raise the limit of open files")]
    Exhausted(#[source] io::Error),
    /// The listener is broken.
    #[error("cannot take connections in any more: {0}")]
    Broken(#[source] io::Error),
}
