//! A server in this process, and what it takes to be its client.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tidelock_authority::{Authority, Campaign, Candidate, MemAuthority};
use tidelock_format::{Key, KeyRange};
use tidelock_lock_client::{Cause, Invalidate, Invalidation, LockClient, Options};
use tidelock_lock_server::{Daemon, DaemonOptions, ServerConfig};
use tidelock_net::TimeoutPlan;
use tidelock_net::transport::{Address, ListenOptions, Listener};

/// Time limits short enough for a test, and as sound as those of a cluster.
pub(crate) fn plan() -> TimeoutPlan {
    let ms = Duration::from_millis;
    let plan = TimeoutPlan {
        lease: ms(1500),
        renewal: ms(200),
        margin: ms(300),
        drift: 100,
        silence: ms(500),
        greeting: ms(300),
        backoff: ms(100),
        grace: ms(1600),
        grace_max: ms(4000),
    };
    plan.checked().expect("the limits go together")
}

pub(crate) fn range(number: u64) -> KeyRange {
    let first = number << 8;
    KeyRange::new(Key::from_u64(first), Key::from_u64(first + 255)).expect("in order")
}

/// A server that can be stopped, and begun again where it was.
pub(crate) struct Ground {
    pub(crate) address: Address,
    authority: MemAuthority,
    daemon: Option<Daemon>,
    _folder: tempfile::TempDir,
}

impl Ground {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let address = Address::Unix(folder.path().join("locks.sock"));
        let mut ground = Self { address, authority: MemAuthority::new(), daemon: None, _folder: folder };
        ground.start();
        ground
    }

    pub(crate) fn start(&mut self) {
        let listener =
            Listener::bind(&self.address, &ListenOptions::default()).expect("nobody listens there");
        let candidate = Candidate::new("test", self.address.to_string());
        let Campaign::Won(leader) = self.authority.campaign(&candidate).expect("it is there") else {
            panic!("nobody else leads")
        };
        let service = self.authority.service().expect("it has a name");
        let options = DaemonOptions::new(ServerConfig { plan: plan(), ..ServerConfig::new(service) });
        let daemon = Daemon::start(leader, &self.authority, vec![listener], options);
        self.daemon = Some(daemon.expect("it starts"));
    }

    pub(crate) fn stop(&mut self) {
        self.daemon.take().expect("it runs").stop();
    }

    pub(crate) fn options(&self) -> Options {
        Options { plan: plan(), ..Options::new(self.address.clone()) }
    }

    pub(crate) fn client(&self) -> LockClient {
        self.client_of(Arc::new(Cache::default()))
    }

    pub(crate) fn client_of(&self, embedder: Arc<dyn Invalidate>) -> LockClient {
        LockClient::start(self.options(), embedder).expect("it starts")
    }
}

/// An embedder that counts what it is told.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    pub(crate) invalidations: AtomicU64,
    pub(crate) losses: AtomicU64,
}

impl Invalidate for Cache {
    fn invalidate(&self, invalidation: Invalidation) {
        self.invalidations.fetch_add(1, Ordering::SeqCst);
        invalidation.done();
    }

    fn lost(&self, _: Cause) {
        self.losses.fetch_add(1, Ordering::SeqCst);
    }
}

/// An embedder that is a function.
pub(crate) struct Handler<F>(pub(crate) F);

impl<F: Fn(Invalidation) + Send + Sync + 'static> Invalidate for Handler<F> {
    fn invalidate(&self, invalidation: Invalidation) {
        (self.0)(invalidation);
    }

    fn lost(&self, _: Cause) {}
}
