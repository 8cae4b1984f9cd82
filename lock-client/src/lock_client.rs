//! The owner of a client: begins it, and ends it in order.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidelock_format::Fsid;
use tidelock_net::transport::{Address, ConnectOptions, Spin};
use tidelock_net::{ClientConfig, PlanError, TimeoutPlan};

use crate::desk::Life;
use crate::driver::{Driver, PoolView, ServerTarget};
use crate::{Config, Invalidate, Locks};

/// The version of what is said about locks.
const VERSIONS: (u8, u8) = (tidelock_lock_proto::VERSION, tidelock_lock_proto::VERSION);

/// What a client is told when it begins.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the server is.
    pub address: Address,
    /// How to get there: TLS, and how long the network may be silent.
    pub connect: ConnectOptions,
    /// Which service is meant; zero for whichever is there.
    pub service: Fsid,
    /// Which of its user's or certificate's clients this is: two at a time need two numbers. One that comes back with the number
    /// of one that died supersedes it.
    pub instance: u128,
    /// The time limits: those of the whole cluster.
    pub plan: TimeoutPlan,
    /// Messages that may be on their way to the server before it has to get on.
    pub window: usize,
    /// Locks that are kept though nobody uses them.
    pub idle_locks_max: usize,
    /// Threads that may call the embedder at a time.
    pub threads_max: usize,
    /// How long a thread that waits for a lock may [look for the answer](Spin) before it sleeps.
    /// It does so as long as it finds that this shortens its waits; with zero, never.
    pub spin_max: Duration,
}

impl Options {
    /// The default time limits, ten thousand idle locks, 64 threads, an instance drawn at random.
    pub fn new(address: Address) -> Self {
        let mut instance = [0; 16];
        getrandom::fill(&mut instance).expect("the system has random numbers");
        Self {
            address,
            connect: ConnectOptions::default(),
            service: Fsid(0),
            instance: u128::from_le_bytes(instance),
            plan: TimeoutPlan::DEFAULT,
            window: 1024,
            idle_locks_max: 10_000,
            threads_max: 64,
            spin_max: Spin::DEFAULT_MAX,
        }
    }
}

/// A client that cannot begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The time limits do not go together.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The system has no threads, or no files to poll, left.
    #[error("the client cannot begin: {0}")]
    System(#[from] io::Error),
}

/// A client of a lock server. Whoever takes locks has [`Locks`]; this is for whoever ends it:
/// [`shutdown`](Self::shutdown) first, then [`destroy`](Draining::destroy), in no other order.
///
/// Dropped without, it is gone like a process that was killed: what it held is void, and the server gives it to others when
/// the lease is over.
#[derive(Debug)]
#[must_use = "a client that is dropped is like one that was killed"]
pub struct LockClient(Driver);

impl LockClient {
    /// Begins. Returns at once: the connection is made meanwhile, and whoever takes a lock waits for it.
    ///
    /// # Errors
    /// If the plan does not hold, or the system gives no thread. That no server can be reached is none: one may come.
    pub fn start(options: Options, embedder: Arc<dyn Invalidate>) -> Result<Self, StartError> {
        let plan = options.plan.checked()?;
        let Options { address, connect, service, instance, window, idle_locks_max, .. } = options;
        let seed = (instance >> 64) as u64 ^ instance as u64;
        let session = ClientConfig { versions: VERSIONS, service, instance, plan, window, seed };
        let config = Config { idle_locks_max, ..Config::new(session) };
        let target = ServerTarget { address, options: connect };
        Ok(Self(Driver::start(config, target, options.spin_max, options.threads_max, embedder)?))
    }

    /// For those who take locks.
    pub fn locks(&self) -> Locks {
        self.0.client.locks()
    }

    /// How the threads do that call the embedder.
    pub fn pool(&self) -> PoolView {
        self.0.pool()
    }

    /// Begins the end: no lock is taken any more, and whoever waits for one is refused. What is held goes on being given up when
    /// others want it, without an invalidation: the embedder has written and dropped its caches before it calls this. (Others
    /// who end at the same time depend on it.)
    ///
    /// Waits until invalidations that the embedder has begun are done, for at most `limit`.
    pub fn shutdown(self, limit: Duration) -> Draining {
        self.0.client.close();
        let deadline = Instant::now().checked_add(limit);
        let is_done = |desk: &crate::desk::Desk| desk.invalidating.is_empty().then_some(());
        self.0.client.shared().wait_until(deadline, is_done);
        Draining(self.0)
    }
}

/// A client that takes no locks any more, and still gives up what others want.
#[derive(Debug)]
#[must_use = "a client that is dropped is like one that was killed"]
pub struct Draining(Driver);

impl Draining {
    /// Ends the client. If nobody holds a guard and no invalidation is left, it says farewell, and waits until the server has
    /// answered that nothing of it is left, for at most `limit`; otherwise, or if no answer comes, it goes without a word,
    /// and the server waits for the end of its lease. Either way nothing of it runs afterwards, and no callback comes, but for
    /// those that the embedder has not returned from.
    pub fn destroy(mut self, limit: Duration) -> DestroyReport {
        let client = self.0.client.clone();
        let mut report = client.shared().look(|desk| DestroyReport {
            locks_held: desk.holdings.held(),
            guards_left: desk.guards(),
            invalidations_left: desk.invalidating.len(),
            has_left: false,
        });
        if report.guards_left == 0 && report.invalidations_left == 0 {
            client.leave();
            let deadline = Instant::now().checked_add(limit);
            let is_over = |desk: &crate::desk::Desk| (desk.life == Life::Over).then_some(());
            report.has_left = client.shared().wait_until(deadline, is_over).is_some();
        }
        client.abandon();
        self.0.stop();
        report
    }
}

/// How a client ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DestroyReport {
    /// Locks that it held to the end.
    pub locks_held: usize,
    /// Guards that somebody has not dropped. They are void.
    pub guards_left: u64,
    /// Invalidations that the embedder has not finished.
    pub invalidations_left: usize,
    /// Whether the server has answered the farewell: nothing of the client is left there.
    pub has_left: bool,
}

impl fmt::Display for DestroyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { locks_held, guards_left, invalidations_left, has_left } = self;
        let farewell =
            if *has_left { "farewell answered" } else { "no farewell: the server waits for the lease" };
        write!(
            f,
            "{locks_held} locks held, {guards_left} guards and {invalidations_left} invalidations left, {farewell}"
        )
    }
}
