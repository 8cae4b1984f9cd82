//! Frames, index, policy and pool together: find, claim, replace, evict.
//!
//! - **B1** At most one frame that lookups can find holds a given block: entries of one block are changed under its home's
//!   latch, and an insertion that finds another takes that one instead.
//! - **B4** Dirty blocks and blocks under I/O are pinned; eviction takes a frame only at zero pins.
//! - **B5** Presence is turned off once; see `state`. Whoever turns it off takes the entry out of the index *before* giving
//!   up its own pin (or, having evicted, before handing the frame to the pool). So when a frame is retired its entry is
//!   gone, and when it is reused no lookup can come across it (E1).

use std::cell::RefCell;
use std::io;
use std::ptr::NonNull;
use tidelock_sync::unmodelled::Ordering as PlainOrdering;

use ahash::RandomState;
use tidelock_format::{BlockNo, BlockRef, BlockSize, Magic, Seq};
use tidelock_sync::thread;

use super::epoch::{Domain, Guard, Guarded, Slot};
use super::evict::Walked;
use super::frame::{Entry, FrameHeader, FrameNo, Frames};
use super::index::Index;
use super::orphans::{KeepAlive, Orphanage};
use super::pages::Pages;
use super::pin::Pin;
use super::policy::{Part, Policy};
use super::pool::{Pool, Stash};
use super::prefetch;
use super::state::{Phase, Retired, Unpinned, Word};
use super::table::{Hash, Home};
use crate::budget::Charge;
use crate::counters::Counters;

/// Rounds in which a frame must be found: in each one a batch is evicted or the processor is given to whoever holds up
/// the grace period.
const ROUNDS: usize = if cfg!(any(tidelock_loom, tidelock_shuttle)) { 4 } else { 2000 };

/// Lets others run. On a busy machine whoever holds up the grace period may have lost its processor in the middle of a
/// lookup, and yielding is not enough to give it one: later rounds sleep, for a fifth of a second in all.
fn give_way(round: usize) {
    #[cfg(not(any(tidelock_loom, tidelock_shuttle)))]
    if round > ROUNDS / 20 {
        return std::thread::sleep(std::time::Duration::from_micros(100));
    }
    let _ = round;
    thread::yield_now();
}

/// Times limbo's patience beyond which eviction does not go on ahead of need, and beyond which it does not go on at all.
const BACKLOG_AHEAD: usize = 2;
const BACKLOG_MAX: usize = 8;

/// Evictions ahead of need come so many at a time. The median insertion then pays for none (it takes half as long as with
/// one at a time), and a reader who finds the processor's caches cold after each wait fetches the code once in four misses.
/// Few enough that the slowest thousandth of all insertions takes no longer.
const AHEAD: usize = 4;

/// Who wants a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A block to be read.
    Read,
    /// A block to be dirtied: may use the reserve.
    Write,
}

/// No frame could be had: all are pinned, dirty, or held up by a guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoFrame;

/// A lookup that has to be done the long way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotSimple;

/// A reader's claim to be the one who fills a block.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Claim {
    /// The caller fills this frame. It holds two pins: the reader's and the fill's.
    Fill(FrameNo),
    /// Somebody else was first. The caller holds one pin.
    Join(FrameNo),
}

/// What a reserved core is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) size: BlockSize,
    /// What memory for blocks should come in.
    pub(crate) pages: Pages,
    /// Frames for blocks.
    pub(crate) capacity: usize,
    /// Frames that the capacity may be raised to.
    pub(crate) capacity_max: usize,
    /// Frames for writers alone, on top.
    pub(crate) reserve: usize,
    /// Blocks that the index has room for to start with.
    pub(crate) expected: usize,
    /// Whether somebody keeps book of every pin: [`Core::pin_image_simply`] is never simple then.
    pub(crate) is_noted: bool,
}

/// The cache without its devices: everything that happens in memory.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) frames: Frames,
    pub(crate) index: Index,
    pub(crate) domain: Domain,
    pub(crate) policy: Policy,
    pub(crate) pool: Pool,
    pub(crate) counters: Counters,
    /// The account with a shared budget.
    pub(crate) charge: Charge,
    hasher: RandomState,
    pub(super) orphanage: Orphanage,
}

