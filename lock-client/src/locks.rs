//! For those who take locks.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tidelock_format::{KeyRange, Token};
use tidelock_lock_proto::Mode;
use tidelock_sync::{Op, Pending};

use crate::holdings::Phase;
use crate::shared::Shared;
use crate::{Counters, Coverage, Guard, LockError, NamedLock, OwnedGuard};

/// A handle to a client's locks: to be cloned, and used from any thread or runtime.
#[derive(Clone)]
pub struct Locks(Arc<Shared>);

impl Locks {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    /// Takes the lock of this range, and waits for it if need be. One that the client holds already is taken without a lock and
    /// without a message: the [`Op`] is ready. Waiting ends with the lock, with an error, or with the `Op`'s being dropped.
    ///
    /// All clients have to agree on the ranges: a lock is named by its first key, and two locks never share a key.
    ///
    /// # Panics
    /// H5, for [`Mode::Null`]: nobody waits for nothing. A broken caller.
    #[inline]
    pub fn lock(&self, range: KeyRange, mode: Mode) -> Op<'_, Result<Guard<'_>, LockError>> {
        match self.try_lock(&range, mode) {
            Some(guard) => Op::ready(Ok(guard)),
            None => self.wait_for(range, mode),
        }
    }

    #[cold]
    pub(crate) fn wait_for(&self, range: KeyRange, mode: Mode) -> Op<'_, Result<Guard<'_>, LockError>> {
        match self.0.take(range, mode) {
            // It may have been granted just now.
            Ok(mut waiting) => match waiting.try_now() {
                Some(result) => Op::ready(result),
                None => Op::pending(waiting),
            },
            Err(error) => Op::ready(Err(error)),
        }
    }

    /// Takes the lock of this range if that takes neither waiting nor asking; `None` otherwise.
    ///
    /// # Panics
    /// As [`lock`](Self::lock).
    #[inline]
    pub fn try_lock(&self, range: &KeyRange, mode: Mode) -> Option<Guard<'_>> {
        assert!(mode != Mode::Null, "H5: nobody waits for nothing");
        let usage = self.0.take_cached(range, mode)?;
        Some(Guard::new(&self.0, usage))
    }

    /// The lock of this range, to be kept by whoever takes it often: it remembers where it was found last.
    pub fn named(&self, range: KeyRange) -> NamedLock {
        NamedLock::new(self.clone(), range)
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.0
    }

    /// Takes several locks, in the order of their keys, so that two callers who want the same never wait for each other.
    /// All or nothing. A range that is named twice is taken once, as the greater mode; the guards come in the order of their
    /// keys.
    ///
    /// # Panics
    /// As [`lock`](Self::lock). J2, too, if one range is named for writing only and for anything else: neither includes the
    /// other, and the second would wait for the first for ever.
    pub fn lock_all(
        &self,
        wanted: impl IntoIterator<Item = (KeyRange, Mode)>,
    ) -> Op<'_, Result<Vec<Guard<'_>>, LockError>> {
        let mut wanted: Vec<_> = wanted.into_iter().collect();
        // The first of equals is the one that includes the others.
        wanted.sort_by_key(|(range, mode)| (range.start(), range.end(), !mode.may_write()));
        wanted.dedup_by(|(range, mode), (first, first_mode)| range == first && first_mode.satisfies(*mode));
        let is_twice = wanted.windows(2).any(|pair| pair[0].0 == pair[1].0);
        assert!(
            !is_twice,
            "J2: a lock is wanted for writing only, and for reading: it would wait for itself"
        );
        wanted.reverse();
        let mut all = LockAll { locks: self, wanted, got: Vec::new(), next: None };
        match all.try_now() {
            Some(result) => Op::ready(result),
            None => Op::pending(all),
        }
    }

    /// Has a guard keep alive what it needs by itself.
    pub fn own(&self, guard: Guard<'_>) -> OwnedGuard {
        OwnedGuard::new(guard, self.0.clone())
    }

    /// Whether what was read under a lock may still be relied on, without taking the lock: the client has held it for reading
    /// ever since, and its lease is good. By the time the caller acts on the answer that may have changed: for a decision
    /// that has to hold, take the lock.
    pub fn covers(&self, coverage: &Coverage) -> bool {
        coverage.is_of(self.0.front.refresh(coverage.lock())) && self.0.has_lease()
    }

    /// Waits until a [guard](Guard::check) of this client may have become bad: its session is over. Tells at once if locks
    /// were lost since `losses` of them had been (see [`Counters::losses`]).
    pub fn lost(&self, losses: u64) -> Op<'_, u64> {
        let mut waiting = AwaitLoss { shared: &self.0, losses, listener: None };
        match waiting.try_now() {
            Some(losses) => Op::ready(losses),
            None => Op::pending(waiting),
        }
    }

    /// Every lock that is held or wanted, in order of their keys.
    pub fn dump(&self) -> Vec<LockInfo> {
        let now = self.0.now();
        self.0.look(|desk| {
            let info = |view: crate::holdings::LockView| {
                let (readers, writers) = self.0.front.users_of(view.lock);
                let since = desk.invalidating.get(&view.lock).map(|invalidating| now - invalidating.since);
                LockInfo {
                    range: view.range,
                    held: view.held,
                    usable: view.usable,
                    token: view.token,
                    asked: view.asked,
                    readers,
                    writers,
                    waiters: view.waiters,
                    phase: view.phase,
                    invalidating_for: since,
                }
            };
            desk.holdings.locks().map(info).collect()
        })
    }

    /// What happened so far, in numbers.
    pub fn counters(&self) -> Counters {
        self.0.look(|desk| desk.counters)
    }
}

