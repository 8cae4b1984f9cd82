//! Guards: the proof that a lock is held, and the only way to give it up.

use std::fmt;
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use tidelock_format::{KeyRange, Token};
use tidelock_lock_proto::Mode;
use tidelock_sync::{Listener, Pending};

use crate::front::Use;
use crate::seat::{Answer, Seat};
use crate::shared::Shared;
use crate::{Coverage, GuardError, LockError, LockId, Ticket};

/// A lock that is held, as long as this lives. It keeps other *clients* out as its mode says; other threads of this client share it.
///
/// A guard cannot keep a lock that is taken away: when the session ends, or the lease runs out unrenewed, another client may
/// get it. [`check`](Self::check) tells, and costs about as much as looking at a clock. A store that checks
/// [tokens](Self::token) is the only protection against a write that was begun before and arrives after.
#[must_use = "the lock is given up when the guard is dropped"]
pub struct Guard<'a> {
    shared: &'a Shared,
    usage: Use<'a>,
}

impl<'a> Guard<'a> {
    /// Of a use that was counted already.
    #[inline]
    pub(crate) fn new(shared: &'a Shared, usage: Use<'a>) -> Self {
        Self { shared, usage }
    }

    pub(crate) fn usage(&self) -> &Use<'a> {
        &self.usage
    }

    /// The keys that the lock covers.
    pub fn range(&self) -> KeyRange {
        self.usage.range()
    }

    /// As what it is held. The client may hold the lock as more.
    pub fn mode(&self) -> Mode {
        self.usage.mode()
    }

    /// The newest grant of the lock: what a store that remembers the greatest token can tell late writers by.
    pub fn token(&self) -> Token {
        self.usage.token()
    }

    /// Whether the lock is still this client's, and how not.
    ///
    /// # Errors
    /// If the lease is over or the lock is lost. From then on nothing may be read or written on the strength of this guard.
    #[inline]
    pub fn check(&self) -> Result<(), GuardError> {
        self.shared.check(&self.usage)
    }

    /// Whether the lock is still this client's: [`check`](Self::check) without the reason.
    #[inline]
    pub fn is_valid(&self) -> bool {
        self.check().is_ok()
    }

    /// Changes whenever the client begins to read under this lock anew, and is never the same for two locks: what was
    /// cached under an older generation has to be read again. Zero if the lock does not allow reading.
    pub fn refresh_gen(&self) -> u64 {
        self.usage.refresh()
    }

    /// What tells later, without taking the lock, whether what is read now may still be relied on.
    pub fn coverage(&self) -> Coverage {
        Coverage::new(self.usage.lock(), self.refresh_gen())
    }

    /// Leaves a number for the next [invalidation](crate::Invalidation::stamp) of this lock. The greatest stays. (That of the
    /// transaction in which something was changed, say: so only that has to be written back.)
    pub fn stamp(&self, stamp: u64) {
        self.usage.stamp(stamp);
    }

    /// Takes the same lock once more, as `mode`: at once, even if the lock has been called back meanwhile, since whoever waits
    /// for it waits for this guard anyway. `None` if this guard's mode does not include it.
    pub fn again(&self, mode: Mode) -> Option<Guard<'a>> {
        let is_included = self.mode().satisfies(mode) && mode != Mode::Null;
        is_included.then(|| Guard::new(self.shared, self.usage.again(mode)))
    }

    /// Holds the lock for reading only from now on. A guard that reads already stays as it is.
    ///
    /// # Panics
    /// J2, of a guard that writes without reading: there is nothing to go down to. A broken caller.
    pub fn downgrade(&mut self) {
        assert!(self.mode() != Mode::WriteOnly, "J2: who writes without reading has read nothing");
        if self.mode() == Mode::Write && self.usage.downgrade() {
            self.shared.report_drained(self.usage.lock());
        }
    }

    /// Whether this and another guard are of the same lock.
    pub fn is_same_lock(&self, other: &Guard<'_>) -> bool {
        self.usage.lock() == other.usage.lock() && std::ptr::eq(self.shared, other.shared)
    }
}

