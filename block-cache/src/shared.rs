//! What every handle, block, reader and writer of one cache shares.

use std::collections::HashMap;
use std::panic::Location;
use std::sync::{Arc, Mutex};
use tidelock_sync::unmodelled::AtomicU64;

use tidelock_dev::Fault as DeviceFault;
use tidelock_dev::nudge;
use tidelock_dev::{BlockDevice, Buffer, Completer, Completion, DeviceError, Operation, RawBuffer, Request};
use tidelock_format::{BlockNo, BlockRef, DeviceRange, FormatError, Fsid, Magic, Mismatch, Seq};
use tidelock_sync::Event;
use tidelock_sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tidelock_sync::barrier;

use crate::fault::{ArmedFault, FaultPoint, Faults};
use crate::raw::core::{Claim, Core, NoFrame, Purpose};
use crate::raw::frame::FrameNo;
use crate::raw::orphans::KeepAlive;
use crate::raw::pin::Pin;
use crate::raw::state::Phase;
use crate::references::References;
use crate::taken::Taken;
use crate::{Block, CacheError};

/// Events that waiters share, by frame: few enough to be small, many enough that a waiter is seldom woken for nothing.
const EVENTS: usize = if cfg!(any(tidelock_loom, tidelock_shuttle)) { 1 } else { 64 };

/// Where the random tags of new images come from.
pub(crate) enum SeqSource {
    /// The system's generator.
    System,
    /// The embedder's.
    Given(Box<dyn Fn() -> u64 + Send + Sync>),
}

impl std::fmt::Debug for SeqSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            SeqSource::System => "system",
            SeqSource::Given(_) => "given",
        })
    }
}

/// One cache.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) core: Core,
    pub(crate) device: Arc<dyn BlockDevice>,
    pub(crate) fsid: Fsid,
    pub(crate) name: String,
    pub(crate) references: References,
    pub(crate) faults: Arc<Faults>,
    seqs: SeqSource,
    /// Woken when a fill of one of their frames has ended.
    fills: [Event; EVENTS],
    /// Why failed frames failed, while somebody may still ask.
    failures: Mutex<HashMap<FrameNo, DeviceError>>,
    /// Fills whose completion is still out.
    in_flight: AtomicUsize,
    /// Growths of the index that were told of.
    growths_told: AtomicU64,
    closed: AtomicBool,
}

impl Shared {
    pub(crate) fn new(
        core: Core,
        device: Arc<dyn BlockDevice>,
        fsid: Fsid,
        name: String,
        seqs: SeqSource,
        references: References,
        faults: Arc<Faults>,
    ) -> Self {
        core.index.obey(&faults);
        Self {
            core,
            device,
            fsid,
            name,
            seqs,
            references,
            faults,
            fills: std::array::from_fn(|_| Event::new()),
            failures: Mutex::default(),
            in_flight: AtomicUsize::new(0),
            growths_told: AtomicU64::new(0),
            closed: AtomicBool::new(false),
        }
    }

    // --- what is where -----------------------------------------------------------------------------------------------

    /// Where `blkno` is on the device.
    pub(crate) fn range_of(&self, blkno: BlockNo) -> Result<DeviceRange, CacheError> {
        let size = self.core.frames.size();
        let beyond = |why| CacheError::OutOfRange { blkno, why };
        let range = DeviceRange::of_block(blkno, size).ok_or_else(|| {
            // Too large for any device: say so with the last range that there could be.
            let len = size.bytes() as u64;
            let last = DeviceRange::new(u64::MAX - len, len).expect("ends at the greatest offset");
            beyond(FormatError::OutOfRange { range: last, size: self.device.size() })
        })?;
        range.check(self.device.size(), self.device.align() as u64).map_err(beyond)?;
        Ok(range)
    }

    pub(crate) fn no_frame(&self) -> CacheError {
        CacheError::NoFrame { frames: self.core.pool.limit() }
    }

    pub(crate) fn phase(&self, frame: FrameNo) -> Phase {
        self.core.header(frame).state.load().phase()
    }

    /// A tag for a new image.
    pub(crate) fn new_seq(&self) -> Result<Seq, CacheError> {
        match &self.seqs {
            SeqSource::Given(source) => Ok(Seq(source())),
            SeqSource::System => getrandom::u64().map(Seq).map_err(|_| CacheError::NoRandomness),
        }
    }

    /// Arms a fault of this cache.
    pub(crate) fn arm_fault(&self, point: FaultPoint, passes: usize) -> ArmedFault {
        let fault = self.faults.arm(point, passes);
        if let FaultPoint::Stale(blkno) = point {
            self.doubt(blkno);
        }
        fault
    }

    /// Makes the clean copy of `blkno` unknown as long as a fault is to make it stale: what is known to be good is not
    /// looked at again, and its next reader is to be sent where the fault is.
    pub(crate) fn doubt(&self, blkno: BlockNo) {
        if self.faults.await_point(FaultPoint::Stale(blkno))
            && let Some(frame) = self.core.pin_block(blkno)
        {
            self.core.header(frame).state.exchange_phase(Phase::Clean, Phase::Loaded);
            self.core.let_go(frame);
        }
    }