impl Core {
    pub(crate) fn new(plan: Plan, hasher: RandomState, charge: Charge) -> io::Result<Self> {
        let total = plan.capacity_max + plan.reserve;
        Ok(Self {
            frames: Frames::reserve(total, plan.size, plan.pages)?,
            // Should the index never be able to grow, it still has room for more than the reserve (T7): the slots are twice
            // as many as what it is made for, and nine tenths of them may be used.
            index: Index::new(plan.expected.max((plan.reserve + 2) * 10 / 18 + 1))?,
            domain: Domain::new(!plan.is_noted),
            policy: Policy::new(total, plan.capacity_max, plan.capacity)?,
            pool: Pool::new(plan.capacity, plan.reserve),
            counters: Counters::default(),
            charge,
            hasher,
            orphanage: Orphanage::new(),
        })
    }

    #[inline(always)]
    pub(crate) fn hash(&self, blkno: BlockNo) -> Hash {
        Hash(self.hasher.hash_one(blkno.0))
    }

    #[inline(always)]
    pub(crate) fn header(&self, frame: FrameNo) -> &FrameHeader {
        self.frames.header(frame)
    }

    pub(crate) fn hash_of(&self, frame: FrameNo) -> Hash {
        self.hash(self.header(frame).blkno())
    }

    // --- finding -----------------------------------------------------------------------------------------------------

    /// The frame that holds exactly this image, verified. Writes nothing but a mark of use, and that only if it changes.
    #[inline(always)]
    pub(crate) fn find_image(&self, guard: &Guard<'_>, wanted: BlockRef, magic: Magic) -> Option<FrameNo> {
        let home = self.home_of(wanted.blkno);
        let found = self.accept_image(home.candidate(), wanted, magic);
        if found.is_some() || home.is_without() {
            return found;
        }
        self.find_image_further(guard.proof(), wanted, magic)
    }

