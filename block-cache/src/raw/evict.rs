//! Evicting: the policy's hands, and what they do to the frames they meet.

use tidelock_sync::unmodelled::Ordering;

use super::core::Core;
use super::frame::FrameNo;
use super::policy::{LOOKS_MAX, PROMOTION_HEAT, Part, WARM_LOOKS_MAX};
use super::pool::Stash;
use super::prefetch;
use super::state::Evicted;

/// Pinned blocks met on probation, by however many evictions, after which one looks in main. The next then look at one on
/// probation each, until one can be had there again.
const PINNED_ON_PROBATION_MAX: usize = 8;

/// Blocks for which a walk fetches what it will need: as many as leave together.
const FETCHED_MAX: usize = 8;

/// What walking came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Walked {
    /// Blocks evicted.
    pub(crate) freed: usize,
    /// Frames looked at.
    pub(crate) visited: usize,
    /// Blocks that were in use and stay.
    pub(crate) rotated: usize,
    /// Frames that could not be had: pinned, dirty, under I/O.
    pub(crate) pinned: usize,
}

impl std::ops::AddAssign for Walked {
    fn add_assign(&mut self, more: Self) {
        self.freed += more.freed;
        self.visited += more.visited;
        self.rotated += more.rotated;
        self.pinned += more.pinned;
    }
}

impl Core {
    /// Evicts up to `want` blocks into `stash`. Gives up at the first that could not be had within [`LOOKS_MAX`] looks, so
    /// the work is bounded by `want * LOOKS_MAX`.
    pub(crate) fn evict(&self, stash: &mut Stash, want: usize) -> Walked {
        let mut walked = Walked::default();
        let guard = self.domain.guard();
        stash.look_at_own_pins(guard.slot());
        self.fetch_homes_of_next(stash, want);
        for _ in 0..want {
            let Some(frame) = self.evict_one(stash, &mut walked) else {
                // Nor could anything be had in main: the next looks at probation thoroughly.
                stash.pinned_on_probation = 0;
                break;
            };
            stash.retire(frame);
            walked.freed += 1;
        }
        self.fetch_headers_of_next(stash, want);
        drop(guard);
        stash.count_walk(walked);
        walked
    }

    /// Puts on their way the headers of the blocks that will probably go next, after this walk.
    fn fetch_headers_of_next(&self, stash: &Stash, count: usize) {
        for frame in self.policy.soon(&self.frames, &stash.spans).take(count.min(FETCHED_MAX)) {
            prefetch::write(self.header(frame));
        }
    }

    /// The same for what becomes of such blocks: the buckets that they leave, and what is remembered of them. Their headers
    /// were fetched when the last walk ended.
    fn fetch_homes_of_next(&self, stash: &Stash, count: usize) {
        let table = self.index.current();
        for frame in self.policy.soon(&self.frames, &stash.spans).take(count.min(FETCHED_MAX)) {
            let hash = self.hash_of(frame);
            table.fetch_home_to_change(hash);
            self.policy.prefetch(hash);
        }
    }

    fn evict_one(&self, stash: &mut Stash, walked: &mut Walked) -> Option<FrameNo> {
        let mut coldest: Option<(u8, FrameNo)> = None;
        let (mut warm_looks, mut promoted) = (0, false);
        stash.pinned_on_probation = stash.pinned_on_probation.min(PINNED_ON_PROBATION_MAX - 1);
        for _ in 0..LOOKS_MAX {
            let is_held = stash.pinned_on_probation >= PINNED_ON_PROBATION_MAX;
            let part = self.policy.part_to_walk(promoted || is_held);
            let (frame, part) = self.policy.next(part, &self.frames, &mut stash.spans)?;
            walked.visited += 1;
            let header = self.header(frame);
            // Relaxed, here and below: V2, a hint.
            let heat = header.heat.load(Ordering::Relaxed);
            let keep_from = if part == Part::Probation { PROMOTION_HEAT } else { 1 };
            if heat < keep_from {
                let is_evicted = self.try_evict(stash, frame, part);
                if part == Part::Probation {
                    stash.pinned_on_probation = if is_evicted { 0 } else { stash.pinned_on_probation + 1 };
                }
                if is_evicted {
                    return Some(frame);
                }
                walked.pinned += 1;
                continue;
            }
            walked.rotated += 1;
            if part == Part::Probation {
                self.policy.promote(frame, header);
                promoted = true;
                continue;
            }
            header.heat.store(heat - 1, Ordering::Relaxed);
            if coldest.is_none_or(|(least, _)| heat < least) {
                coldest = Some((heat, frame));
            }
            warm_looks += 1;
            if warm_looks == WARM_LOOKS_MAX {
                break;
            }
        }
        let (_, frame) = coldest?;
        self.try_evict(stash, frame, Part::Main).then_some(frame)
    }

    /// Evicts the block in `frame`, if nobody holds it. The frame is the caller's then.
    ///
    /// B4 for slotted pins: those of this thread were looked at when the walk began, those of others a batch ago; what is
    /// missed lingers (E3).
    fn try_evict(&self, stash: &mut Stash, frame: FrameNo, part: Part) -> bool {
        if stash.is_to_be_spared(frame) {
            return false;
        }
        match self.header(frame).state.evict() {
            Evicted::Pinned | Evicted::NotResident => false,
            Evicted::Mine => {
                let hash = self.hash_of(frame);
                self.policy.prefetch(hash);
                let removed = self.index.remove(hash, frame);
                debug_assert!(removed, "B5: whoever evicted a block finds its entry");
                self.policy.evicted(frame, hash, part, &mut stash.tally);
                true
            }
        }
    }
}
