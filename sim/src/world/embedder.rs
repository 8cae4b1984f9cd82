//! What is built on a client: a cache of registers, dropped when its locks come down.

use std::collections::BTreeMap;
use std::time::Duration;

use tidelock_lock_client::{Invalidation, Loss};

use super::client::Stimulus;
use super::{Event, World, lock_no};
use crate::canary::Canary;
use crate::facts::LockNo;

/// A register's value, and the refresh generation under which it was read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cached {
    pub(super) value: u64,
    pub(super) refresh: u64,
}

/// An invalidation under way.
struct Dropping {
    lock: LockNo,
    is_cache_to_go: bool,
    /// Taken when it was answered before its time.
    invalidation: Option<Invalidation>,
}

/// An embedder.
pub(super) struct Embedder {
    pub(super) cache: Vec<Option<Cached>>,
    /// Locks whose register somebody is talking to the store about: one at a time.
    pub(super) busy: Vec<Option<usize>>,
    dropping: BTreeMap<u64, Dropping>,
    last_key: u64,
    losses: Vec<Loss>,
    /// Whether it keeps anything.
    caches: bool,
}

impl Embedder {
    pub(super) fn new(locks: usize) -> Self {
        Self {
            cache: vec![None; locks],
            busy: vec![None; locks],
            dropping: BTreeMap::new(),
            last_key: 0,
            losses: Vec::new(),
            caches: true,
        }
    }

    /// Keeps nothing from now on.
    pub(super) fn stop_caching(&mut self) {
        self.caches = false;
        self.cache.fill(None);
    }

    pub(super) fn has_losses(&self) -> bool {
        !self.losses.is_empty()
    }

    pub(super) fn is_dropping(&self) -> bool {
        !self.dropping.is_empty() || self.has_losses()
    }
}

impl World<'_> {
    pub(super) fn cache(&mut self, client: usize, lock: LockNo, cached: Option<Cached>) {
        let embedder = &mut self.clients[client].embedder;
        let cached = cached.filter(|cached| embedder.caches && cached.refresh != 0);
        embedder.cache[lock] = cached;
        self.views[client].cached[lock] = cached.map(|cached| cached.refresh);
    }

    /// A lock comes down: its cache is going to be dropped, if the new mode does not allow to keep it.
    pub(super) fn invalidate(&mut self, client: usize, invalidation: Invalidation) {
        self.counts.invalidations += 1;
        let lease = self.plan.timeouts.lease;
        let is_slow = self.now < self.slow_invalidation_until;
        let most = if is_slow { lease * 2 } else { Duration::from_millis(50) };
        let lock = lock_no(invalidation.range().start());
        let is_cache_to_go = !invalidation.to().may_read() || invalidation.is_lost();
        self.log.line(
            self.now,
            format_args!(
                "c{client} invalidates lock {lock}: {} to {}",
                invalidation.from(),
                invalidation.to()
            ),
        );
        let is_early = self.has(Canary::CedeEarly) && is_cache_to_go;
        let process = &mut self.clients[client];
        let time = process.random.short_time(Duration::ZERO, most);
        process.embedder.last_key += 1;
        let key = process.embedder.last_key;
        let mut invalidation = Some(invalidation);
        let early = if is_early { invalidation.take() } else { None };
        process.embedder.dropping.insert(key, Dropping { lock, is_cache_to_go, invalidation });
        if let Some(early) = early {
            early.done();
        }
        self.queue.push(self.now + time, Event::Client(client, Stimulus::Invalidated(key)));
    }

    pub(super) fn invalidated(&mut self, client: usize, key: u64) {
        let Some(dropping) = self.clients[client].embedder.dropping.remove(&key) else { return };
        if dropping.is_cache_to_go {
            self.cache(client, dropping.lock, None);
        }
        if let Some(invalidation) = dropping.invalidation {
            self.log.line(self.now, format_args!("c{client} has invalidated lock {}", dropping.lock));
            invalidation.done();
        }
    }

    /// Everything is lost.
    pub(super) fn lose(&mut self, client: usize, loss: Loss) {
        let process = &mut self.clients[client];
        process.embedder.losses.push(loss);
        let time = process.random.short_time(Duration::ZERO, Duration::from_millis(100));
        self.queue.push(self.now + time, Event::Client(client, Stimulus::LossHandled));
    }

    pub(super) fn loss_handled(&mut self, client: usize) {
        self.clients[client].embedder.cache.fill(None);
        self.views[client].cached.fill(None);
        if let Some(loss) = self.clients[client].embedder.losses.pop() {
            loss.handled();
        }
    }
}
