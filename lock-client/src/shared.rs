//! What all threads of a client share: the front, the lease, and the desk behind its mutex.

use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use tidelock_format::KeyRange;
use tidelock_lock_proto::Mode;
use tidelock_net::{Connection, Frame, FrameError};
use tidelock_sync::atomic::{AtomicU64, Ordering};
use tidelock_sync::{Event, Mutex};

use crate::carrier::Carrier;
use crate::clock::{Clock, nanos};
use crate::desk::{Desk, Life};
use crate::front::{Entered, Front, Tenancy, Use};
use crate::guard::Waiting;
use crate::seat::{Answer, Seat};
use crate::{Config, GuardError, LockError, LockId, invalidate};

/// How much the coarse clock may be behind, as nanoseconds, and more.
const COARSE_ERROR: u64 = 20_000_000;

pub(crate) struct Shared {
    pub(crate) front: Arc<Front>,
    clock: Box<dyn Clock>,
    /// Until when what is held may be used, as nanoseconds of the clock. Zero without a session.
    valid_until: AtomicU64,
    /// Until when locks may be taken on the fast path: the same by the coarse clock, and zero once the client is closed.
    admits_until: AtomicU64,
    desk: Mutex<Desk>,
    /// Has whoever waits listen.
    ear: OnceLock<Arc<dyn Listen>>,
    /// Something has changed that somebody may wait for: a loss, or the end.
    pub(crate) changed: Event,
}

/// Has one who waits listen to the server meanwhile.
pub(crate) trait Listen: Send + Sync {
    /// Listens until `is_told`, until the deadline, or until there is nothing to listen to. Returns at once if somebody does
    /// already.
    fn listen_until(&self, is_told: &dyn Fn() -> bool, deadline: Option<Instant>, shared: &Shared);

    /// Whoever listens so may have been told.
    fn rouse(&self);
}

impl Shared {
    pub(crate) fn new(config: Config, clock: Box<dyn Clock>, carrier: Box<dyn Carrier>) -> Arc<Self> {
        Arc::new_cyclic(|shared: &Weak<Self>| {
            let front = Arc::new(Front::new(config.session.seed));
            let desk = Desk::new(config, shared.clone(), front.clone(), carrier, clock.now());
            Self {
                front,
                clock,
                valid_until: AtomicU64::new(0),
                admits_until: AtomicU64::new(0),
                desk: Mutex::new(desk),
                ear: OnceLock::new(),
                changed: Event::new(),
            }
        })
    }

    pub(crate) fn now(&self) -> Duration {
        self.clock.now()
    }

    /// Whoever waits from now on listens by this.
    pub(crate) fn listen_by(&self, ear: Arc<dyn Listen>) {
        assert!(self.ear.set(ear).is_ok(), "a client has one driver");
    }

    /// As [`Listen::listen_until`]; returns at once without a driver of this crate's own.
    pub(crate) fn listen_until(&self, is_told: &dyn Fn() -> bool, deadline: Option<Instant>) {
        if let Some(ear) = self.ear.get() {
            ear.listen_until(is_told, deadline, self);
        }
    }

    // --- taking ------------------------------------------------------------------------------------------------------

