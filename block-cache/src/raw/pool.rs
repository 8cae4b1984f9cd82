//! Frames that hold no block: where an insertion gets one, and where a retired one goes.
//!
//! ```text
//!            issue                     take                 evict
//!   spare ------------> stash.ready ---------> (a block) ----------> stash.outgoing
//!     ^                     ^                                             | seal: one stamp a window
//!     | over the limit      | clear                                       v
//!     '---------------------'-------------------------------------------limbo
//! ```
//!
//! Each thread has a stash, so that taking a frame is a push and a pop on its own line; the shared queues are touched once
//! a batch. *Issued* frames are all that are in circulation: they hold a block, or lie in a stash, in limbo or in the
//! reserve. Their number never exceeds the capacity (plus the reserve), so memory is bounded by construction: pinned,
//! dirty and limbo frames are counted because they are issued.
//!
//! - **M1** Every frame is in exactly one place: spare, a stash, limbo, the reserve, or owned by one block.
//! - **M2** A frame leaves limbo only when its stamp is clear (E1), and is used again only when nobody holds it (E2).
//! - **M3** The reserve is for writers alone and is filled up first whenever frames come back.

use std::collections::VecDeque;

use crossbeam_utils::CachePadded;
// Numbers to steer by, or changed under a mutex: std's own, also under models.
use tidelock_sync::unmodelled::{AtomicUsize, Ordering};
use tidelock_sync::{Mutex, MutexGuard, thread_index};

use super::core::Core;
use super::epoch::{Domain, Slot};
use super::evict::Walked;
use super::frame::{FrameNo, Frames};
use super::limbo::Limbo;
use super::lock;
use super::policy::{Spans, Tally};
use crate::counters::Counters;

/// Stashes; threads beyond that number share.
const STASHES: usize = if cfg!(any(tidelock_loom, tidelock_shuttle)) { 2 } else { 64 };

/// One thread's frames.
#[derive(Debug, Default)]
pub(crate) struct Stash {
    /// To be used next, first in first out: the hands meet blocks in about the order in which they came.
    ready: VecDeque<FrameNo>,
    /// Retired, not stamped yet.
    outgoing: Vec<FrameNo>,
    /// Frames in slotted pins when this thread last looked at all of them.
    pinned: Vec<FrameNo>,
    /// Frames in its own slots when its present walk began.
    own_pinned: Vec<FrameNo>,
    /// Evictions that the policy was not told yet.
    pub(crate) tally: Tally,
    /// What it has of the policy's hands.
    pub(crate) spans: Spans,
    /// What eviction did since the last batch.
    walked: Walked,
    /// Evictions that frames taken from here are to be paid for with.
    pub(crate) due: usize,
    /// Pinned blocks that its evictions met on probation since they last had one there.
    pub(crate) pinned_on_probation: usize,
}

/// Frames out of circulation: given back, or never used yet.
#[derive(Debug)]
struct Spare {
    returned: Vec<FrameNo>,
    /// Frames from here on were never used.
    fresh: usize,
}

/// Where frames come from and go to.
#[derive(Debug)]
pub(crate) struct Pool {
    stashes: Box<[CachePadded<Mutex<Stash>>]>,
    pub(crate) limbo: Limbo,
    /// Frames out of limbo that somebody held when it was looked (E3).
    lingering: Mutex<Vec<FrameNo>>,
    spare: Mutex<Spare>,
    reserve: Mutex<Vec<FrameNo>>,
    reserve_target: usize,
    issued: CachePadded<AtomicUsize>,
    /// Frames that may be issued: the capacity, plus the reserve.
    limit: AtomicUsize,
    /// Frames to a batch.
    batch: AtomicUsize,
}

/// A batch of a cache of `limit` frames: long enough to spread the price of a stamp, short enough that batches under way
/// stay a small part of the cache.
fn batch_for(limit: usize) -> usize {
    (limit / 256).clamp(1, 64)
}

impl Pool {
    /// A pool of `total` frames of which `limit` may be in use, `reserve` of those by writers alone.
    pub(crate) fn new(limit: usize, reserve: usize) -> Self {
        Self {
            stashes: (0..STASHES).map(|_| CachePadded::new(Mutex::new(Stash::default()))).collect(),
            limbo: Limbo::new(limit),
            lingering: Mutex::new(Vec::new()),
            spare: Mutex::new(Spare { returned: Vec::new(), fresh: 0 }),
            reserve: Mutex::new(Vec::with_capacity(reserve)),
            reserve_target: reserve,
            issued: CachePadded::new(AtomicUsize::new(0)),
            limit: AtomicUsize::new(limit + reserve),
            batch: AtomicUsize::new(batch_for(limit)),
        }
    }

