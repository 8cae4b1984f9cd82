//! One use of a lock.

use tidelock_format::{KeyRange, Token};
use tidelock_lock_proto::Mode;
use tidelock_sync::atomic::Ordering;

use super::slot::Slot;
use super::tenancy::Tenancy;
use super::word::Word;
use crate::LockId;

/// One use of a lock, from entering to [leaving](Self::leave). Whoever has it must not forget to leave.
#[derive(Clone, Copy, Debug)]
#[must_use = "a use that is not ended keeps the lock for ever"]
pub(crate) struct Use<'a> {
    pub(super) slot: &'a Slot,
    pub(super) word: &'a Word,
    pub(super) id: LockId,
    pub(super) mode: Mode,
}

impl<'a> Use<'a> {
    /// Which lock.
    pub(crate) fn lock(&self) -> LockId {
        self.id
    }

    /// Where it is, until it is given back.
    pub(super) fn tenancy(&self) -> Tenancy {
        Tenancy { id: self.id, tenant: self.slot.tenant() }
    }

    /// Which of the slot's words counts it.
    pub(crate) fn lane(&self) -> usize {
        let lane = self.slot.words().position(|word| std::ptr::eq(word, self.word));
        lane.expect("J1: a use is counted in its lock's slot")
    }

    /// As what it is used.
    pub(crate) fn mode(&self) -> Mode {
        self.mode
    }

    /// Ends it. Tells whether the lock has to be reported as drained.
    #[inline]
    pub(crate) fn leave(self) -> bool {
        self.word.leave(self.mode)
    }

    /// Uses the lock once more, as at most what it is used as already.
    pub(crate) fn again(&self, mode: Mode) -> Use<'a> {
        debug_assert!(self.mode.satisfies(mode), "J2: as no more than what it is used as");
        self.word.enter_again(mode);
        Use { mode, ..*self }
    }

    /// Turns a use for writing into one for reading. Tells whether the lock has to be reported as drained.
    pub(crate) fn downgrade(&mut self) -> bool {
        debug_assert_eq!(self.mode, Mode::Write, "J2: only a writer has something to go down from");
        self.mode = Mode::Read;
        self.word.downgrade()
    }

    /// Whether the lock is lost.
    #[inline]
    pub(crate) fn is_void(&self) -> bool {
        self.word.look().is_void()
    }

    /// The newest grant.
    pub(crate) fn token(&self) -> Token {
        *self.slot.token.lock().expect("nobody panics with a token in hand")
    }

    /// The keys.
    pub(crate) fn range(&self) -> KeyRange {
        self.slot.range()
    }

    /// The refresh generation; zero if nothing may be read.
    pub(crate) fn refresh(&self) -> u64 {
        // Relaxed: whoever uses the lock for reading has synchronised with whoever set it.
        self.slot.refresh.load(Ordering::Relaxed)
    }

    /// Leaves something for whoever carries out the next invalidation. The greatest stays.
    pub(crate) fn stamp(&self, stamp: u64) {
        // Relaxed: it is read after the lock has drained, which synchronises with this thread's leaving.
        self.slot.stamp.fetch_max(stamp, Ordering::Relaxed);
    }
}
