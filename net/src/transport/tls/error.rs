//! Why TLS cannot be set up.

use std::error::Error;
use std::io;
use std::path::PathBuf;

/// What is wrong with what TLS was to be set up from.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error(
        "{} holds no {wanted}: it has to be a PEM file with a section \"-----BEGIN {section}-----\"",
        path.display()
    )]
    Missing {
        /// Which file.
        path: PathBuf,
        /// What it should hold.
        wanted: &'static str,
        /// Which section that would be.
        section: &'static str,
    },
    /// A file is no PEM file, or a damaged one.
    #[error("{} is no sound PEM file: {why}", path.display())]
    Pem {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// What a file holds cannot be used.
    #[error("what {} holds cannot be used: {source}", path.display())]
    Unusable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A key belongs to another certificate.
    #[error("the key in {} is not that of the first certificate in {}", key.display(), chain.display())]
    OtherKey {
        /// The key's file.
        key: PathBuf,
        /// The certificate's.
        chain: PathBuf,
    },
    /// What the server is expected to be called is no name.
    #[error(
        "\"{name}\" is no name that a server's certificate could be for: give a DNS name or an IP address"
    )]
    ServerName {
        /// What was given.
        name: String,
    },
}
