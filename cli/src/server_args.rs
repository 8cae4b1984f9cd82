//! How to reach a lock server, as flags that several commands share.

use std::path::PathBuf;

use tidelock_net::transport::{Address, ClientTls, ConnectOptions, TlsFiles};

use crate::error::CliError;

/// Where the server is, and what it takes to be believed there.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ServerArgs {
    /// Where the lock server is: unix:PATH, or HOST:PORT
    #[arg(long, value_name = "ADDR")]
    pub(crate) server: Address,

    /// With TLS: the certificates, as PEM, of who may be behind the server's
    #[arg(long, value_name = "FILE", requires_all = ["tls_cert", "tls_key"])]
    pub(crate) tls_ca: Option<PathBuf>,

    /// With TLS: this client's certificate and those behind it, as PEM
    #[arg(long, value_name = "FILE", requires_all = ["tls_ca", "tls_key"])]
    pub(crate) tls_cert: Option<PathBuf>,

    /// With TLS: the key of --tls-cert, as PEM
    #[arg(long, value_name = "FILE", requires_all = ["tls_ca", "tls_cert"])]
    pub(crate) tls_key: Option<PathBuf>,

    /// With TLS: the name in the server's certificate [default: the host of --server]
    #[arg(long, value_name = "NAME", requires = "tls_ca")]
    pub(crate) tls_name: Option<String>,
}

impl ServerArgs {
    /// How to connect.
    pub(crate) fn connect(&self) -> Result<ConnectOptions, CliError> {
        let (Some(ca), Some(cert), Some(key)) = (&self.tls_ca, &self.tls_cert, &self.tls_key) else {
            return Ok(ConnectOptions::default());
        };
        let files = TlsFiles { chain: cert.clone(), key: key.clone(), roots: ca.clone() };
        let tls = ClientTls::from_files(&files, self.name()?)
            .map_err(|error| CliError::input(error.to_string()))?;
        Ok(ConnectOptions { tls: Some(tls), ..ConnectOptions::default() })
    }

    fn name(&self) -> Result<&str, CliError> {
        match (&self.tls_name, &self.server) {
            (Some(name), _) => Ok(name),
            (None, Address::Tcp(address)) => {
                let host = address.rsplit_once(':').map_or(address.as_str(), |(host, _)| host);
                Ok(host.trim_start_matches('[').trim_end_matches(']'))
            }
            (None, Address::Unix(_)) => Err(CliError::input(
                "--tls-name: a Unix socket has no name: say which one the certificate has",
            )),
        }
    }
}
