//! Frames that were retired and may still be seen.
//!
//! They come in small batches and stand *open* until there are enough to pay for a stamp: a stamp makes every processor
//! that runs a thread of this process stop for a moment, which takes ten microseconds and more on some machines. One stamp
//! then serves all threads' frames at once.

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
}

#[derive(Debug, Default)]
struct Lists {
    open: Vec<FrameNo>,
    /// About oldest first: two who stamp at a time may come in either order.
    stamped: VecDeque<(Stamp, VecDeque<FrameNo>)>,
}

/// Frames from which on a cache is large: what it turns over is enough for a stamp to be felt, and a 64th is not missed.
const LARGE: usize = 1 << 16;

/// Of a large cache a 64th is out of it at any time for the sake of cheap grace periods, and at most 2048 frames are. A small
/// one gives up a 256th: a 64th cost it up to 0.8 points of hit ratio on traces of disks.
fn window_for(capacity: usize) -> usize {
    let share = if capacity >= LARGE { 64 } else { 256 };
    (capacity / share).clamp(1, 2048)
}

impl Limbo {
    /// For a cache of `capacity` frames.
    pub(crate) fn new(capacity: usize) -> Self {
        let window = AtomicUsize::new(window_for(capacity));
        Self { lists: Mutex::new(Lists::default()), len: AtomicUsize::new(0), window }
    }

    /// Follows a change of the capacity, in frames.
    pub(crate) fn set_capacity(&self, capacity: usize) {
        self.window.store(window_for(capacity), Ordering::Relaxed);
    }

    /// Frames that wait.
    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// Open frames that are worth a stamp.
    pub(crate) fn window(&self) -> usize {
        self.window.load(Ordering::Relaxed)
    }

    /// Takes in `frames`, which are out of the index, and stamps what is open if that is worth it, or if `now`.
    pub(crate) fn send(&self, frames: &mut Vec<FrameNo>, domain: &Domain, now: bool) {
        let mut lists = lock(&self.lists);
        self.len.fetch_add(frames.len(), Ordering::Relaxed);
        lists.open.append(frames);
        if lists.open.is_empty() || (lists.open.len() < self.window() && !now) {
            return;
        }
        let open = std::mem::take(&mut lists.open);
        // Not under the mutex: a stamp takes long.
        drop(lists);
        let stamp = domain.stamp();
        lock(&self.lists).stamped.push_back((stamp, open.into()));
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
