//! Frames that were retired and may still be seen.
//!
//! They come in small batches and stand *open* until there are enough for a stamp, which everybody who begins a guard then
//! notices. As a rule all threads are past it soon, by using the cache. Where one is not, and frames pile up behind it, the
//! stamps are expedited, which is dear: hence [`patience_for`].

use std::collections::VecDeque;
// Numbers to steer by: every access is Relaxed for that reason.
use tidelock_sync::unmodelled::{AtomicUsize, Ordering};

use tidelock_sync::Mutex;

use super::epoch::{Domain, Stamp};
use super::frame::FrameNo;
use super::lock;

/// The waiting room.
#[derive(Debug)]
pub(crate) struct Limbo {
    lists: Mutex<Lists>,
    len: AtomicUsize,
    /// Open frames that are worth a stamp.
    window: AtomicUsize,
    /// Frames from which on their stamps are expedited.
    patience: AtomicUsize,
}

#[derive(Debug, Default)]
struct Lists {
    open: Vec<FrameNo>,
    /// Oldest first.
    stamped: VecDeque<(Stamp, VecDeque<FrameNo>)>,
}

/// A 256th of the cache at most is out of it while a thread rests: a 64th cost up to 0.8 points of hit ratio on traces of
/// disks.
fn patience_for(capacity: usize) -> usize {
    (capacity / 256).clamp(1, 2048)
}

/// A stamp makes every thread fetch the epoch anew: not for less than this.
fn window_for(capacity: usize) -> usize {
    (patience_for(capacity) / 4).clamp(1, 256)
}

impl Limbo {
    /// For a cache of `capacity` frames.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            lists: Mutex::new(Lists::default()),
            len: AtomicUsize::new(0),
            window: AtomicUsize::new(window_for(capacity)),
            patience: AtomicUsize::new(patience_for(capacity)),
        }
    }

    /// Follows a change of the capacity, in frames.
    pub(crate) fn set_capacity(&self, capacity: usize) {
        self.window.store(window_for(capacity), Ordering::Relaxed);
        self.patience.store(patience_for(capacity), Ordering::Relaxed);
    }

    /// Frames that wait.
    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// Frames that may have to wait although no guard holds them up.
    pub(crate) fn patience(&self) -> usize {
        self.patience.load(Ordering::Relaxed)
    }

    /// Takes in `frames`, which are out of the index, and stamps what is open if that is worth it; expedites what is stamped
    /// if too much waits; does both if somebody waits `now`. Tells whether it expedited.
    pub(crate) fn send(&self, frames: &mut Vec<FrameNo>, domain: &Domain, now: bool) -> bool {
        let mut lists = lock(&self.lists);
        self.len.fetch_add(frames.len(), Ordering::Relaxed);
        lists.open.append(frames);
        let is_worth_it = lists.open.len() >= self.window.load(Ordering::Relaxed);
        if (is_worth_it || now) && !lists.open.is_empty() {
            let open = std::mem::take(&mut lists.open).into();
            lists.stamped.push_back((domain.stamp(), open));
        }
        let oldest = lists.stamped.front().map(|(stamp, _)| *stamp);
        drop(lists);
        let is_impatient = now || self.len() >= self.patience();
        let Some(oldest) = oldest.filter(|_| is_impatient) else { return false };
        let is_held_up = !domain.is_expedited(oldest) && !domain.is_clear(oldest);
        if is_held_up {
            domain.expedite();
        }
        is_held_up
    }

    /// Up to `most` frames that nobody can see any more.
    pub(crate) fn take(&self, most: usize, domain: &Domain) -> Vec<FrameNo> {
        let mut lists = lock(&self.lists);
        let Some((stamp, frames)) = lists.stamped.front_mut() else { return Vec::new() };
        if !domain.is_clear(*stamp) {
            return Vec::new();
        }
        let clear: Vec<FrameNo> = frames.drain(..most.min(frames.len())).collect();
        if frames.is_empty() {
            lists.stamped.pop_front();
        }
        self.len.fetch_sub(clear.len(), Ordering::Relaxed);
        clear
    }
}
