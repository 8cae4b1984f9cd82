//! TLS with certificates on both sides: what each side has to have.
//!
//! Always mutual, always version 1.3. A connection proves who it is each time anew: sessions are not resumed, so a
//! certificate that ran out lets nobody in any more. What is asked of a client's certificate is that one of the server's
//! roots stands behind it; which client it is follows from its key (see [`Principal`](crate::Principal)). What is asked of
//! a server's is that one of the client's roots stands behind it, for the name that the client expects.

mod channel;
mod error;
mod files;

use std::fmt;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::ServerName;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::version::TLS13;
use rustls::{ClientConfig, ConfigBuilder, ConfigSide, ServerConfig, WantsVerifier};

pub use error::TlsError;
pub use files::TlsFiles;

pub(super) use channel::{Channel, Got};

/// What is spoken inside: neither side takes another protocol's peer for one of ours.
const PROTOCOL: &[u8] = b"tidelock";

/// What a server has to have for TLS. Clones share it.
#[derive(Clone)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
}

/// What a client has to have for TLS. Clones share it.
#[derive(Clone)]
pub struct ClientTls {
    config: Arc<ClientConfig>,
    server: ServerName<'static>,
}

impl ServerTls {
    /// Reads the server's chain and key, and the roots that stand behind its clients' certificates.
    ///
    /// # Errors
    /// Which file cannot be used, and why.
    pub fn from_files(files: &TlsFiles) -> Result<Self, TlsError> {
        let (chain, key) = files.identity()?;
        let roots = Arc::new(files.roots()?);
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider())
            .build()
            .map_err(|error| TlsError::Unusable { path: files.roots.clone(), source: error.into() })?;
        let mut config = begin(ServerConfig::builder_with_provider(provider()))
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .map_err(|error| files.unusable(error))?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        Ok(Self { config: Arc::new(config) })
    }
}

impl ClientTls {
    /// Reads the client's chain and key, and the roots that stand behind its server's certificate, which has to be for the
    /// name or number `server`.
    ///
    /// # Errors
    /// Which file cannot be used, and why; or that `server` is no name.
    pub fn from_files(files: &TlsFiles, server: &str) -> Result<Self, TlsError> {
        let (chain, key) = files.identity()?;
        let config = begin(ClientConfig::builder_with_provider(provider()))
            .with_root_certificates(files.roots()?)
            .with_client_auth_cert(chain, key)
            .map_err(|error| files.unusable(error))?;
        Self::new(config, server)
    }

    /// A client that proves nothing, to be refused.
    #[cfg(test)]
    pub(super) fn without_certificate(files: &TlsFiles, server: &str) -> Result<Self, TlsError> {
        let config = begin(ClientConfig::builder_with_provider(provider()))
            .with_root_certificates(files.roots()?)
            .with_no_client_auth();
        Self::new(config, server)
    }

    fn new(mut config: ClientConfig, server: &str) -> Result<Self, TlsError> {
        config.resumption = Resumption::disabled();
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        let name = ServerName::try_from(server.to_owned());
        let server = name.map_err(|_| TlsError::ServerName { name: server.to_owned() })?;
        Ok(Self { config: Arc::new(config), server })
    }
}

/// What is the same on both sides.
fn begin<S: ConfigSide>(builder: ConfigBuilder<S, rustls::WantsVersions>) -> ConfigBuilder<S, WantsVerifier> {
    builder.with_protocol_versions(&[&TLS13]).expect("ring speaks TLS 1.3")
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the key.
        f.debug_struct("ServerTls").finish_non_exhaustive()
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls").field("server", &self.server).finish_non_exhaustive()
    }
}
