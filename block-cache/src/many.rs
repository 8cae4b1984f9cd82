//! Reading many blocks with few submissions.

use std::panic::Location;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use tidelock_format::{BlockRef, Magic};
use tidelock_sync::Pending;

use crate::raw::core::Claim;
use crate::raw::epoch::Slot;
use crate::raw::frame::FrameNo;
use crate::read::Read;
use crate::shared::Shared;
use crate::{Block, CacheError};

/// Misses claimed before the device is given them: it begins with these while the next are claimed. Neighbours go together,
/// however many they are, for the system makes one transfer of them.
const CLAIMED_AT_A_TIME: usize = 4;

/// The result of reading many: one for each reference, in order.
pub(crate) type Blocks = Vec<Result<Block, CacheError>>;

/// Many reads under way.
#[derive(Debug)]
pub(crate) struct ReadMany {
    reads: Vec<One>,
}

/// One of many.
#[derive(Debug)]
pub(crate) enum One {
    Reading(Read),
    Done(Result<Block, CacheError>),
}

impl ReadMany {
    /// Starts them all: looks each one up, and submits what has to be read.
    pub(crate) fn start(
        shared: &Arc<Shared>,
        wanted: &[BlockRef],
        magic: Magic,
        site: &'static Location<'static>,
    ) -> Self {
        Self { reads: Self::begin_all(shared, wanted, magic, site) }
    }

    /// What [`start`](Self::start) starts.
    pub(crate) fn begin_all(
        shared: &Arc<Shared>,
        wanted: &[BlockRef],
        magic: Magic,
        site: &'static Location<'static>,
    ) -> Vec<One> {
        // All hits are pinned before any miss claims a frame: what is claimed may be the frame of a later hit.
        let hits: Vec<Option<Block>> =
            wanted.iter().map(|wanted| shared.pin_image(*wanted, magic, site)).collect();
        let mut claimed: Vec<FrameNo> = Vec::with_capacity(CLAIMED_AT_A_TIME);
        let begin_one = |(wanted, hit): (&BlockRef, Option<Block>)| match hit {
            Some(block) => One::Done(Ok(block)),
            None => Self::begin_miss(shared, *wanted, magic, site, &mut claimed),
        };
        let reads = wanted.iter().zip(hits).map(begin_one).collect();
        if !claimed.is_empty() {
            shared.submit_fills(&claimed);
        }
        reads
    }

    fn begin_miss(
        shared: &Arc<Shared>,
        wanted: BlockRef,
        magic: Magic,
        site: &'static Location<'static>,
        claimed: &mut Vec<FrameNo>,
    ) -> One {
        Slot::count(&shared.core.domain.slot().misses);
        if wanted.is_null() {
            return One::Done(Err(CacheError::Null));
        }
        let claim = shared.range_of(wanted.blkno).and_then(|_| shared.claim(wanted.blkno));
        let frame = match claim {
            Err(error) => return One::Done(Err(error)),
            Ok(Claim::Join(frame)) => frame,
            Ok(Claim::Fill(frame)) => {
                if claimed.len() >= CLAIMED_AT_A_TIME && !shared.adjoins(claimed, frame) {
                    shared.submit_fills(claimed);
                    claimed.clear();
                }
                claimed.push(frame);
                frame
            }
        };
        One::Reading(Read::new(shared, wanted, magic, site).with_pin(frame))
    }

    /// Drives each to its end with `finish`; `None` as soon as one is not there yet.
    fn finish(
        &mut self,
        mut finish: impl FnMut(&mut Read) -> Option<Result<Block, CacheError>>,
    ) -> Option<Blocks> {
        for one in &mut self.reads {
            if let One::Reading(read) = one {
                *one = One::Done(finish(read)?);
            }
        }
        let results = std::mem::take(&mut self.reads).into_iter().map(|one| match one {
            One::Done(result) => result,
            One::Reading(_) => unreachable!("each was finished in the loop above"),
        });
        Some(results.collect())
    }
}

impl Pending<Blocks> for ReadMany {
    fn try_now(&mut self) -> Option<Blocks> {
        self.finish(Read::try_now)
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Blocks> {
        let blocks = self.finish(|read| match read.poll(context) {
            Poll::Ready(result) => Some(result),
            Poll::Pending => None,
        });
        blocks.map_or(Poll::Pending, Poll::Ready)
    }

    fn wait(&mut self, deadline: Option<Instant>) -> Option<Blocks> {
        self.finish(|read| read.wait(deadline))
    }
}