impl Drop for Guard<'_> {
    #[inline]
    fn drop(&mut self) {
        self.shared.give_up(self.usage);
    }
}

impl fmt::Debug for Guard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("range", &self.range())
            .field("mode", &self.mode())
            .finish_non_exhaustive()
    }
}

/// A [`Guard`] that keeps its client's state alive itself: for structures and tasks that outlive the [`Locks`](crate::Locks) they
/// took it from. Costs a reference count that all threads share; a plain guard does not.
#[must_use = "the lock is given up when the guard is dropped"]
pub struct OwnedGuard {
    shared: Arc<Shared>,
    id: LockId,
    lane: usize,
    mode: Mode,
}

impl OwnedGuard {
    pub(crate) fn new(guard: Guard<'_>, shared: Arc<Shared>) -> Self {
        let guard = ManuallyDrop::new(guard);
        let (id, lane, mode) = (guard.usage.lock(), guard.usage.lane(), guard.mode());
        Self { shared, id, lane, mode }
    }

    fn usage(&self) -> Use<'_> {
        self.shared.front.use_in(self.id, self.lane, self.mode)
    }

    /// The same use of the lock as a plain guard, for as long as this is borrowed.
    pub fn with<R>(&self, use_it: impl FnOnce(&Guard<'_>) -> R) -> R {
        use_it(&ManuallyDrop::new(Guard::new(&self.shared, self.usage())))
    }

    /// As [`Guard::downgrade`].
    ///
    /// # Panics
    /// As [`Guard::downgrade`].
    pub fn downgrade(&mut self) {
        ManuallyDrop::new(Guard::new(&self.shared, self.usage())).downgrade();
        if self.mode == Mode::Write {
            self.mode = Mode::Read;
        }
    }

    /// As [`Guard::check`].
    ///
    /// # Errors
    /// As [`Guard::check`].
    pub fn check(&self) -> Result<(), GuardError> {
        self.shared.check(&self.usage())
    }
}

impl Drop for OwnedGuard {
    fn drop(&mut self) {
        self.shared.give_up(self.usage());
    }
}

impl fmt::Debug for OwnedGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedGuard").field("mode", &self.mode).finish_non_exhaustive()
    }
}

/// Waiting for a lock. Dropped, it waits no longer, and gives up what it may have got meanwhile.
pub(crate) struct Waiting<'a> {
    shared: &'a Shared,
    seat: Arc<Seat>,
    range: KeyRange,
    mode: Mode,
    ticket: Ticket,
    listener: Option<Listener>,
    is_over: bool,
}

impl<'a> Waiting<'a> {
    pub(crate) fn new(
        shared: &'a Shared,
        seat: Arc<Seat>,
        range: KeyRange,
        mode: Mode,
        ticket: Ticket,
    ) -> Self {
        Self { shared, seat, range, mode, ticket, listener: None, is_over: false }
    }

    fn finish(&mut self, answer: Answer) -> Result<Guard<'a>, LockError> {
        self.is_over = true;
        answer.map(|id| Guard::new(self.shared, self.shared.front.use_of(id, self.mode)))
    }
}

impl<'a> Pending<Result<Guard<'a>, LockError>> for Waiting<'a> {
    fn try_now(&mut self) -> Option<Result<Guard<'a>, LockError>> {
        let answer = self.seat.take()?;
        Some(self.finish(answer))
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Guard<'a>, LockError>> {
        let answer = std::task::ready!(self.seat.poll(&mut self.listener, context));
        Poll::Ready(self.finish(answer))
    }

    fn wait(&mut self, deadline: Option<Instant>) -> Option<Result<Guard<'a>, LockError>> {
        self.shared.listen_until(&|| self.seat.is_told(), deadline);
        let answer = self.seat.wait(deadline)?;
        Some(self.finish(answer))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        match self.seat.abandon() {
            Some(Ok(id)) => self.shared.give_up(self.shared.front.use_of(id, self.mode)),
            Some(Err(_)) => {}
            // Not told yet: whoever tells finds the seat abandoned, or the desk takes the ticket back.
            None => self.shared.at_desk(|desk, _| desk.cancel(self.range, self.ticket)),
        }
    }
}
