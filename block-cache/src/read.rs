//! Reading a block that is not simply there: the miss path, and what a mismatch leads to.
//!
//! ```text
//!   look ---- claimed ----> submit ----> wait ----> verify ---- match ----> block
//!    ^  \--- joined another's fill ------^  |          \
//!    |                                      error       mismatch: dirty? ----> Stale
//!    |                                                  \ first time: drop the copy
//!    '---------------------------------------------------'   second time ----> Stale
//! ```

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use tidelock_format::{BlockHeader, BlockRef, Magic, Mismatch, Seq, block_checksum, verify_header};
use tidelock_sync::{Listener, Pending};
use tracing::{Span, debug_span, field};

use crate::fault::FaultPoint;
use crate::raw::core::Claim;
use crate::raw::frame::FrameNo;
use crate::raw::pin::Pin as Reference;
use crate::raw::state::Phase;
use crate::shared::Shared;
use crate::{Block, CacheError};

/// Times that a read looks again because the image it waited for was taken away meanwhile (by a writer, or by another
/// reader who found it stale). Each time a newer one stands there.
const LOOKS_MAX: u32 = 16;

/// One read under way.
#[derive(Debug)]
pub(crate) struct Read {
    shared: Arc<Shared>,
    wanted: BlockRef,
    magic: Magic,
    site: &'static Location<'static>,
    stage: Stage,
    /// Times it looked.
    looks: u32,
    /// Whether a mismatching copy was dropped already.
    reread: bool,
    listener: Option<Listener>,
    /// From when it was sure to be a miss until its result.
    span: Span,
}

#[derive(Debug)]
enum Stage {
    /// To look for the block.
    Look,
    /// Holding a pin on a frame that is being filled, or was.
    Pinned(FrameNo),
    /// Over.
    Done,
}

/// What a step of a read came to.
enum Step {
    Ended(Result<Block, CacheError>),
    /// The fill of this frame has to end first.
    Wait(FrameNo),
    Again,
}

impl Read {
    pub(crate) fn new(
        shared: &Arc<Shared>,
        wanted: BlockRef,
        magic: Magic,
        site: &'static Location<'static>,
    ) -> Self {
        Self {
            shared: shared.clone(),
            wanted,
            magic,
            site,
            stage: Stage::Look,
            looks: 0,
            reread: false,
            listener: None,
            span: Span::none(),
        }
    }

    /// A read whose frame was claimed or joined by the caller, who gives it its pin.
    pub(crate) fn with_pin(mut self, frame: FrameNo) -> Self {
        self.stage = Stage::Pinned(frame);
        self.looks = 1;
        self.open_span();
        self
    }

    /// The frame it has pinned.
    pub(crate) fn frame(&self) -> Option<FrameNo> {
        match self.stage {
            Stage::Pinned(frame) => Some(frame),
            Stage::Look | Stage::Done => None,
        }
    }

    /// Goes as far as it can without waiting. `Err` is the frame to wait for.
    pub(crate) fn advance(&mut self) -> Result<Result<Block, CacheError>, FrameNo> {
        // Bound: LOOKS_MAX looks, each followed by at most one verification.
        loop {
            match self.step() {
                Step::Ended(result) => return Ok(result),
                Step::Wait(frame) => return Err(frame),
                Step::Again => {}
            }
        }
    }

    fn step(&mut self) -> Step {
        match self.stage {
            Stage::Look => self.look(),
            Stage::Pinned(frame) => self.check(frame),
            Stage::Done => panic!("a read was used again after it gave its result"),
        }
    }

    fn look(&mut self) -> Step {
        self.looks += 1;
        if self.looks > LOOKS_MAX {
            let found = Mismatch::Seq { expected: self.wanted.seq, found: Seq(0) };
            return self.end(Err(CacheError::Stale { wanted: self.wanted, found }));
        }
        let claim = if self.wanted.is_null() {
            Err(CacheError::Null)
        } else {
            self.shared.range_of(self.wanted.blkno).and_then(|_| self.shared.claim(self.wanted.blkno))
        };
        let is_there = matches!(claim, Ok(Claim::Join(frame)) if self.shared.phase(frame) == Phase::Clean);
        if !is_there {
            self.open_span();
        }
        match claim {
            Err(error) => self.end(Err(error)),
            Ok(Claim::Fill(frame)) => {
                self.shared.queue_fill(frame);
                self.stage = Stage::Pinned(frame);
                Step::Again
            }
            Ok(Claim::Join(frame)) => {
                if self.shared.phase(frame) == Phase::Filling {
                    self.shared.core.counters.joined_fills.count();
                }
                self.stage = Stage::Pinned(frame);
                Step::Again
            }
        }
    }

    fn check(&mut self, frame: FrameNo) -> Step {
        match self.shared.phase(frame) {
            Phase::Filling => Step::Wait(frame),
            Phase::Failed => {
                let error = self.shared.failure(frame);
                self.end(Err(error))
            }
            Phase::Dirty => self.meet_dirty(frame),
            Phase::Loaded => match self.verify_loaded(frame) {
                Ok(()) => self.compare(frame),
                Err(found) => self.mismatch(frame, found, true),
            },
            Phase::Clean => self.compare(frame),
            Phase::Free | Phase::Retired => unreachable!("B4: a pinned frame is neither free nor retired"),
        }
    }