    /// The calling thread's stash.
    pub(crate) fn stash(&self) -> MutexGuard<'_, Stash> {
        lock(&self.stashes[thread_index() % self.stashes.len()])
    }

    /// Frames in circulation.
    pub(crate) fn issued(&self) -> usize {
        // Relaxed: a number to steer by.
        self.issued.load(Ordering::Relaxed)
    }

    /// Frames below this were in circulation at some time.
    pub(crate) fn used(&self) -> usize {
        lock(&self.spare).fresh
    }

    /// Frames that may be in circulation, the reserve included.
    pub(crate) fn limit(&self) -> usize {
        // Relaxed: a number to steer by.
        self.limit.load(Ordering::Relaxed)
    }

    /// Changes the capacity, in frames without the reserve.
    pub(crate) fn set_capacity(&self, frames: usize) {
        // Relaxed, both: numbers to steer by.
        self.limit.store(frames + self.reserve_target, Ordering::Relaxed);
        self.batch.store(batch_for(frames), Ordering::Relaxed);
        self.limbo.set_capacity(frames);
    }

    /// Frames that the reserve holds when it is full.
    pub(crate) fn reserve_target(&self) -> usize {
        self.reserve_target
    }

    /// Frames to a batch.
    pub(crate) fn batch(&self) -> usize {
        // Relaxed: a number to steer by.
        self.batch.load(Ordering::Relaxed)
    }

    /// How many issued frames are too many by now.
    pub(crate) fn excess(&self) -> usize {
        self.issued().saturating_sub(self.limit())
    }

    /// Brings frames into `stash` from limbo or from the spare ones. Tells whether there are any now.
    pub(crate) fn refill(&self, stash: &mut Stash, core: &Core) -> bool {
        self.settle(stash, core);
        if stash.ready.is_empty() {
            self.issue(stash, core);
        }
        !stash.ready.is_empty()
    }

    /// Puts spare frames into circulation.
    fn issue(&self, stash: &mut Stash, core: &Core) {
        let mut spare = lock(&self.spare);
        let issued = self.issued();
        let room = self.limit().saturating_sub(issued);
        let wanted = room.min(self.batch().max(self.reserve_missing()));
        if wanted == 0 || !core.index.admit(&core.domain, issued + wanted) {
            return;
        }
        let granted = core.charge.take(wanted);
        let before = stash.ready.len();
        stash.ready.extend((0..granted).map_while(|_| spare.next(&core.frames)));
        let got = stash.ready.len() - before;
        core.charge.give_back(granted - got);
        // Relaxed: changed under the mutex of `spare` alone.
        self.issued.fetch_add(got, Ordering::Relaxed);
        drop(spare);
        self.fill_reserve(stash);
    }

    fn reserve_missing(&self) -> usize {
        self.reserve_target.saturating_sub(lock(&self.reserve).len())
    }

    /// M3.
    fn fill_reserve(&self, stash: &mut Stash) {
        let mut reserve = lock(&self.reserve);
        while reserve.len() < self.reserve_target
            && let Some(frame) = stash.ready.pop_back()
        {
            reserve.push(frame);
        }
    }

    /// Takes a frame out of the reserve, for a writer who found none elsewhere.
    pub(crate) fn take_reserved(&self) -> Option<FrameNo> {
        lock(&self.reserve).pop()
    }

    /// Sends what is outgoing in `stash` to limbo; `now` if somebody waits for it to come out again.
    pub(crate) fn seal(&self, stash: &mut Stash, domain: &Domain, counters: &Counters, now: bool) {
        // The walks of the batch are told all at once: the counters are shared.
        counters.count_walk(std::mem::take(&mut stash.walked));
        if self.limbo.send(&mut stash.outgoing, domain, now) {
            counters.grace_expedited.count();
        }
    }

    /// Moves a batch of clear frames from limbo into `stash`; as far as too many are issued, out of circulation.
    fn settle(&self, stash: &mut Stash, core: &Core) {
        let clear = self.limbo.take(self.batch(), &core.domain);
        if clear.is_empty() && self.lingering() == 0 {
            return;
        }
        self.sort_out(stash, core, clear);
        self.fill_reserve(stash);
        self.withdraw(stash, core, self.excess());
    }

    /// Hands out the frames of a clear batch that nobody holds; the others linger, and those that lingered before are
    /// looked at again.
    fn sort_out(&self, stash: &mut Stash, core: &Core, clear: Vec<FrameNo>) {
        let mut lingering = lock(&self.lingering);
        // E2: the slots first, then each frame's count.
        stash.look_at_pins(&core.domain);
        let is_counted = |frame: FrameNo| core.header(frame).state.load().pins() > 0;
        let is_held = |stash: &Stash, frame| {
            if cfg!(tidelock_weaken = "slots_after_counts") {
                return is_counted(frame) || core.domain.held_pins().any(|(_, held)| held == frame);
            }
            (stash.is_pinned(frame) && !cfg!(tidelock_weaken = "slots_ignored")) || is_counted(frame)
        };
        for frame in std::mem::take(&mut *lingering).into_iter().chain(clear) {
            if is_held(stash, frame) {
                lingering.push(frame);
                continue;
            }
            core.header(frame).state.free();
            stash.ready.push_back(frame);
        }
    }

    /// Frames that linger because somebody holds them.
    pub(crate) fn lingering(&self) -> usize {
        lock(&self.lingering).len()
    }

    /// Takes up to `count` ready frames out of circulation and gives their memory back. Returns how many.
    fn withdraw(&self, stash: &mut Stash, core: &Core, count: usize) -> usize {
        let count = count.min(stash.ready.len());
        if count == 0 {
            return 0;
        }
        let keep = stash.ready.len() - count;
        // In order: what lies side by side goes in one piece.
        let leaving = &mut stash.ready.make_contiguous()[keep..];
        leaving.sort_unstable();
        core.frames.release(leaving);
        let mut spare = lock(&self.spare);
        spare.returned.extend(stash.ready.drain(keep..));
        // Relaxed: changed under the mutex of `spare` alone.
        self.issued.fetch_sub(count, Ordering::Relaxed);
        core.charge.give_back(count);
        count
    }

    /// Brings every clear batch back, then takes up to `count` ready frames of any stash out of circulation. For whoever
    /// shrinks; returns how many. `mine` is the calling thread's stash.
    pub(crate) fn withdraw_all(&self, mine: &mut Stash, core: &Core, count: usize) -> usize {
        let mut withdrawn = 0;
        // Bound: the batches that limbo holds now.
        let batches = self.limbo.len() / self.batch();
        for _ in 0..=batches {
            self.settle(mine, core);
            withdrawn += self.withdraw(mine, core, count - withdrawn);
            if withdrawn == count {
                break;
            }
        }
        withdrawn
    }

    /// Takes ready or outgoing frames from other threads' stashes, when this thread found none anywhere else.
    pub(crate) fn steal(&self, stash: &mut Stash) -> bool {
        for other in &self.stashes {
            // A stash that is locked is in use (one of them is this thread's own): look at the next.
            if let Ok(mut other) = other.try_lock() {
                let half = other.ready.len().div_ceil(2);
                stash.ready.extend(other.ready.drain(..half));
                stash.outgoing.append(&mut other.outgoing);
            }
            if !stash.ready.is_empty() {
                return true;
            }
        }
        false
    }
}

