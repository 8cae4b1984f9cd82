//! Many reads in flight, each given out as soon as it is there: for whoever keeps a device busy and takes blocks in whatever
//! order they come.
//!
//! Waiting for one of several reads is one wait: the thread drives the device until any of them has ended. (Waiting for the
//! oldest instead would let the queue run dry behind one slow read.)

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use tidelock_format::{BlockRef, Magic};

use crate::many::{One, ReadMany};
use crate::raw::state::Phase;
use crate::shared::Shared;
use crate::{Block, CacheError};

/// Reads in flight, of any number and kind. Made by [`BlockCache::reads`](crate::BlockCache::reads).
///
/// Each holds a frame, so keep fewer than the cache has. Dropping this gives up the results; reads that were submitted go on
/// behind it.
pub struct Reads {
    shared: Arc<Shared>,
    waiting: Vec<(BlockRef, One)>,
    /// Where to look first: whoever was looked at longest ago.
    next: usize,
}

impl Reads {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        Self { shared: shared.clone(), waiting: Vec::new(), next: 0 }
    }

    /// Starts reading these too: looks each one up, and submits what has to be read, a few at a time.
    #[track_caller]
    pub fn start(&mut self, wanted: &[BlockRef], magic: Magic) {
        let reads = ReadMany::begin_all(&self.shared, wanted, magic, Location::caller());
        self.waiting.extend(wanted.iter().copied().zip(reads));
    }

    /// How many have not been given out.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether all have been given out.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// One that is there by now, with its reference. Never blocks, and never looks at the device.
    pub fn try_next(&mut self) -> Option<(BlockRef, Result<Block, CacheError>)> {
        // Bound: each is looked at once.
        for _ in 0..self.waiting.len() {
            self.next = (self.next + 1) % self.waiting.len();
            let result = match &mut self.waiting[self.next].1 {
                One::Done(_) => None,
                One::Reading(read) => match read.advance() {
                    Ok(result) => Some(result),
                    Err(_still_filling) => continue,
                },
            };
            let (wanted, one) = self.waiting.swap_remove(self.next);
            return match (result, one) {
                (Some(result), _) | (None, One::Done(result)) => Some((wanted, result)),
                (None, One::Reading(_)) => unreachable!("a read that has no result was passed over"),
            };
        }
        None
    }

    /// How many the device has not answered yet. The others can be taken; a few of them turn out to need another read.
    pub fn in_flight(&self) -> usize {
        self.waiting.iter().filter(|(_, one)| !self.has_ended(one)).count()
    }

    /// Blocks until one of them can be taken; returns at once when there are none.
    ///
    /// Whoever wants the device to stay busy starts new reads after this and before taking what has come, so that the
    /// checksums of these are computed while the device reads those.
    pub fn wait_any(&self) {
        if !self.is_empty() {
            self.shared.device.drive(&|| self.waiting.iter().any(|(_, one)| self.has_ended(one)), None);
        }
    }

    /// Whichever is there first, with its reference. Blocks until there is one; `None` when all have been given out.
    pub fn wait_next(&mut self) -> Option<(BlockRef, Result<Block, CacheError>)> {
        // Bound: a read that has ended is at most read once more (`Read`).
        while !self.is_empty() {
            if let Some(next) = self.try_next() {
                return Some(next);
            }
            self.wait_any();
        }
        None
    }

    fn has_ended(&self, one: &One) -> bool {
        match one {
            One::Reading(read) => read.frame().is_none_or(|frame| self.shared.phase(frame) != Phase::Filling),
            One::Done(_) => true,
        }
    }
}

impl fmt::Debug for Reads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reads({} in flight)", self.len())
    }
}
