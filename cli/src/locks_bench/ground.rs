//! A server in this process, and clients of it.

use std::path::PathBuf;
use std::sync::Arc;

use tidelock_authority::{Authority, Campaign, Candidate, MemAuthority};
use tidelock_format::{Key, KeyRange};
use tidelock_lock_client::{Cause, Invalidate, Invalidation, LockClient, Locks, Options};
use tidelock_lock_proto::Mode;
use tidelock_lock_server::{Daemon, DaemonOptions, ServerConfig};
use tidelock_net::transport::{Address, ListenOptions, Listener};

use crate::error::CliError;

/// A server that lives as long as this.
pub(super) struct Ground {
    pub(super) address: Address,
    _daemon: Daemon,
    _folder: tempfile::TempDir,
}

/// Nothing is cached under the locks.
struct Nothing;

impl Invalidate for Nothing {
    fn invalidate(&self, invalidation: Invalidation) {
        invalidation.done();
    }

    fn lost(&self, why: Cause) {
        eprintln!("warning: the locks are lost: {why:?}");
    }
}

impl Ground {
    /// A server at a Unix socket.
    pub(super) fn unix() -> Result<Self, CliError> {
        Self::at(|folder| Address::Unix(folder.join("locks.sock")))
    }

    /// A server at a port of the loopback.
    pub(super) fn tcp() -> Result<Self, CliError> {
        Self::at(|_| Address::Tcp("127.0.0.1:0".into()))
    }

    fn at(address: impl FnOnce(PathBuf) -> Address) -> Result<Self, CliError> {
        let folder = tempfile::tempdir().map_err(CliError::failed)?;
        let address = address(folder.path().to_owned());
        let listener = Listener::bind(&address, &ListenOptions::default()).map_err(CliError::failed)?;
        let address = listener.local_address().map_err(CliError::failed)?;
        let authority = MemAuthority::new();
        let candidate = Candidate::new("bench", address.to_string());
        let Campaign::Won(leader) = authority.campaign(&candidate).map_err(CliError::failed)? else {
            unreachable!("nobody else knows this authority")
        };
        let service = authority.service().map_err(CliError::failed)?;
        let options = DaemonOptions::new(ServerConfig::new(service));
        let daemon = Daemon::start(leader, &authority, vec![listener], options).map_err(CliError::failed)?;
        Ok(Self { address, _daemon: daemon, _folder: folder })
    }

    /// A client that has its session.
    pub(super) fn client(&self) -> Result<LockClient, CliError> {
        client(&self.address)
    }
}

/// A client of the server at that address, which has its session.
pub(super) fn client(address: &Address) -> Result<LockClient, CliError> {
    let options = Options { idle_locks_max: 10_000_000, ..Options::new(address.clone()) };
    let client = LockClient::start(options, Arc::new(Nothing)).map_err(CliError::failed)?;
    hold(&client.locks(), range(u64::MAX >> RANGE_BITS), Mode::Read)?;
    Ok(client)
}

/// Takes a lock and drops it: it stays with the client.
pub(super) fn hold(locks: &Locks, range: KeyRange, mode: Mode) -> Result<(), CliError> {
    locks.lock(range, mode).wait().map(drop).map_err(CliError::failed)
}

/// Keys of one lock: two to the power of this.
const RANGE_BITS: u32 = 10;

/// The range of the lock with this number.
pub(super) fn range(number: u64) -> KeyRange {
    let first = number << RANGE_BITS;
    let last = first | ((1 << RANGE_BITS) - 1);
    KeyRange::new(Key::from_u64(first), Key::from_u64(last)).expect("the last comes after the first")
}