impl Spare {
    fn next(&mut self, frames: &Frames) -> Option<FrameNo> {
        self.returned.pop().or_else(|| {
            let next = (self.fresh < frames.count()).then(|| frames.number(self.fresh))?;
            self.fresh += 1;
            Some(next)
        })
    }
}

impl Stash {
    /// A frame that is ready for use.
    pub(crate) fn pop(&mut self) -> Option<FrameNo> {
        self.ready.pop_front()
    }

    /// The frame that [`pop`](Self::pop) will give next.
    pub(crate) fn front(&self) -> Option<FrameNo> {
        self.ready.front().copied()
    }

    /// An owned frame comes back unused.
    pub(crate) fn push(&mut self, frame: FrameNo) {
        self.ready.push_front(frame);
    }

    /// A frame that was retired just now.
    pub(crate) fn retire(&mut self, frame: FrameNo) {
        self.outgoing.push(frame);
    }

    /// Takes note of what eviction did.
    pub(crate) fn count_walk(&mut self, walked: Walked) {
        self.walked += walked;
    }

    /// Takes note of what is held in slots.
    pub(crate) fn look_at_pins(&mut self, domain: &Domain) {
        self.pinned.clear();
        self.pinned.extend(domain.held_pins().map(|(_, frame)| frame));
    }

    /// Takes note of what is held in the slots of this thread, of which `slot` is the line: no more while it walks.
    pub(crate) fn look_at_own_pins(&mut self, slot: &Slot) {
        self.own_pinned.clear();
        self.own_pinned.extend(slot.held_pins().map(|(_, frame)| frame));
    }

    /// Whether a slotted pin held `frame` when this thread last looked at all of them.
    fn is_pinned(&self, frame: FrameNo) -> bool {
        self.pinned.contains(&frame)
    }

    /// Whether eviction should leave `frame` alone, as far as slotted pins are known.
    pub(crate) fn is_to_be_spared(&self, frame: FrameNo) -> bool {
        self.own_pinned.contains(&frame) || self.is_pinned(frame)
    }

    /// Retired frames that were not stamped yet.
    pub(crate) fn outgoing(&self) -> usize {
        self.outgoing.len()
    }
}