impl fmt::Debug for Locks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Locks")
    }
}

/// One lock of a client, for people and tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockInfo {
    /// Its keys.
    pub range: KeyRange,
    /// As what it is held. One that comes down counts as before until it is down.
    pub held: Mode,
    /// As what it may be used.
    pub usable: Mode,
    /// The grant.
    pub token: Token,
    /// What the server was asked for, and has not answered.
    pub asked: Option<Mode>,
    /// Threads and tasks that read under it.
    pub readers: u64,
    /// Those that write.
    pub writers: u64,
    /// Those that wait for it.
    pub waiters: usize,
    /// How far it has come down.
    pub phase: Phase,
    /// How long its invalidation has taken, if there is one.
    pub invalidating_for: Option<Duration>,
}

/// Several locks, one after the other.
struct LockAll<'a> {
    locks: &'a Locks,
    /// The next is the last.
    wanted: Vec<(KeyRange, Mode)>,
    got: Vec<Guard<'a>>,
    next: Option<Op<'a, Result<Guard<'a>, LockError>>>,
}

/// What came of all of them, once that is known.
type All<'a> = Result<Vec<Guard<'a>>, LockError>;

impl<'a> LockAll<'a> {
    /// Goes on as far as `wait` lets it: `None` when that gives an `Op` back.
    fn go_on(
        &mut self,
        mut wait: impl FnMut(
            Op<'a, Result<Guard<'a>, LockError>>,
        )
            -> Result<Result<Guard<'a>, LockError>, Op<'a, Result<Guard<'a>, LockError>>>,
    ) -> Option<All<'a>> {
        loop {
            let next = match self.next.take() {
                Some(next) => next,
                None => match self.wanted.pop() {
                    Some((range, mode)) => self.locks.lock(range, mode),
                    None => return Some(Ok(std::mem::take(&mut self.got))),
                },
            };
            match wait(next) {
                Ok(Ok(guard)) => self.got.push(guard),
                Ok(Err(error)) => {
                    self.got.clear();
                    return Some(Err(error));
                }
                Err(next) => {
                    self.next = Some(next);
                    return None;
                }
            }
        }
    }
}

impl<'a> Pending<All<'a>> for LockAll<'a> {
    fn try_now(&mut self) -> Option<All<'a>> {
        self.go_on(Op::try_now)
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<All<'a>> {
        let poll = |mut next: Op<'a, _>| match Future::poll(std::pin::Pin::new(&mut next), context) {
            Poll::Ready(result) => Ok(result),
            Poll::Pending => Err(next),
        };
        self.go_on(poll).map_or(Poll::Pending, Poll::Ready)
    }

    fn wait(&mut self, deadline: Option<Instant>) -> Option<All<'a>> {
        self.go_on(|next| match deadline {
            Some(deadline) => next.wait_timeout(deadline.saturating_duration_since(Instant::now())),
            None => Ok(next.wait()),
        })
    }
}

/// Waiting for bad news.
struct AwaitLoss<'a> {
    shared: &'a Shared,
    losses: u64,
    listener: Option<tidelock_sync::Listener>,
}

impl Pending<u64> for AwaitLoss<'_> {
    fn try_now(&mut self) -> Option<u64> {
        let losses = self.shared.look(|desk| desk.counters.losses);
        (losses > self.losses).then_some(losses)
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<u64> {
        loop {
            if self.listener.is_none() {
                self.listener = Some(self.shared.changed.listen());
            }
            if let Some(losses) = self.try_now() {
                return Poll::Ready(losses);
            }
            let listener = self.listener.as_mut().expect("made above");
            std::task::ready!(std::pin::Pin::new(listener).poll(context));
            self.listener = None;
        }
    }

    fn wait(&mut self, deadline: Option<Instant>) -> Option<u64> {
        self.shared.wait_until(deadline, |desk| {
            let losses = desk.counters.losses;
            (losses > self.losses).then_some(losses)
        })
    }
}