    #[inline(always)]
    fn home_of(&self, blkno: BlockNo) -> Home<'_> {
        self.index.current().home_of(self.hash(blkno))
    }

    #[cold]
    #[inline(never)]
    pub(super) fn find_image_further(
        &self,
        _proof: Guarded<'_>,
        wanted: BlockRef,
        magic: Magic,
    ) -> Option<FrameNo> {
        self.index.find(self.hash(wanted.blkno), |frame| self.accept_image(frame.entry(), wanted, magic))
    }

    /// The frame of `entry`, if it holds this image, verified. The caller holds a guard.
    #[inline(always)]
    fn accept_image(&self, entry: Entry, wanted: BlockRef, magic: Magic) -> Option<FrameNo> {
        let header = self.frames.header_at(entry);
        // F2: stable under the guard. F3: the phase is looked at first.
        // SAFETY: F1: nobody's header is not readable.
        header.accept(wanted, magic).then(|| unsafe { entry.known_frame() })
    }

    /// Pins the frame that holds exactly this image, verified, and counts the hit, where that is as simple as it mostly is: the
    /// thread is known, holds little else, and the block is the first at its home that has its tag.
    #[inline(always)]
    pub(crate) fn pin_image_simply(
        &self,
        wanted: BlockRef,
        magic: Magic,
    ) -> Result<Option<(FrameNo, Pin)>, NotSimple> {
        let (guard, slot) = self.domain.simple_guard().ok_or(NotSimple)?;
        let home = self.home_of(wanted.blkno);
        let Some(frame) = self.accept_image(home.candidate(), wanted, magic) else {
            return if home.is_without() { Ok(None) } else { Err(NotSimple) };
        };
        // E2: under the guard that saw the frame present.
        slot.hold(frame);
        Slot::count(&guard.slot().hits);
        Ok(Some((frame, Pin::Slotted(NonNull::from(slot)))))
    }

    /// The same in every case. `is_noted`: somebody keeps book of the pin, which is counted then.
    ///
    /// Out of line, and its result no larger than two registers: through memory the simple way would have to go with it.
    #[cold]
    #[inline(never)]
    pub(crate) fn pin_image(&self, wanted: BlockRef, magic: Magic, is_noted: bool) -> Option<(FrameNo, Pin)> {
        let guard = self.domain.guard();
        let frame = self.find_image(&guard, wanted, magic)?;
        let pin = match guard.slot().free_pin() {
            Some(slot) if !is_noted => {
                // E2: under the guard that saw the frame present.
                slot.hold(frame);
                Pin::Slotted(NonNull::from(slot))
            }
            _ => self.pin_counted(frame)?,
        };
        Slot::count(&guard.slot().hits);
        Some((frame, pin))
    }

    /// A counted pin for the frame of a readable image, found under a guard; none if it was hidden meanwhile.
    fn pin_counted(&self, frame: FrameNo) -> Option<Pin> {
        if self.header(frame).state.pin().is_readable() {
            return Some(Pin::Counted);
        }
        self.unpin_in_vain(frame);
        None
    }

    /// Gives back a pin on behalf of a caller who keeps the cache itself alive.
    #[cold]
    pub(crate) fn unpin_in_vain(&self, frame: FrameNo) {
        self.counters.resurrect_refused.count();
        self.let_go(frame);
    }

    /// As above, for a pin that was of use.
    pub(crate) fn let_go(&self, frame: FrameNo) {
        drop(self.unpin(frame));
    }

    /// Pins whatever frame holds this block now, in whatever phase.
    pub(crate) fn pin_block(&self, blkno: BlockNo) -> Option<FrameNo> {
        let _guard = self.domain.guard();
        self.index.find(self.hash(blkno), |frame| self.try_pin(frame, blkno))
    }

    /// Pins `frame` if lookups can find `blkno` in it.
    pub(super) fn try_pin(&self, frame: FrameNo, blkno: BlockNo) -> Option<FrameNo> {
        let header = self.header(frame);
        // F2: stable under the caller's guard.
        if header.blkno() != blkno {
            return None;
        }
        if header.state.pin().is_present() {
            return Some(frame);
        }
        self.unpin_in_vain(frame);
        None
    }

    // --- giving pins back ------------------------------------------------------------------------------------------

    /// Gives a pin back. The last pin of a hidden frame sends the frame to the pool.
    #[inline(always)]
    pub(crate) fn unpin(&self, frame: FrameNo) -> Option<KeepAlive> {
        match self.header(frame).state.unpin() {
            Unpinned::Held => None,
            Unpinned::LastOfHidden => self.retire(frame),
        }
    }

    /// Retires a hidden frame whose last pin was given back.
    #[cold]
    pub(crate) fn retire(&self, frame: FrameNo) -> Option<KeepAlive> {
        match self.header(frame).state.retire() {
            Retired::Not => None,
            Retired::Mine => {
                self.policy.forget(frame);
                let mut stash = self.pool.stash();
                stash.retire(frame);
                self.seal_if_full(&mut stash);
                None
            }
            Retired::MineOrphan => self.count_orphan_out(),
        }
    }

    fn seal_if_full(&self, stash: &mut Stash) {
        if stash.outgoing() >= self.pool.batch() {
            self.pool.seal(stash, &self.domain, &self.counters, false);
            self.index.collect(&self.domain);
        }
    }

    // --- inserting -------------------------------------------------------------------------------------------------

    /// A frame for a block: owned by the caller, in no table, in phase `Free`.
    pub(crate) fn take_frame(&self, purpose: Purpose) -> Result<FrameNo, NoFrame> {
        let mut stash = self.pool.stash();
        for round in 0..ROUNDS {
            if let Some(frame) = stash.pop() {
                // Nobody looked at it since its block left.
                if let Some(next) = stash.front() {
                    prefetch::write(self.header(next));
                }
                self.evict_ahead(&mut stash);
                return Ok(frame);
            }
            if self.pool.refill(&mut stash, self) {
                continue;
            }
            let batch = self.pool.batch();
            // Who has less than its share of a budget that is used up asks for more before it evicts its own. Once: the
            // room that was made may be somebody else's by now.
            if round == 0 && self.is_held_down() {
                drop(stash);
                let has_room = self.charge.make_room(batch);
                stash = self.pool.stash();
                if has_room {
                    continue;
                }
            }
            stash.look_at_pins(&self.domain);
            // Evicting more does not help whoever waits for a guard to end, and would empty the cache into limbo.
            let is_backed_up = self.pool.limbo.len() >= self.limbo_max(BACKLOG_MAX);
            let walked = if is_backed_up { Walked::default() } else { self.evict(&mut stash, 2 * batch) };
            self.pool.seal(&mut stash, &self.domain, &self.counters, true);
            self.index.collect(&self.domain);
            if walked.freed > 0 || self.pool.steal(&mut stash) {
                continue;
            }
            if purpose == Purpose::Write
                && let Some(frame) = self.pool.take_reserved()
            {
                self.counters.reserve_used.count();
                return Ok(frame);
            }
            if self.pool.limbo.len() + self.pool.lingering() == 0 && round > self.frames.count() / 64 {
                break;
            }
            // Another cache has the budget, somebody's guard holds up a grace period, or a pin was in the way for a moment.
            drop(stash);
            if !self.charge.make_room(batch) {
                give_way(round);
            }
            stash = self.pool.stash();
        }
        self.counters.no_frame.count();
        Err(NoFrame)
    }

    /// Whether it is the budget, and not the capacity, that keeps more frames from coming into circulation.
    fn is_held_down(&self) -> bool {
        self.charge.is_exhausted() && self.pool.issued() < self.pool.limit()
    }

    /// Once everything the capacity allows is in circulation, each frame taken is paid for by one evicted, so that the
    /// price of eviction is spread evenly; after the capacity was cut, by two. [`AHEAD`] at a time.
    fn evict_ahead(&self, stash: &mut Stash) {
        let (issued, limit) = (self.pool.issued(), self.pool.limit());
        // What is in limbo was paid for already. Without this a backlog, once somebody's guard has made one, would stay.
        if issued < limit || self.pool.limbo.len() >= self.limbo_max(BACKLOG_AHEAD) {
            return;
        }
        stash.due += if issued > limit { 2 } else { 1 };
        if stash.due >= AHEAD.min(self.pool.batch()) {
            let due = std::mem::take(&mut stash.due);
            self.evict(stash, due);
            self.seal_if_full(stash);
        }
    }

    /// Frames that hold no block on probation or in main although the capacity is used up: on their way through limbo and
    /// the stashes, or dirty. And two batches more, for what comes and goes.
    fn slack(&self) -> usize {
        let margin = 2 * self.pool.batch();
        let issued = self.pool.issued();
        if issued < self.pool.limit() {
            return margin;
        }
        let resident = self.policy.len(Part::Probation) + self.policy.len(Part::Main);
        margin + issued.saturating_sub(self.pool.reserve_target() + resident)
    }

    /// Frames in limbo that are so many `times` what it is patient with, and as many batches.
    fn limbo_max(&self, times: usize) -> usize {
        times * (self.pool.limbo.patience() + self.pool.batch())
    }

    /// Gives back a frame that was taken and not used.
    pub(crate) fn give_back(&self, frame: FrameNo) {
        self.header(frame).state.free();
        self.pool.stash().push(frame);
    }

    /// Enters an owned frame as the holder of `blkno`, in the state `word`; or gives it back, if lookups can find that
    /// block in another frame, which is then pinned for the caller.
    fn enter(&self, frame: FrameNo, blkno: BlockNo, word: Word) -> Result<(), FrameNo> {
        let header = self.header(frame);
        let hash = self.hash(blkno);
        let guard = self.domain.guard();
        self.index.make_way(&self.domain, hash, |frame| self.hash_of(frame));
        header.set_blkno(blkno);
        header.state.claim(word);
        // V1: in the policy's books before lookups can find it, so that whoever retires it finds it there.
        self.policy.admit(frame, header, hash, self.slack());
        let entered = self.index.insert(
            &self.domain,
            hash,
            frame,
            |frame| self.hash_of(frame),
            |other| self.try_pin(other, blkno),
        );
        drop(guard);
        if let Err(theirs) = entered {
            self.policy.forget(frame);
            self.give_back(frame);
            self.counters.duplicate_insert_lost.count();
            return Err(theirs);
        }
        Ok(())
    }

    /// Puts on its way from memory what the policy remembers of a block that is about to be entered.
    pub(crate) fn fetch_trace(&self, blkno: BlockNo) {
        self.policy.prefetch(self.hash(blkno));
    }

    /// Claims the right to fill `blkno`, or joins whoever has it.
    pub(crate) fn claim(&self, blkno: BlockNo) -> Result<Claim, NoFrame> {
        if let Some(frame) = self.pin_block(blkno) {
            return Ok(Claim::Join(frame));
        }
        self.fetch_trace(blkno);
        let frame = self.take_frame(Purpose::Read)?;
        // Two pins: the reader's and the fill's.
        let pins = if cfg!(tidelock_weaken = "fill_unpinned") { 1 } else { 2 };
        Ok(match self.enter(frame, blkno, Word::present(Phase::Filling, pins)) {
            Ok(()) => Claim::Fill(frame),
            Err(theirs) => Claim::Join(theirs),
        })
    }

    /// Enters an image that is there already and known to be good. The frame comes back pinned once.
    ///
    /// # Errors
    /// The frame that was there first, pinned once.
    pub(crate) fn enter_image(&self, frame: FrameNo, image: BlockRef, magic: Magic) -> Result<(), FrameNo> {
        self.header(frame).set_image(image.seq, magic);
        self.enter(frame, image.blkno, Word::present(Phase::Clean, 1))
    }

    /// Enters an owned frame as the dirty image of `image.blkno` with one pin, its writer's, in place of whatever copy is
    /// cached. Readers of that copy keep it.
    ///
    /// # Errors
    /// The frame comes back to the caller when that block is dirty already.
    pub(crate) fn enter_dirty(&self, frame: FrameNo, image: BlockRef, magic: Magic) -> Result<(), FrameNo> {
        let header = self.header(frame);
        let hash = self.hash(image.blkno);
        let guard = self.domain.guard();
        self.index.make_way(&self.domain, hash, |frame| self.hash_of(frame));
        header.set_blkno(image.blkno);
        header.set_image(image.seq, magic);
        // B3: header complete and dirty before lookups can find it.
        header.state.claim(Word::present(Phase::Dirty, 1));
        let displaced = RefCell::new(Vec::new());
        let entered = self.index.replace(
            &self.domain,
            hash,
            frame,
            |frame| self.hash_of(frame),
            |other| {
                let Some(pinned) = self.try_pin(other, image.blkno) else { return Ok(false) };
                let state = &self.header(pinned).state;
                if state.load().phase() == Phase::Dirty && !cfg!(tidelock_weaken = "replace_blindly") {
                    return Err(pinned);
                }
                displaced.borrow_mut().push(pinned);
                Ok(state.hide())
            },
        );
        drop(guard);
        // B5: their entries are out of the index by now.
        displaced.into_inner().into_iter().for_each(|old| self.let_go(old));
        if let Err(dirty) = entered {
            self.let_go(dirty);
            header.state.free();
            return Err(frame);
        }
        Ok(())
    }

    // --- removing --------------------------------------------------------------------------------------------------

    /// Turns presence off for a frame that the caller has pinned, and takes it out of the index. Tells whether this call
    /// did it. The caller's pin still has to be given back.
    pub(crate) fn remove(&self, frame: FrameNo) -> bool {
        if !self.header(frame).state.hide() {
            self.counters.remove_lost.count();
            return false;
        }
        let _guard = self.domain.guard();
        let removed = self.index.remove(self.hash_of(frame), frame);
        debug_assert!(removed, "B5: whoever turned presence off finds the entry");
        true
    }

    /// Evicts up to `count` frames and takes their memory out of circulation. Bounded by the policy's visits.
    pub(crate) fn shrink(&self, count: usize) -> (Walked, usize) {
        let mut stash = self.pool.stash();
        // What is idle already goes first.
        let mut withdrawn = self.pool.withdraw_all(&mut stash, self, count);
        stash.look_at_pins(&self.domain);
        let walked = self.evict(&mut stash, count - withdrawn);
        self.pool.seal(&mut stash, &self.domain, &self.counters, true);
        self.index.collect(&self.domain);
        withdrawn += self.pool.withdraw_all(&mut stash, self, count - withdrawn);
        (walked, withdrawn)
    }

    /// Lookups that found their block and lookups that did not, over all threads.
    pub(crate) fn lookups(&self) -> (u64, u64) {
        self.domain.slots().fold((0, 0), |(hits, misses), slot| {
            // Relaxed: statistics.
            (hits + slot.hits.load(PlainOrdering::Relaxed), misses + slot.misses.load(PlainOrdering::Relaxed))
        })
    }

    /// The dirty block in `frame`, whose writer the caller is, was written: it is a clean block like any other now.
    pub(crate) fn settle_written(&self, frame: FrameNo) {
        let header = self.header(frame);
        self.policy.admit(frame, header, self.hash_of(frame), self.slack());
        header.state.advance(Phase::Dirty, Phase::Clean);
        self.let_go(frame);
    }

    /// Changes how many blocks may be cached. Raising takes effect at once, lowering as blocks are evicted.
    pub(crate) fn set_capacity(&self, frames: usize) {
        self.pool.set_capacity(frames);
        self.policy.set_capacity(frames);
    }

    /// The image tagged `seq`, made known as good: what a reader does who has verified a loaded frame that it pinned.
    pub(crate) fn confirm(&self, frame: FrameNo, seq: Seq, magic: Magic) {
        let header = self.header(frame);
        header.set_image(seq, magic);
        header.state.exchange_phase(Phase::Loaded, Phase::Clean);
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        self.domain.wait_for_leavers();
    }
}