    /// Takes a lock that is held already; `None` if that is not so, or nobody knows whether it is.
    #[inline]
    pub(crate) fn take_cached(&self, range: &KeyRange, mode: Mode) -> Option<Use<'_>> {
        // Before the word is touched: users of one lock have its cache line from each other, and for a moment only.
        self.is_admitting().then(|| self.front.enter(range, mode)).and_then(|entered| self.entered(entered))
    }

    /// The same for a lock that was found there before.
    #[inline]
    pub(crate) fn take_again(&self, tenancy: Tenancy, mode: Mode) -> Option<Use<'_>> {
        self.is_admitting()
            .then(|| self.front.enter_again(tenancy, mode))
            .and_then(|entered| self.entered(entered))
    }

    #[inline]
    fn entered<'a>(&'a self, entered: Entered<'a>) -> Option<Use<'a>> {
        match entered {
            Entered::In(usage) => Some(usage),
            Entered::Crowd(usage) => {
                self.widen(usage.lock());
                Some(usage)
            }
            Entered::Not => None,
            Entered::Drained(id) => {
                self.report_drained(id);
                None
            }
        }
    }

    #[inline]
    fn is_admitting(&self) -> bool {
        // Relaxed: a new end of the lease counts when it is seen; an old one is earlier.
        self.clock.coarse() < self.admits_until.load(Ordering::Relaxed)
    }

    #[cold]
    fn widen(&self, id: LockId) {
        self.at_desk(|_, _| self.front.widen(id));
    }

    /// Takes a lock, or begins to wait for it.
    pub(crate) fn take(&self, range: KeyRange, mode: Mode) -> Result<Waiting<'_>, LockError> {
        if invalidate::is_inside() {
            return Err(LockError::InsideInvalidation);
        }
        let seat = Arc::new(Seat::default());
        let ticket = self.at_desk(|desk, _| desk.want(range, mode, &seat))?;
        Ok(Waiting::new(self, seat, range, mode, ticket))
    }

    /// Ends one use.
    #[inline]
    pub(crate) fn give_up(&self, usage: Use<'_>) {
        if usage.leave() {
            self.report_drained(usage.lock());
        }
    }

    #[cold]
    pub(crate) fn report_drained(&self, id: LockId) {
        self.at_desk(|desk, _| desk.drained(id));
    }

    /// Whether what is held as this lock, by the caller, may be used.
    #[inline]
    pub(crate) fn check(&self, usage: &Use<'_>) -> Result<(), GuardError> {
        // Acquire: pairs with the Release in `publish_lease`. Whoever sees the lease of a later session sees that the locks
        // of this one are void.
        let until = self.valid_until.load(Ordering::Acquire);
        if usage.is_void() {
            return Err(GuardError::Lost);
        }
        if nanos(self.now()) < until { Ok(()) } else { Err(GuardError::LeaseOver) }
    }

    /// Whether the lease is good.
    pub(crate) fn has_lease(&self) -> bool {
        // Acquire: as in `check`.
        nanos(self.now()) < self.valid_until.load(Ordering::Acquire)
    }

    // --- the desk ----------------------------------------------------------------------------------------------------

    /// Does something at the desk, and everything that follows.
    pub(crate) fn at_desk<R>(&self, step: impl FnOnce(&mut Desk, Duration) -> R) -> R {
        let mut desk = self.desk.lock().expect("nobody panics at the desk");
        let before = (desk.counters.losses, desk.life.clone(), desk.invalidating.len());
        let now = self.now();
        desk.look_at_lease(now);
        let result = step(&mut desk, now);
        desk.settle(now);
        self.publish_lease(&desk);
        let told = desk.take_told();
        let after = (desk.counters.losses, desk.life.clone(), desk.invalidating.len());
        drop(desk);
        self.tell(told);
        if before != after {
            self.changed.notify_all();
        }
        result
    }

    fn tell(&self, told: Vec<(Arc<Seat>, Mode, Answer)>) {
        if told.is_empty() {
            return;
        }
        for (seat, mode, answer) in told {
            if let Some(Ok(id)) = seat.tell(answer) {
                self.give_up(self.front.use_of(id, mode));
            }
        }
        if let Some(ear) = self.ear.get() {
            ear.rouse();
        }
    }

    /// Several frames came in, one after the other. From one on that is none the connection is good for nothing.
    pub(crate) fn heard_all<'a>(
        &self,
        connection: Connection,
        frames: impl IntoIterator<Item = Result<Frame<'a>, FrameError>>,
    ) {
        self.at_desk(|desk, now| {
            for frame in frames {
                match frame {
                    Ok(frame) => desk.heard(connection, &frame, now),
                    Err(_) => return desk.disconnected(connection, now),
                }
            }
        });
    }

    /// Time has passed.
    pub(crate) fn tick(&self) {
        self.at_desk(|desk, now| desk.tick(now));
    }

    /// Looks at the desk.
    pub(crate) fn look<R>(&self, look: impl FnOnce(&Desk) -> R) -> R {
        look(&self.desk.lock().expect("nobody panics at the desk"))
    }

    /// Waits until something can be seen at the desk, or until the deadline.
    pub(crate) fn wait_until<T>(
        &self,
        deadline: Option<Instant>,
        mut find: impl FnMut(&Desk) -> Option<T>,
    ) -> Option<T> {
        loop {
            let listener = self.changed.listen();
            if let Some(found) = self.look(&mut find) {
                return Some(found);
            }
            match deadline {
                None => listener.wait(),
                Some(deadline) if !listener.wait_deadline(deadline) => return self.look(&mut find),
                Some(_) => {}
            }
        }
    }

    fn publish_lease(&self, desk: &Desk) {
        let until = desk.lease_ends().map_or(0, nanos);
        let left = until.saturating_sub(nanos(self.now())).saturating_sub(COARSE_ERROR);
        let is_open = desk.life == Life::Open && left > 0;
        let admits_until = if is_open { self.clock.coarse() + left } else { 0 };
        // Release: pairs with the Acquire in `check`.
        self.valid_until.store(until, Ordering::Release);
        // Relaxed: see where it is read.
        self.admits_until.store(admits_until, Ordering::Relaxed);
    }

    pub(crate) fn invalidated(&self, id: LockId) {
        self.at_desk(|desk, _| desk.invalidated(id));
    }

    pub(crate) fn loss_handled(&self) {
        self.at_desk(|desk, now| desk.loss_handled(now));
    }
}
