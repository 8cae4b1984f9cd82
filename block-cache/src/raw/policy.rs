//! Which block to give up.
//!
//! The idea is S3-FIFO's (Yang et al., SOSP '23): a new block is on *probation*, and only one that was used twice there
//! moves to *main*; a *ghost* of what was evicted lets a block that comes back in time skip probation. There are no lists:
//! a part is a bitmap over the frames, and a hand walks each, as in CLOCK. Three rules make it follow the workload:
//!
//! 1. A ghost earns main only if the block came back within half a turn of main's hand: sooner than main's own blocks are
//!    looked at on average (the test of LIRS, and it tunes itself).
//! 2. Probation's share follows young ghosts of both parts: one that left probation a moment ago says that probation is
//!    too small, one that left main says the opposite (the rule of ARC, on a window).
//! 3. While main has room it takes unproven blocks too: a cache that is not full yet evicts nobody in vain, and a loop
//!    longer than the cache keeps a part of itself.
//!
//! No eviction looks at more than [`LOOKS_MAX`] frames. `docs/eviction.md` has the figures and what else was tried.
//!
//! - **V1** A frame's bit is set before lookups can find the block and cleared by whoever takes the frame out; the hand may
//!   meet a frame that is neither, and then the frame's own state word decides.
//! - **V2** Everything here is a guess: relaxed, racy, and lossy. No correctness rests on it.

use std::io;

use crossbeam_utils::CachePadded;
// V2: std's own, also under models, which need not explore what no correctness rests on.
use tidelock_sync::unmodelled::{AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use super::frame::{FrameHeader, FrameNo, Frames};
use super::ghost::Ghost;
use super::map::{Grain, Map, Span};
use super::table::Hash;

/// Frames that one eviction looks at, at the most.
pub(crate) const LOOKS_MAX: usize = 17;

/// Of these, main blocks that were in use: then the coldest of them goes. (8 loses 0.08 points on zipf, 16 nothing.)
pub(crate) const WARM_LOOKS_MAX: usize = 16;

/// Hits on probation that earn main. One hit would let correlated re-reads in: 1.2 % of Belady worse at 5 %.
pub(crate) const PROMOTION_HEAT: u8 = 2;

/// Ticks in a cache-full of evictions. The ghost remembers less than two cache-fulls, so 8 bits hardly ever alias.
const TICKS: usize = 64;

/// A ghost younger than a 16th of a cache-full moves the border between the parts. (A quarter hits up to 0.7 points less often.)
const YOUNG: u8 = (TICKS / 16) as u8;

/// Where a resident block stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Probation = 0,
    Main = 1,
}

/// The policy's books.
#[derive(Debug)]
pub(crate) struct Policy {
    parts: [Map; 2],
    ghost: Ghost,
    /// Frames for blocks.
    capacity: AtomicUsize,
    /// How coarse the books are: follows the capacity.
    grain: AtomicU64,
    /// Frames below this were used at some time.
    used: AtomicUsize,
    clock: CachePadded<Clock>,
    /// Blocks that probation may hold.
    target: AtomicUsize,
}

/// What one thread has taken from the hands of both parts.
pub(crate) type Spans = [Span; 2];

/// Evictions from each part that a thread has not told yet.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    evicted: [u32; 2],
}

/// What time is, for the policy: evictions.
#[derive(Debug)]
struct Clock {
    evictions: AtomicU64,
    /// Counts up every `capacity / TICKS` evictions.
    tick: AtomicU8,
    tick_due: AtomicU64,
    /// Evictions at the beginning of main's present turn, and how many its last turn took; `u64::MAX` before there was one.
    turn_began: AtomicU64,
    last_turn: AtomicU64,
    /// Evictions from each part, lately.
    recent: [AtomicU32; 2],
}

impl Policy {
    pub(crate) fn new(frames: usize, capacity_max: usize, capacity: usize) -> io::Result<Self> {
        Ok(Self {
            parts: [Map::reserve(frames)?, Map::reserve(frames)?],
            ghost: Ghost::reserve(capacity_max, capacity)?,
            capacity: AtomicUsize::new(capacity),
            grain: AtomicU64::new(Grain::of(capacity).bits()),
            used: AtomicUsize::new(0),
            clock: CachePadded::new(Clock {
                evictions: AtomicU64::new(0),
                tick: AtomicU8::new(0),
                tick_due: AtomicU64::new(0),
                turn_began: AtomicU64::new(0),
                last_turn: AtomicU64::new(u64::MAX),
                recent: [AtomicU32::new(0), AtomicU32::new(0)],
            }),
            target: AtomicUsize::new((capacity / 16).max(2)),
        })
    }

