//! Certificates and keys from PEM files.

use std::fs;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{Error, InconsistentKeys, RootCertStore};

use super::TlsError;

/// Where one side's certificates and key are, each in a PEM file. They are read once: whoever replaces a file makes a new
/// [`ServerTls`](super::ServerTls) or [`ClientTls`](super::ClientTls).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// Its own certificate, and behind it those that lead to a root of the other side.
    pub chain: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The certificates of those who vouch for the other side.
    pub roots: PathBuf,
}

impl TlsFiles {
    pub(super) fn identity(
        &self,
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
        let chain = certificates(&self.chain)?;
        let key = PrivateKeyDer::from_pem_slice(&read(&self.key)?).map_err(|error| match error {
            pem::Error::NoItemsFound => missing(&self.key, "private key", "PRIVATE KEY"),
            error => unsound(&self.key, &error),
        })?;
        Ok((chain, key))
    }

    pub(super) fn roots(&self) -> Result<RootCertStore, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&self.roots)? {
            roots
                .add(certificate)
                .map_err(|error| TlsError::Unusable { path: self.roots.clone(), source: error.into() })?;
        }
        Ok(roots)
    }

    /// Why chain and key cannot be used together.
    pub(super) fn unusable(&self, error: Error) -> TlsError {
        match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                TlsError::OtherKey { key: self.key.clone(), chain: self.chain.clone() }
            }
            // Rustls has no better word for a certificate that it cannot read than this.
            Error::InvalidCertificate(_) => {
                TlsError::Unusable { path: self.chain.clone(), source: error.into() }
            }
            error => TlsError::Unusable { path: self.key.clone(), source: error.into() },
        }
    }
}

/// At least one.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = read(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let found = found.map_err(|error| unsound(path, &error))?;
    if found.is_empty() { Err(missing(path, "certificate", "CERTIFICATE")) } else { Ok(found) }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::Read { path: path.into(), source })
}

fn missing(path: &Path, wanted: &'static str, section: &'static str) -> TlsError {
    TlsError::Missing { path: path.into(), wanted, section }
}

fn unsound(path: &Path, error: &pem::Error) -> TlsError {
    TlsError::Pem { path: path.into(), why: error.to_string() }
}
