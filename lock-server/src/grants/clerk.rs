//! Who gives out grants, and numbers them.

use tidelock_format::{GrantSeq, Key, Term, Token};
use tidelock_lock_proto::{Mode, ToClient};

use super::error::RestoreError;
use super::lock::{Lock, Want};
use super::turn::Turn;

/// The term, the numbers given out in it, and whether any are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Clerk {
    pub(super) term: Term,
    /// The last grant.
    pub(super) seq: GrantSeq,
    pub(super) is_open: bool,
}

impl Clerk {
    /// Takes in a want, behind those that are there.
    pub(super) fn queue(&mut self, lock: &mut Lock, want: Want, turn: &mut Turn<'_>) {
        let is_next = self.is_open && lock.wants.is_empty() && !lock.is_descending();
        if is_next && !lock.make_way(want, turn) {
            self.grant(lock, want, turn);
        } else {
            lock.wants.push(want);
        }
    }

    /// Goes as far with the lock as it can: grants, or tells whoever is in the way to come down.
    pub(super) fn serve(&mut self, lock: &mut Lock, turn: &mut Turn<'_>) {
        if !self.is_open || lock.is_descending() {
            return;
        }
        let mut served = 0;
        while let Some(want) = lock.wants.get(served).copied()
            && !lock.make_way(want, turn)
        {
            self.grant(lock, want, turn);
            served += 1;
        }
        lock.wants.drain(..served);
    }

    fn grant(&mut self, lock: &mut Lock, want: Want, turn: &mut Turn<'_>) {
        self.seq = self.seq.next();
        let granted = lock.grant(want, self.newest(), turn.now);
        turn.answer(want.client, ToClient::Granted(granted));
    }

    /// Whether an earlier server can have given this out.
    pub(super) fn look_at(&self, start: Key, mode: Mode, token: Token) -> Result<(), RestoreError> {
        if mode == Mode::Null || token.term >= self.term {
            return Err(RestoreError::NeverGranted { start, mode, token });
        }
        Ok(())
    }

    /// The last token that was given out.
    pub(super) fn newest(&self) -> Token {
        Token { term: self.term, seq: self.seq }
    }
}