    /// Follows a change of the capacity, in frames.
    pub(crate) fn set_capacity(&self, capacity: usize) {
        // Relaxed: V2.
        self.capacity.store(capacity, Ordering::Relaxed);
        self.grain.store(Grain::of(capacity).bits(), Ordering::Relaxed);
        self.ghost.set_capacity(capacity);
        self.retarget(0);
    }

    fn part(&self, part: Part) -> &Map {
        &self.parts[part as usize]
    }

    /// Blocks on probation and in main, as far as the calling thread knows.
    pub(crate) fn len(&self, part: Part) -> usize {
        self.part(part).len()
    }

    /// The same for whoever wants to know exactly, and can wait.
    pub(crate) fn total(&self, part: Part) -> usize {
        self.part(part).total()
    }

    fn grain(&self) -> Grain {
        Grain::from_bits(self.grain.load(Ordering::Relaxed))
    }

    /// Asks the processor to fetch what is remembered of a block that will come or go in a moment.
    pub(crate) fn prefetch(&self, hash: Hash) {
        self.ghost.prefetch(hash);
    }

    // --- a block comes -----------------------------------------------------------------------------------------------

    /// A block comes into `frame`: main if it proved itself before, or if there is room; else on probation.
    /// `slack` is how many frames of the capacity hold no clean block, on their way from one to the next.
    pub(crate) fn admit(&self, frame: FrameNo, header: &FrameHeader, hash: Hash, slack: usize) {
        // Relaxed, throughout: V2.
        header.heat.store(0, Ordering::Relaxed);
        if self.used.load(Ordering::Relaxed) <= frame.index() {
            self.used.fetch_max(frame.index() + 1, Ordering::Relaxed);
        }
        let tick = self.clock.tick.load(Ordering::Relaxed);
        let trace = self.ghost.find(hash, tick);
        if let Some(trace) = trace.filter(|trace| trace.age <= YOUNG) {
            self.learn_from(trace.part);
        }
        let proven = trace.is_some_and(|trace| self.came_back_in_time(trace.age));
        let part = if proven || self.main_has_room(slack) { Part::Main } else { Part::Probation };
        self.part(part).set(frame.index(), self.grain());
    }

    fn main_has_room(&self, slack: usize) -> bool {
        let main = self.len(Part::Main) + self.target.load(Ordering::Relaxed) + slack;
        main < self.capacity.load(Ordering::Relaxed)
    }

    /// Rule 1: within half a turn of main's hand.
    fn came_back_in_time(&self, age: u8) -> bool {
        let clock = &self.clock;
        let this_turn =
            clock.evictions.load(Ordering::Relaxed).saturating_sub(clock.turn_began.load(Ordering::Relaxed));
        let turn = clock.last_turn.load(Ordering::Relaxed).max(this_turn);
        u64::from(age) * self.tick_len() <= turn / 2
    }

    /// Rule 2: the block would have been hit, had its part been a little larger.
    fn learn_from(&self, part: Part) {
        let recent = |part: Part| i64::from(self.clock.recent[part as usize].load(Ordering::Relaxed));
        match part {
            Part::Probation => self.retarget(1),
            Part::Main => self.retarget(-(recent(Part::Probation) / recent(Part::Main).max(1)).clamp(1, 16)),
        }
    }

    fn retarget(&self, by: i64) {
        let capacity = self.capacity.load(Ordering::Relaxed);
        let (least, most) = ((capacity / 64).max(1), (capacity / 2).max(1));
        let target = self.target.load(Ordering::Relaxed).saturating_add_signed(by as isize);
        self.target.store(target.clamp(least, most), Ordering::Relaxed);
    }

    // --- a block goes ------------------------------------------------------------------------------------------------

    /// The part to look at next: probation while it is too large, or main is empty.
    pub(crate) fn part_to_walk(&self, skip_probation: bool) -> Part {
        let (probation, main) = (self.len(Part::Probation), self.len(Part::Main));
        let too_large = probation > self.target.load(Ordering::Relaxed);
        if (too_large && !skip_probation) || main == 0 { Part::Probation } else { Part::Main }
    }

    /// The next frame that `part`'s hand meets, or, as the counts are guesses, the other's. `spans` are the calling thread's.
    pub(crate) fn next(&self, part: Part, frames: &Frames, spans: &mut Spans) -> Option<(FrameNo, Part)> {
        let other = if part == Part::Main { Part::Probation } else { Part::Main };
        [part, other].into_iter().find_map(|part| Some((self.next_in(part, frames, spans)?, part)))
    }

