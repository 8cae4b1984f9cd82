//! Keeps a budget's limit where its sources and its rule say: by a thread, or whenever the embedder asks.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use super::{BudgetRule, BudgetSource, Governor, MemoryBudget, Reading, Shrunk, SourceError};

/// Time between two looks, unless an alarm is raised.
const INTERVAL: Duration = Duration::from_secs(2);
/// And at the least, whatever is raised: the bound on what a broken alarm can cost.
const PAUSE_MIN: Duration = Duration::from_millis(100);

/// Connects a budget with the sources of its limit.
///
/// Either [`spawn`](Self::spawn)s a thread, or is [polled](Self::poll_once) by an embedder with a loop of its own, once
/// every second or two.
///
/// ```
/// use tidelock_block_cache::{BudgetRule, BudgetWatch, CgroupSource, MemoryBudget, PressureSource};
///
/// let budget = MemoryBudget::fixed(256 << 20);
/// let mut watch = BudgetWatch::new(&budget, BudgetRule::between(16 << 20, 1 << 30));
/// // Take what this machine offers.
/// if let Ok(source) = CgroupSource::own() { watch = watch.source(source); }
/// if let Ok(source) = PressureSource::own() { watch = watch.source(source); }
///
/// let adjustment = watch.poll_once();
/// assert_eq!(adjustment.limit_bytes, budget.limit());
/// ```
pub struct BudgetWatch {
    budget: MemoryBudget,
    governor: Governor,
    sources: Vec<Watched>,
    interval: Duration,
    started: Instant,
}

/// A source, and whether its last reading failed.
struct Watched {
    source: Box<dyn BudgetSource>,
    is_failing: bool,
}

/// What one look came to.
#[derive(Debug)]
#[non_exhaustive]
pub struct Adjustment {
    /// The limit that holds now, in bytes.
    pub limit_bytes: u64,
    /// What the caches gave back, when they had to.
    pub shrunk: Option<Shrunk>,
    /// Why sources could not be read. The others counted.
    pub errors: Vec<SourceError>,
}

impl BudgetWatch {
    /// A watch over `budget`, whose limit is kept within the rule's from now on. Without sources it rises to the ceiling.
    pub fn new(budget: &MemoryBudget, rule: BudgetRule) -> Self {
        let governor = Governor::new(rule, budget.limit());
        if governor.limit() != budget.limit() {
            budget.set_limit(governor.limit());
        }
        let budget = budget.clone();
        Self { budget, governor, sources: Vec::new(), interval: INTERVAL, started: Instant::now() }
    }

    /// Adds a source. Of several, the tightest room and the worst pressure count.
    pub fn source(mut self, source: impl BudgetSource + 'static) -> Self {
        self.sources.push(Watched { source: Box::new(source), is_failing: false });
        self
    }

    /// How often the thread looks when nothing raises an alarm. Default 2 seconds; at least 100 milliseconds.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval.max(PAUSE_MIN);
        self
    }

    /// Reads every source once, and changes the limit if the rule says so. Work for a few small files, and for shrinking
    /// caches when the limit goes down.
    pub fn poll_once(&mut self) -> Adjustment {
        let mut reading = Reading { used_bytes: self.budget.used(), ..Reading::default() };
        let errors = self.sources.iter_mut().filter_map(|watched| watched.read(&mut reading)).collect();
        let before = self.governor.limit();
        let changed = self.governor.step(&reading, self.started.elapsed());
        if let Some(limit) = changed {
            tracing::debug!(before, limit, used = reading.used_bytes, ?reading.room, "the budget's limit changed");
        }
        // Once more, too, when the caches could not give enough the last time: blocks were pinned.
        let limit_bytes = self.governor.limit();
        let is_due = changed.is_some() || self.budget.used() > limit_bytes;
        let shrunk = is_due.then(|| self.budget.set_limit(limit_bytes)).filter(|shrunk| shrunk.scanned > 0);
        Adjustment { limit_bytes, shrunk, errors }
    }

    /// Starts a thread, `tidelock-budget`, that looks at intervals and whenever a source raises its alarm, until what is
    /// returned is dropped.
    ///
    /// # Errors
    /// When the system gives no thread or no descriptor.
    pub fn spawn(self) -> io::Result<WatchThread> {
        let stop = Arc::new(eventfd(0, EventfdFlags::CLOEXEC)?);
        let theirs = stop.clone();
        let thread =
            std::thread::Builder::new().name("tidelock-budget".into()).spawn(move || self.run(&theirs))?;
        Ok(WatchThread { stop, thread: Some(thread) })
    }

    fn run(mut self, stop: &OwnedFd) {
        // Bound: one look for each PAUSE_MIN at the most, until stopped.
        loop {
            self.poll_once();
            let is_stopped =
                wait(stop, &[], PAUSE_MIN) || wait(stop, &self.sources, self.interval - PAUSE_MIN);
            if is_stopped {
                return;
            }
        }
    }
}

/// Sleeps until an alarm, for `limit` at the most. Tells whether it is time to stop.
fn wait(stop: &OwnedFd, sources: &[Watched], limit: Duration) -> bool {
    let alarms = sources.iter().filter_map(|watched| watched.source.alarm());
    let mut fds: Vec<PollFd<'_>> = vec![PollFd::from_borrowed_fd(stop.as_fd(), PollFlags::IN)];
    fds.extend(alarms.map(|alarm| PollFd::from_borrowed_fd(alarm, PollFlags::PRI)));
    let limit = Timespec::try_from(limit).expect("an interval fits the system's clock");
    match poll(&mut fds, Some(&limit)) {
        Ok(_) => !fds[0].revents().is_empty(),
        // Interrupted: an early look does no harm, and looks are bounded by PAUSE_MIN.
        Err(_) => false,
    }
}

impl Watched {
    /// Reads the source. A failure is said once, not at every look.
    fn read(&mut self, reading: &mut Reading) -> Option<SourceError> {
        let error = self.source.read(reading).err();
        reading.is_partial |= error.is_some();
        let was_failing = std::mem::replace(&mut self.is_failing, error.is_some());
        if let Some(error) = &error
            && !was_failing
        {
            tracing::warn!(source = ?self.source, %error, "a source of the memory budget cannot be read: the limit is not raised meanwhile");
        }
        error
    }
}

/// The thread of a [`BudgetWatch`]. Dropping it stops the thread and waits for it: at the most for one look.
#[must_use = "dropping this stops the watch"]
pub struct WatchThread {
    stop: Arc<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for WatchThread {
    fn drop(&mut self) {
        let told = rustix::io::write(&*self.stop, &[1; 8]);
        debug_assert!(told.is_ok(), "an eventfd with room takes a number");
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

impl fmt::Debug for BudgetWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sources = self.sources.iter().map(|watched| &watched.source);
        f.debug_struct("BudgetWatch")
            .field("limit", &self.governor.limit())
            .field("sources", &sources.collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for WatchThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WatchThread")
    }
}
