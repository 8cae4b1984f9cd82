//! What the tests of the daemon share: a daemon in this process, and clients of it.
#![allow(dead_code, reason = "each test program uses its part")]

pub(crate) mod client;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidelock_authority::{Authority, Campaign, Candidate, Leader, SqliteAuthority};
use tidelock_format::{Key, KeyRange};
use tidelock_lock_server::{Daemon, DaemonOptions, ServerConfig};
use tidelock_net::TimeoutPlan;
use tidelock_net::transport::{Address, ListenOptions, Listener};

/// Longer than anything here takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A folder with a server's records and its socket.
pub(crate) struct Place {
    pub(crate) folder: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        drop(SqliteAuthority::create(place.state()).unwrap());
        place
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.folder.path().join("state.db")
    }

    pub(crate) fn socket(&self) -> Address {
        Address::Unix(self.folder.path().join("socket"))
    }

    pub(crate) fn handover(&self) -> PathBuf {
        self.folder.path().join("handover")
    }

    pub(crate) fn authority(&self) -> Arc<SqliteAuthority> {
        Arc::new(SqliteAuthority::open(self.state()).unwrap())
    }

    pub(crate) fn options(&self, authority: &dyn Authority) -> DaemonOptions {
        let mut config = ServerConfig::new(authority.service().unwrap());
        config.plan = quick();
        let mut options = DaemonOptions::new(config);
        options.handover = Some(self.handover());
        options
    }

    /// A daemon at the socket and at a port of the system's choice, and that port.
    pub(crate) fn serve(&self) -> (Daemon, Address) {
        self.serve_with(|_| {})
    }

    pub(crate) fn serve_with(&self, change: impl FnOnce(&mut DaemonOptions)) -> (Daemon, Address) {
        self.serve_at(&self.authority(), change)
    }

    pub(crate) fn serve_at(
        &self,
        authority: &SqliteAuthority,
        change: impl FnOnce(&mut DaemonOptions),
    ) -> (Daemon, Address) {
        let mut options = self.options(authority);
        change(&mut options);
        let leader = lead(authority, self.state());
        let listeners = [self.socket(), Address::Tcp("127.0.0.1:0".into())]
            .map(|address| Listener::bind(&address, &ListenOptions::default()).unwrap());
        let port = listeners[1].local_address().unwrap();
        (Daemon::start(leader, authority, listeners.into(), options).unwrap(), port)
    }
}

fn lead(authority: &dyn Authority, path: PathBuf) -> Leader {
    match authority.campaign(&Candidate::new("test", "here")).unwrap() {
        Campaign::Won(leader) => leader,
        Campaign::Lost(leader) => panic!("{leader:?} leads at {}", path.display()),
    }
}

/// Time limits that a test can wait for.
pub(crate) fn quick() -> TimeoutPlan {
    let ms = Duration::from_millis;
    TimeoutPlan {
        lease: ms(3000),
        renewal: ms(700),
        margin: ms(500),
        drift: 100,
        silence: ms(1100),
        greeting: ms(400),
        backoff: ms(160),
        grace: ms(3200),
        grace_max: ms(6400),
    }
    .checked()
    .expect("a sound plan")
}

/// The lock with this number: one key.
pub(crate) fn range(number: u64) -> KeyRange {
    KeyRange::new(Key::from_u64(number), Key::from_u64(number)).unwrap()
}

/// Waits until it is so.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < PATIENCE, "still not: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether a path is there.
pub(crate) fn is_there(path: &Path) -> bool {
    path.exists()
}
