//! Who a connection has proved to be.

use std::fmt;

use tidelock_format::ClientId;

/// Who a connection has proved to be, by whatever means it has: no message ever says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity(pub ClientId);

impl Identity {
    /// Which client it is.
    pub fn client_id(&self) -> ClientId {
        self.0
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