    /// Whether an armed fault fires here and now. Asked last, when nothing else can decide any more (S-26).
    pub(crate) fn fires(&self, point: FaultPoint) -> bool {
        let fires = self.faults.fires(point);
        if fires {
            self.core.counters.faults_fired.count();
        }
        fires
    }

    /// A frame for a new image.
    pub(crate) fn take_frame(&self, purpose: Purpose) -> Result<Taken<'_>, CacheError> {
        if self.fires(FaultPoint::NoFrame) {
            return Err(self.no_frame());
        }
        let frame = self.core.take_frame(purpose).map_err(|NoFrame| self.no_frame())?;
        Ok(Taken::new(&self.core, frame))
    }

    /// Enters an image that the caller has.
    pub(crate) fn insert(
        &self,
        image: BlockRef,
        magic: Magic,
        fill: impl FnOnce(&mut [u8]),
        site: &'static Location<'static>,
    ) -> Result<Block, CacheError> {
        if image.is_null() {
            return Err(CacheError::Null);
        }
        self.range_of(image.blkno)?;
        if self.is_closed() {
            return Err(CacheError::Closed);
        }
        self.core.fetch_trace(image.blkno);
        let mut taken = self.take_frame(Purpose::Read)?;
        fill(taken.image_mut());
        let frame = taken.into_frame();
        match self.core.enter_image(frame, image, magic) {
            Ok(()) if self.closed_meanwhile(frame) => {
                self.core.let_go(frame);
                Err(CacheError::Closed)
            }
            Ok(()) => {
                self.doubt(image.blkno);
                Ok(Block::from_pin(self, frame, Pin::Counted, site))
            }
            Err(theirs) => self.take_instead(theirs, image, magic, site),
        }
    }

    /// The copy that was there before an insertion, pinned for the caller.
    fn take_instead(
        &self,
        theirs: FrameNo,
        image: BlockRef,
        magic: Magic,
        site: &'static Location<'static>,
    ) -> Result<Block, CacheError> {
        let header = self.core.header(theirs);
        if header.state.load().phase() == Phase::Clean && header.seq() == image.seq && header.magic() == magic
        {
            return Ok(Block::from_pin(self, theirs, Pin::Counted, site));
        }
        let found = Mismatch::Seq { expected: image.seq, found: header.seq() };
        self.core.let_go(theirs);
        Err(CacheError::Stale { wanted: image, found })
    }

    // --- filling -----------------------------------------------------------------------------------------------------

    /// Claims the fill of `blkno` or joins it. The caller holds one pin of its own either way, and must submit a claimed
    /// fill at once ([`submit_fills`](Self::submit_fills)).
    pub(crate) fn claim(self: &Arc<Self>, blkno: BlockNo) -> Result<Claim, CacheError> {
        if self.faults.are_armed() && !self.is_cached(blkno) && self.fires(FaultPoint::NoFrame) {
            return Err(self.no_frame());
        }
        let claim = self.core.claim(blkno).map_err(|NoFrame| self.no_frame())?;
        self.tell_of_growth();
        let (Claim::Fill(frame) | Claim::Join(frame)) = claim;
        if !self.closed_meanwhile(frame) {
            return Ok(claim);
        }
        if matches!(claim, Claim::Fill(_)) && !cfg!(tidelock_weaken = "refused_claim_unfilled") {
            // Somebody may have joined before the closing, and waits in the device for this fill to end.
            self.submit_fills(&[frame]);
        }
        self.core.let_go(frame);
        Err(CacheError::Closed)
    }

    /// Traces that the index grew, once for each growth. Told by the next miss, which is soon: misses are what it grows for.
    fn tell_of_growth(&self) {
        let growths = self.core.index.growths();
        // Relaxed, both: for people; told twice at worst.
        if growths != self.growths_told.load(Ordering::Relaxed) {
            self.growths_told.store(growths, Ordering::Relaxed);
            let (index_bytes, blocks) = (self.core.index.bytes(&self.core.domain), self.core.pool.issued());
            tracing::debug!(cache = %self.name, growths, index_bytes, blocks, "the index grew");
        }
    }

    /// Whether a lookup would find `blkno` in some frame now, in whatever phase.
    fn is_cached(&self, blkno: BlockNo) -> bool {
        self.core.pin_block(blkno).map(|frame| self.core.let_go(frame)).is_some()
    }

    /// Whether the cache was closed before the caller's pin on `frame`, which it entered or joined just now, could be seen by
    /// the sweep. The frame is out of sight then, and so nothing that the sweep did not count stays behind.
    pub(crate) fn closed_meanwhile(&self, frame: FrameNo) -> bool {
        // Pairs with the heavy one in refuse_claims(): either the sweep sees this pin, or this sees the closing.
        if !cfg!(tidelock_weaken = "claim_fence") {
            barrier::light_or_fence();
        }
        let is_closed = self.is_closed();
        if is_closed {
            self.core.remove(frame);
        }
        is_closed
    }

    /// Submits the reads of frames that the caller claimed. Each completion gives the fill's pin back.
    pub(crate) fn submit_fills(self: &Arc<Self>, claimed: &[FrameNo]) {
        let batch = self.begin_fills(claimed);
        self.submit(batch);
    }

    /// Whether the block claimed in `next` is the one behind the last of `claimed`.
    pub(crate) fn adjoins(&self, claimed: &[FrameNo], next: FrameNo) -> bool {
        let blkno = |frame: FrameNo| self.core.header(frame).blkno().0;
        claimed.last().is_some_and(|last| blkno(*last).checked_add(1) == Some(blkno(next)))
    }

    /// As above, for one frame and for a caller who is about to wait: the read starts as soon as anybody waits.
    pub(crate) fn queue_fill(self: &Arc<Self>, claimed: FrameNo) {
        let mut batch = self.begin_fills(&[claimed]);
        self.refuse_first_if_told(&mut batch);
        self.device.queue(&mut batch);
    }

    fn begin_fills(self: &Arc<Self>, claimed: &[FrameNo]) -> Vec<Request> {
        let batch: Vec<Request> = claimed.iter().map(|frame| self.fill_request(*frame)).collect();
        self.core.counters.device_reads.add(batch.len() as u64);
        // Release: pairs with the Acquire in close(), which waits for these.
        self.in_flight.fetch_add(batch.len(), Ordering::Release);
        batch
    }

    /// Hands requests to the device.
    pub(crate) fn submit(&self, mut batch: Vec<Request>) {
        self.refuse_first_if_told(&mut batch);
        self.device.submit(&mut batch);
    }

    fn refuse_first_if_told(&self, batch: &mut Vec<Request>) {
        if self.fires(FaultPoint::RefuseSubmit) {
            batch.remove(0).refuse(DeviceFault::Injected("the cache was told to refuse this submit"));
            // L-08: as in abandon().
            nudge(&*self.device);
        }
    }

    fn fill_request(self: &Arc<Self>, frame: FrameNo) -> Request {
        let core = &self.core;
        let blkno = core.header(frame).blkno();
        let len = core.frames.size().bytes();
        // SAFETY: F4: the frame is Filling and pinned by this fill until the completion; the arena lives as long as the
        // completer, which is this cache.
        let buffer = unsafe { RawBuffer::new(core.frames.address(frame), len) };
        Request {
            operation: Operation::Read,
            range: self.range_of(blkno).expect("a claimed block was checked to be on the device"),
            buffer: Some(Buffer::Lent(buffer)),
            tag: frame.index() as u64,
            completer: self.clone(),
        }
    }

    /// The event that is notified when the fill of `frame` has ended.
    pub(crate) fn fill_event(&self, frame: FrameNo) -> &Event {
        &self.fills[frame.index() % EVENTS]
    }

    /// Why the read into `frame`, which the caller has pinned, failed.
    pub(crate) fn failure(&self, frame: FrameNo) -> CacheError {
        let error = self.failures().get(&frame).copied();
        CacheError::Device(error.expect("C2: noted before the phase says that it failed"))
    }

    fn failures(&self) -> std::sync::MutexGuard<'_, HashMap<FrameNo, DeviceError>> {
        self.failures.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    // --- closing -----------------------------------------------------------------------------------------------------

    pub(crate) fn is_closed(&self) -> bool {
        // SeqCst: pairs with refuse_claims(). Where it matters, a barrier comes before: see closed_meanwhile().
        self.closed.load(Ordering::SeqCst)
    }

    /// Whether a fill's completion is still out.
    pub(crate) fn is_reading(&self) -> bool {
        // Acquire: pairs with the Release of complete().
        self.in_flight.load(Ordering::Acquire) > 0
    }

    /// Refuses new claims from now on. Tells whether this call closed it.
    pub(crate) fn refuse_claims(&self) -> bool {
        // SeqCst: pairs with is_closed(). The barrier orders it before the sweep; pairs with the light one in closed_meanwhile().
        let was_open = !self.closed.swap(true, Ordering::SeqCst);
        barrier::heavy();
        was_open
    }

    /// What keeps this cache's memory for blocks that are still held.
    pub(crate) fn keep_alive(self: &Arc<Self>) -> KeepAlive {
        self.clone()
    }
}

impl Completer for Shared {
    fn complete(&self, completion: Completion) {
        let frame = self.core.frames.number(completion.tag as usize);
        let state = &self.core.header(frame).state;
        match completion.result {
            Ok(()) => {
                // C2: the completion does the minimum; whoever reads the block verifies it.
                state.advance(Phase::Filling, Phase::Loaded);
            }
            Err(error) => {
                self.core.counters.read_errors.count();
                self.failures().insert(frame, error);
                state.advance(Phase::Filling, Phase::Failed);
                // The error is told to those who wait, and is not sticky: the next reader asks the device again.
                if !cfg!(tidelock_weaken = "failure_stays") {
                    self.core.remove(frame);
                }
            }
        }
        if !cfg!(tidelock_weaken = "fill_unannounced") {
            self.fill_event(frame).notify_all();
        }
        // Release: pairs with the Acquire in is_reading().
        self.in_flight.fetch_sub(1, Ordering::Release);
        self.core.let_go(frame);
    }
}
