//! What the embedder has to do when a lock goes: drop, or write back, what it cached under it.

use std::cell::Cell;
use std::fmt;
use std::sync::Weak;
use std::time::Duration;

use tidelock_format::KeyRange;
use tidelock_lock_proto::{Change, Mode};

use crate::LockId;
use crate::shared::Shared;

/// What the embedder implements. It is called from threads of its own, never from where messages are received, never with a
/// lock of this crate held, and for different locks at the same time.
///
/// While it runs the lock still counts as held: nobody else has it before the invalidation is done. It must not take locks of this client,
/// since others may be waiting for just this invalidation while they hold them: an attempt that would have to wait is
/// refused ([`InsideInvalidation`](crate::LockError::InsideInvalidation)).
pub trait Invalidate: Send + Sync + 'static {
    /// Write back what was changed under the lock, drop what the new mode does not allow to keep, and call
    /// [`done`](Invalidation::done), now or later and on any thread. Nobody uses the lock as more than the new mode.
    fn invalidate(&self, invalidation: Invalidation);

    /// Everything that was cached under any lock is void: drop it, and write nothing, for it may be somebody else's already.
    /// No lock is taken anew before this returns.
    fn lost(&self, why: Cause);
}

/// Why everything is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The server has ended the session: the lease ran out, or somebody had it ended.
    Expelled,
    /// The server does not follow the protocol, and nothing that it says can be relied on.
    Broken,
    /// The server is not ours to talk to any more: another version, another service, or one that was set back.
    Mismatched,
}

/// One lock that comes down. To be finished by [`done`](Self::done). Dropped without, it leaves the lock as it was: others wait
/// for it until the server ends this client's session.
#[must_use = "an invalidation that is not finished costs the client its session"]
pub struct Invalidation {
    pub(crate) shared: Weak<Shared>,
    pub(crate) lock: LockId,
    pub(crate) range: KeyRange,
    pub(crate) change: Change,
    pub(crate) stamp: u64,
    pub(crate) since: Duration,
    pub(crate) is_lost: bool,
}

impl Invalidation {
    /// The keys that the lock covers.
    pub fn range(&self) -> KeyRange {
        self.range
    }

    /// As what it was held.
    pub fn from(&self) -> Mode {
        self.change.from
    }

    /// As what it will be held.
    pub fn to(&self) -> Mode {
        self.change.to
    }

    /// The greatest stamp that was [left](crate::Guard::stamp) under the lock since it was invalidated last; zero if none was.
    /// (A transaction's number, say: what was changed before it needs no writing back.)
    pub fn stamp(&self) -> u64 {
        self.stamp
    }

    /// Whether the lock is lost already: then nothing may be written back, for it may be somebody else's by now. (A new server
    /// found that another client had it.)
    pub fn is_lost(&self) -> bool {
        self.is_lost
    }

    /// When it began, by the client's clock.
    pub fn since(&self) -> Duration {
        self.since
    }

    /// It is done: the lock comes down.
    pub fn done(self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.invalidated(self.lock);
        }
    }
}

impl fmt::Debug for Invalidation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { range, change, stamp, since, is_lost, .. } = self;
        f.debug_struct("Invalidation")
            .field("range", range)
            .field("change", change)
            .field("stamp", stamp)
            .field("since", since)
            .field("is_lost", is_lost)
            .finish_non_exhaustive()
    }
}

/// Everything is lost, and the embedder has to be told before the client goes on.
#[must_use = "the client goes on when the embedder has been told"]
pub struct Loss {
    pub(crate) shared: Weak<Shared>,
    pub(crate) why: Cause,
}

impl Loss {
    /// Why.
    pub fn why(&self) -> Cause {
        self.why
    }

    /// The embedder has been told: the client may open a new session.
    pub fn handled(self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.loss_handled();
        }
    }
}

impl fmt::Debug for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loss").field("why", &self.why).finish_non_exhaustive()
    }
}

thread_local! {
    /// Whether this thread is inside an invalidation.
    static IS_INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is inside an invalidation.
pub(crate) fn is_inside() -> bool {
    IS_INSIDE.get()
}

/// Calls the embedder. While that runs, this thread takes no locks that it would have to wait for.
pub fn call_embedder(call: impl FnOnce()) {
    struct Outside;
    impl Drop for Outside {
        fn drop(&mut self) {
            IS_INSIDE.set(false);
        }
    }
    IS_INSIDE.set(true);
    let _outside = Outside;
    call();
}
