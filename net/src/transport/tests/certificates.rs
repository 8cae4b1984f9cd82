//! Certificates for tests, made anew for each.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use crate::transport::TlsFiles;

/// Somebody who vouches for others.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::new([]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("randomness");
        let pem = params.self_signed(&key).expect("signed").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate for a key, as PEM.
    pub(super) fn certify(&self, name: &str, key: &KeyPair) -> String {
        let params = CertificateParams::new([name.to_owned()]).expect("a name");
        params.signed_by(key, &self.issuer).expect("signed").pem()
    }

    /// One side's files, in `folder`: it trusts whom this authority vouches for.
    pub(super) fn files(&self, folder: &Path, name: &str) -> TlsFiles {
        let key = KeyPair::generate().expect("randomness");
        self.files_for(folder, name, &key)
    }

    pub(super) fn files_for(&self, folder: &Path, name: &str, key: &KeyPair) -> TlsFiles {
        let write = |what: &str, text: &str| -> PathBuf {
            let path = folder.join(format!("{name}-{what}.pem"));
            fs::write(&path, text).expect("a folder of ours");
            path
        };
        TlsFiles {
            chain: write("chain", &self.certify(name, key)),
            key: write("key", &key.serialize_pem()),
            roots: write("roots", &self.pem),
        }
    }
}
