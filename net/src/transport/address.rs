//! Where a server is found: as one writes it, and as the system wants it.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::str::FromStr;

/// What the address of a Unix socket begins with.
const UNIX: &str = "unix:";

/// Where a server listens: `unix:PATH`, or `HOST:PORT`, with brackets around an IPv6 address.
///
/// ```
/// use tidelock_net::transport::Address;
///
/// let address: Address = "[::1]:7400".parse().unwrap();
/// assert_eq!(address, Address::Tcp("[::1]:7400".into()));
/// assert!("localhost".parse::<Address>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// A Unix socket at this path.
    Unix(PathBuf),
    /// A host, by name or number, and a port. Names are looked up whenever a connection is made, or listening begins.
    Tcp(String),
}

/// What is wrong with an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// No path behind `unix:`.
    #[error("\"unix:\" is followed by no path: write unix:/run/tidelock.sock")]
    NoPath,
    /// No port.
    #[error("\"{text}\" names no port: write HOST:PORT, as in localhost:7400, or unix:PATH")]
    NoPort {
        /// What was written.
        text: String,
    },
    /// No host.
    #[error(
        "\"{text}\" names no host: write HOST:PORT; for every address of this machine, [::]:PORT or 0.0.0.0:PORT"
    )]
    NoHost {
        /// What was written.
        text: String,
    },
    /// A port that is none.
    #[error("\"{port}\" is no port: write a number up to 65535")]
    Port {
        /// What was written for the port.
        port: String,
    },
    /// An IPv6 address without brackets, so that nobody knows where the port begins.
    #[error("\"{text}\" has several colons: write an IPv6 address in brackets, as in [::1]:7400")]
    Brackets {
        /// What was written.
        text: String,
    },
}

impl Address {
    /// The socket addresses that a TCP address stands for, in the order in which they are to be tried; none for a Unix
    /// socket. Looking a name up may take seconds; numbers take no time.
    ///
    /// # Errors
    /// If the name is not known, or cannot be looked up at present.
    pub fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        let Address::Tcp(text) = self else { return Ok(Vec::new()) };
        let found: Vec<SocketAddr> = text.to_socket_addrs()?.collect();
        if found.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("{text} has no address")));
        }
        Ok(found)
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Some(path) = text.strip_prefix(UNIX) {
            return if path.is_empty() { Err(AddressError::NoPath) } else { Ok(Address::Unix(path.into())) };
        }
        let text = text.to_owned();
        let Some((host, port)) = text.rsplit_once(':').filter(|_| !text.ends_with(']')) else {
            return Err(AddressError::NoPort { text });
        };
        let is_bracketed = host.starts_with('[') && host.ends_with(']');
        if host.contains(':') && !is_bracketed {
            return Err(AddressError::Brackets { text });
        }
        if host.is_empty() || host == "[]" {
            return Err(AddressError::NoHost { text });
        }
        if port.parse::<u16>().is_err() || port.starts_with('+') {
            return Err(AddressError::Port { port: port.to_owned() });
        }
        Ok(Address::Tcp(text))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Unix(path) => write!(f, "{UNIX}{}", path.display()),
            Address::Tcp(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        text.parse::<Address>().expect_err(text).to_string()
    }

    #[test]
    fn an_address_is_written_as_it_is_read() {
        for text in ["unix:/run/tidelock.sock", "unix:a b:7", "localhost:7400", "10.0.0.1:0", "[::1]:7400"] {
            let address: Address = text.parse().expect(text);
            assert_eq!(address.to_string(), text);
            assert_eq!(matches!(address, Address::Unix(_)), text.starts_with("unix:"));
        }
    }

    #[test]
    fn whoever_writes_no_address_is_told_what_to_write() {
        assert!(refused("unix:").contains("write unix:/run/tidelock.sock"));
        for text in ["", "localhost", "/run/tidelock.sock", "[::1]"] {
            assert!(refused(text).contains("write HOST:PORT"), "{text}");
        }
        assert!(refused(":7400").contains("names no host"));
        assert!(refused("[]:7400").contains("names no host"));
        assert!(refused("::1:7400").contains("in brackets"));
        for text in ["localhost:", "localhost:http", "localhost:65536", "localhost:+1", "localhost:-1"] {
            assert!(refused(text).contains("a number up to 65535"), "{text}");
        }
    }

    #[test]
    fn numbers_resolve_to_themselves() {
        let address: Address = "[::1]:7400".parse().unwrap();
        assert_eq!(address.resolve().unwrap(), ["[::1]:7400".parse().unwrap()]);
        assert_eq!(Address::Unix("a".into()).resolve().unwrap(), []);
    }
}