    /// Verifies what every reader of this image needs, once: checksum, volume, place. Who wants which image of it is
    /// compared after.
    fn verify_loaded(&self, frame: FrameNo) -> Result<(), Mismatch> {
        let core = &self.shared.core;
        let image = core.frames.image(frame);
        let header = BlockHeader::read(image);
        let expected = block_checksum(image);
        if header.crc != expected {
            return Err(Mismatch::Checksum { expected, found: header.crc });
        }
        let itself = BlockRef::new(self.wanted.blkno, header.seq);
        verify_header(&header, self.shared.fsid, itself, header.magic)?;
        core.confirm(frame, header.seq, header.magic);
        Ok(())
    }

    /// Compares a clean image with what this reader wants.
    fn compare(&mut self, frame: FrameNo) -> Step {
        let header = self.shared.core.header(frame);
        let found = match (header.magic(), header.seq()) {
            (magic, _) if magic != self.magic => Mismatch::Magic { expected: self.magic, found: magic },
            (_, seq) if seq != self.wanted.seq => Mismatch::Seq { expected: self.wanted.seq, found: seq },
            _ if !self.is_forced_stale(frame) => {
                header.warm();
                self.stage = Stage::Done;
                self.span.record("outcome", "found");
                return Step::Ended(Ok(Block::from_pin(&self.shared, frame, Reference::Counted, self.site)));
            }
            (_, seq) => Mismatch::Seq { expected: self.wanted.seq, found: seq },
        };
        self.mismatch(frame, found, false)
    }

    /// The fault that makes a good copy stale. Looked at last, and only when the copy can be dropped (S-26).
    fn is_forced_stale(&self, frame: FrameNo) -> bool {
        let shared = &self.shared;
        let is_present = shared.core.header(frame).state.load().is_present();
        let fires = is_present && shared.fires(FaultPoint::Stale(self.wanted.blkno));
        if !fires {
            // One that has this time pass by wants to see the next reader too.
            shared.doubt(self.wanted.blkno);
        }
        fires
    }

    /// S-28: a mismatch with a dirty block never touches it.
    fn meet_dirty(&mut self, frame: FrameNo) -> Step {
        let core = &self.shared.core;
        let found = core.header(frame).seq();
        let error = if found == self.wanted.seq {
            CacheError::Dirty { wanted: self.wanted }
        } else {
            core.counters.stale_on_dirty.count();
            let found = Mismatch::Seq { expected: self.wanted.seq, found };
            CacheError::Stale { wanted: self.wanted, found }
        };
        self.end(Err(error))
    }

    /// The first mismatch drops the cached copy and reads the media again; the second is the answer.
    fn mismatch(&mut self, frame: FrameNo, found: Mismatch, is_damaged: bool) -> Step {
        let core = &self.shared.core;
        if is_damaged {
            core.counters.damaged_images.count();
        }
        if (!self.reread || is_damaged) && core.remove(frame) {
            core.counters.stale_dropped.count();
        }
        if !self.reread {
            self.reread = true;
            self.release();
            return Step::Again;
        }
        core.counters.stale_after_reread.count();
        self.end(Err(CacheError::Stale { wanted: self.wanted, found }))
    }

    fn end(&mut self, result: Result<Block, CacheError>) -> Step {
        self.release();
        self.stage = Stage::Done;
        if let Err(error) = &result {
            self.span.record("outcome", field::display(error));
        }
        Step::Ended(result)
    }

    /// Traces this read from now on, if it is not traced already.
    fn open_span(&mut self) {
        if self.span.is_none() {
            let shared = &self.shared;
            self.span =
                debug_span!("miss", cache = %shared.name, wanted = %self.wanted, outcome = field::Empty);
        }
    }

    /// Lets go of the frame it holds.
    fn release(&mut self) {
        if let Stage::Pinned(frame) = std::mem::replace(&mut self.stage, Stage::Look) {
            self.shared.core.let_go(frame);
        }
    }
}

impl Drop for Read {
    /// The fill, if there is one, goes on: it has a pin of its own.
    fn drop(&mut self) {
        self.release();
    }
}

impl Pending<Result<Block, CacheError>> for Read {
    fn try_now(&mut self) -> Option<Result<Block, CacheError>> {
        // Bound: as in advance(); a frame that is not done after looking once is waited for no longer.
        loop {
            match self.advance() {
                Ok(result) => return Some(result),
                Err(frame) => {
                    let shared = &self.shared;
                    if !shared.device.drive(&|| shared.phase(frame) != Phase::Filling, Some(Instant::now())) {
                        return None;
                    }
                }
            }
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Block, CacheError>> {
        loop {
            let frame = match self.advance() {
                Ok(result) => return Poll::Ready(result),
                Err(frame) => frame,
            };
            let mut listener = match self.listener.take() {
                Some(listener) => listener,
                None => {
                    // Listen, then look once more, then wait.
                    self.listener = Some(self.shared.fill_event(frame).listen());
                    self.shared.device.attend();
                    continue;
                }
            };
            if Pin::new(&mut listener).poll(context).is_pending() {
                self.listener = Some(listener);
                return Poll::Pending;
            }
        }
    }

    fn wait(&mut self, deadline: Option<Instant>) -> Option<Result<Block, CacheError>> {
        loop {
            match self.advance() {
                Ok(result) => return Some(result),
                Err(frame) => {
                    let shared = &self.shared;
                    if !shared.device.drive(&|| shared.phase(frame) != Phase::Filling, deadline) {
                        return None;
                    }
                }
            }
        }
    }
}
