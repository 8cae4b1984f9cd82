//! The socket, shared by the thread that reads it and those that write.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tidelock_net::Connection;
use tidelock_net::transport::{Address, Bell, ConnectOptions, Flushed, Link};

use super::pool::Pool;
use crate::carrier::Carrier;
use crate::clock::nanos;
use crate::sleeper::{Nap, Sleeper};
use crate::{Invalidation, Loss};

/// Where the server is.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) address: Address,
    pub(crate) options: ConnectOptions,
}

/// What is between a client and its server.
pub(super) struct Wire {
    pub(super) target: Target,
    state: Mutex<State>,
    /// Wakes the listener.
    pub(super) bell: Bell,
    /// Wakes whoever listens in its place.
    pub(super) stand_in: Bell,
    /// Whether that one sleeps.
    sleeper: Sleeper,
    /// When the client is to be ticked next, as nanoseconds of the clock.
    next_tick: AtomicU64,
    /// Until when the listener sleeps, likewise; zero while it does not.
    sleeps_until: AtomicU64,
}

#[derive(Default)]
pub(super) struct State {
    /// To be made by the listener: looking up a name may take its time.
    pub(super) wanted: Option<Connection>,
    pub(super) link: Option<(Connection, Link)>,
    pub(super) is_stopped: bool,
}

impl Wire {
    pub(super) fn new(target: Target) -> io::Result<Self> {
        let (bell, stand_in) = (Bell::new()?, Bell::new()?);
        let state = Mutex::new(State::default());
        let (next_tick, sleeps_until) = (AtomicU64::new(0), AtomicU64::new(0));
        Ok(Self { target, state, bell, stand_in, sleeper: Sleeper::new(), next_tick, sleeps_until })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics at the wire")
    }

    /// When the client is to be ticked next, as nanoseconds of the clock.
    pub(super) fn next_tick(&self) -> u64 {
        // SeqCst: see `sleep`.
        self.next_tick.load(Ordering::SeqCst)
    }

    /// The listener goes to sleep: until when, as nanoseconds of the clock. It is woken for anything earlier.
    pub(super) fn sleep(&self) -> u64 {
        self.sleeps_until.store(self.next_tick(), Ordering::SeqCst);
        // SeqCst: this look comes after that store, and in `set_timer` it is the other way round: one of the two sees the
        // other.
        self.next_tick()
    }

    /// The listener is awake, and looks at the timer before it sleeps again.
    pub(super) fn is_awake(&self) {
        // SeqCst: as in `sleep`.
        self.sleeps_until.store(0, Ordering::SeqCst);
    }

    /// Whoever listens in the listener's place goes to sleep for as long as this lives, and is woken by [`rouse`](Self::rouse).
    pub(super) fn nap(&self) -> Nap<'_> {
        self.sleeper.nap()
    }

    /// Wakes whoever listens in the listener's place, if it sleeps. To be called after anything that it may wait for.
    pub(super) fn rouse(&self) {
        if self.sleeper.is_asleep() {
            self.stand_in.ring();
        }
    }

    /// There is this link from now on. Whoever listens to another finds out.
    pub(super) fn put_link(&self, link: Option<(Connection, Link)>) {
        self.state().link = link;
        self.rouse();
    }

    /// Whether nobody has stopped it.
    pub(super) fn goes_on(&self) -> bool {
        !self.state().is_stopped
    }

    pub(super) fn stop(&self) {
        self.state().is_stopped = true;
        self.ring();
    }

    /// Wakes both.
    fn ring(&self) {
        self.bell.ring();
        self.rouse();
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("target", &self.target).finish_non_exhaustive()
    }
}

impl State {
    /// The link, if it is still this connection's.
    pub(super) fn link_of(&mut self, connection: Connection) -> Option<&mut Link> {
        self.link.as_mut().filter(|(present, _)| *present == connection).map(|(_, link)| link)
    }
}

/// Carries out what the desk decides.
pub(super) struct WireCarrier {
    wire: Arc<Wire>,
    pool: Arc<Pool>,
    /// Something was queued and not flushed.
    has_queued: bool,
}

impl WireCarrier {
    pub(super) fn new(wire: Arc<Wire>, pool: Arc<Pool>) -> Self {
        Self { wire, pool, has_queued: false }
    }
}

impl Carrier for WireCarrier {
    fn connect(&mut self, connection: Connection) {
        self.wire.state().wanted = Some(connection);
        self.wire.ring();
    }

    fn write(&mut self, connection: Connection, bytes: &[u8]) {
        if let Some(link) = self.wire.state().link_of(connection) {
            link.queue(bytes);
            self.has_queued = true;
        }
    }

    fn flush(&mut self) {
        if !std::mem::take(&mut self.has_queued) {
            return;
        }
        let mut state = self.wire.state();
        let Some((_, link)) = &mut state.link else { return };
        if !matches!(link.flush(), Ok(Flushed::All)) {
            // Whoever listens waits for room, or finds that the link is broken.
            drop(state);
            self.wire.ring();
        }
    }

    fn close(&mut self, connection: Connection) {
        let mut state = self.wire.state();
        state.wanted.take_if(|wanted| *wanted == connection);
        state.link.take_if(|(present, _)| *present == connection);
        drop(state);
        // R3; and whoever watches the link keeps it open until it looks again.
        self.wire.ring();
    }

    fn invalidate(&mut self, invalidation: Invalidation) {
        self.pool.invalidate(invalidation);
    }

    fn lose(&mut self, loss: Loss) {
        self.pool.lose(loss);
    }

    fn set_timer(&mut self, next_tick: Option<Duration>) {
        let next = next_tick.map_or(u64::MAX, nanos);
        // SeqCst: see `Wire::sleep`.
        self.wire.next_tick.store(next, Ordering::SeqCst);
        if next < self.wire.sleeps_until.load(Ordering::SeqCst) {
            self.wire.bell.ring();
        }
    }

    fn draw(&mut self) -> u128 {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).expect("the system has random numbers");
        u128::from_le_bytes(bytes)
    }
}