    /// The frames that the owner of `spans` will probably look at next.
    pub(crate) fn soon<'a>(
        &self,
        frames: &'a Frames,
        spans: &Spans,
    ) -> impl Iterator<Item = FrameNo> + use<'a> {
        let part = self.part_to_walk(false);
        self.part(part).soon(&spans[part as usize]).map(|frame| frames.number(frame))
    }

    fn next_in(&self, part: Part, frames: &Frames, spans: &mut Spans) -> Option<FrameNo> {
        let used = self.used.load(Ordering::Relaxed);
        let (frame, wrapped) = self.part(part).next(used, self.grain(), &mut spans[part as usize])?;
        if wrapped && part == Part::Main {
            let now = self.clock.evictions.load(Ordering::Relaxed);
            let began = self.clock.turn_began.swap(now, Ordering::Relaxed);
            self.clock.last_turn.store(now.saturating_sub(began), Ordering::Relaxed);
        }
        Some(frames.number(frame))
    }

    /// Moves a block from probation to main, cold.
    pub(crate) fn promote(&self, frame: FrameNo, header: &FrameHeader) {
        header.heat.store(0, Ordering::Relaxed);
        // A block that left meanwhile is in no part any more, and stays so.
        let grain = self.grain();
        if self.part(Part::Probation).clear(frame.index(), grain) {
            self.part(Part::Main).set(frame.index(), grain);
        }
    }

    /// The block in `frame` was evicted from `part`. `tally` is the evicting thread's.
    pub(crate) fn evicted(&self, frame: FrameNo, hash: Hash, part: Part, tally: &mut Tally) {
        self.forget(frame);
        self.ghost.record(hash, part, self.clock.tick.load(Ordering::Relaxed));
        tally.evicted[part as usize] += 1;
        // Their time is a shared line, as the counts are.
        if tally.evicted.iter().sum::<u32>() >= self.grain().untold_max() {
            self.pass_time(std::mem::take(tally));
        }
    }

    fn pass_time(&self, tally: Tally) {
        let clock = &self.clock;
        let evictions = u64::from(tally.evicted[0]) + u64::from(tally.evicted[1]);
        let now = clock.evictions.fetch_add(evictions, Ordering::Relaxed) + evictions;
        if now >= clock.tick_due.load(Ordering::Relaxed) {
            clock.tick_due.store(now + self.tick_len(), Ordering::Relaxed);
            let tick = clock.tick.load(Ordering::Relaxed);
            clock.tick.store(tick.wrapping_add(1), Ordering::Relaxed);
        }
        let counts = [0, 1].map(|part| clock.recent[part].load(Ordering::Relaxed) + tally.evicted[part]);
        let is_long =
            u64::from(counts[0]) + u64::from(counts[1]) > self.capacity.load(Ordering::Relaxed) as u64;
        for (recent, count) in clock.recent.iter().zip(counts) {
            recent.store(if is_long { count / 2 } else { count }, Ordering::Relaxed);
        }
    }

    /// Evictions to a tick.
    fn tick_len(&self) -> u64 {
        (self.capacity.load(Ordering::Relaxed) / TICKS).max(1) as u64
    }

    /// The block in `frame` is gone, and it says nothing about the policy.
    pub(crate) fn forget(&self, frame: FrameNo) {
        let grain = self.grain();
        if !self.part(Part::Probation).clear(frame.index(), grain) {
            self.part(Part::Main).clear(frame.index(), grain);
        }
    }
}

#[cfg(all(test, not(any(tidelock_loom, tidelock_shuttle))))]
mod tests {
    use tidelock_format::BlockSize;

    use super::*;
    use crate::raw::pages::Pages;

    /// The counts are guesses: a part may be said to hold blocks and be empty.
    #[test]
    fn a_walk_through_an_empty_part_goes_on_in_the_other() {
        let frames = Frames::reserve(100, BlockSize::MIN, Pages::Small).unwrap();
        let policy = Policy::new(100, 100, 100).unwrap();
        let frame = frames.number(7);
        policy.admit(frame, frames.header(frame), Hash(1), 0);
        let mut spans = Spans::default();
        for part in [Part::Probation, Part::Main] {
            assert_eq!(policy.next(part, &frames, &mut spans), Some((frame, Part::Main)));
        }
        policy.forget(frame);
        assert_eq!(policy.next(Part::Main, &frames, &mut spans), None);
    }
}
