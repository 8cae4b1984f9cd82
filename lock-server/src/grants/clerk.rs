//! Who gives out grants, and numbers them.

use std::time::Duration;

use tidelock_format::{GrantSeq, Term, Token};
use tidelock_lock_proto::ToClient;

use super::Answer;
use super::lock::{Lock, Want};

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
    pub(super) fn queue(&mut self, lock: &mut Lock, want: Want, now: Duration, answers: &mut Vec<Answer>) {
        let is_next = self.is_open && lock.wants.is_empty() && !lock.is_descending();
        if is_next && !lock.make_way(want, answers) {
            self.grant(lock, want, now, answers);
        } else {
            lock.wants.push_back(want);
        }
    }

    /// Goes as far with the lock as it can: grants, or tells whoever is in the way to come down.
    pub(super) fn serve(&mut self, lock: &mut Lock, now: Duration, answers: &mut Vec<Answer>) {
        // Bound: each round takes a want, or is the last.
        while self.is_open
            && !lock.is_descending()
            && let Some(want) = lock.wants.front().copied()
        {
            if lock.make_way(want, answers) {
                return;
            }
            lock.wants.pop_front();
            self.grant(lock, want, now, answers);
        }
    }

    fn grant(&mut self, lock: &mut Lock, want: Want, now: Duration, answers: &mut Vec<Answer>) {
        self.seq = self.seq.next();
        answers.push((want.client, ToClient::Granted(lock.grant(want, self.newest(), now))));
    }

    /// The last token that was given out.
    pub(super) fn newest(&self) -> Token {
        Token { term: self.term, seq: self.seq }
    }
}
