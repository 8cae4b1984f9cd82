//! What changes in the table although no message about a lock asked for it: a client that is to be granted nothing any more,
//! and one that tells of itself what a table from another server said of it.

use std::time::Duration;

use tidelock_format::ClientId;
use tidelock_lock_proto::{Held, Mode};

use super::turn::Turn;
use super::{Answer, Grants};

impl Grants {
    /// Locks that the client holds or wants.
    pub fn share(&self, client: ClientId) -> usize {
        self.shares.count(client)
    }

    /// The client is to be granted nothing any more, and keeps what it has: takes its wants out of up to `most` of its first
    /// `left` locks, the last of them first, and tells how many are left. It is to be called again with that, until it is zero,
    /// and meanwhile the client neither comes down nor asks for anything.
    pub fn withdraw(
        &mut self,
        client: ClientId,
        left: usize,
        most: usize,
        now: Duration,
        answers: &mut Vec<Answer>,
    ) -> usize {
        let end = left.saturating_sub(most);
        let mut turn = Turn { now, answers };
        // Backwards: the rank of a share that ends is taken by one that was looked at.
        for rank in (end..left).rev() {
            let Some((share, place)) = self.shares.nth(client, rank) else { continue };
            let lock = &mut self.locks[place];
            if lock.want_of(client).is_none() {
                continue;
            }
            lock.wants.retain(|want| want.client != client);
            if lock.grant_of(client).is_none() {
                self.shares.remove(client, share);
            }
            self.settle(place, &mut turn);
        }
        end
    }

    /// The client says what it holds of a lock, which it may hold here by the word of the last server's table
    /// (`enter`). The table says the most that it can hold; where the client says less, that is so, and where it
    /// says more it holds nothing. Whether what it said was taken; `None` if the table said nothing, or the client has told of
    /// the lock before.
    ///
    /// Locks are told in the order in which they were entered, as a rule: the one that was entered as the client's `nth` is
    /// looked at before any is searched.
    pub fn reconcile(
        &mut self,
        client: ClientId,
        nth: usize,
        told: &Held,
        now: Duration,
        answers: &mut Vec<Answer>,
    ) -> Option<bool> {
        let start = told.range.start();
        let nth = self.shares.nth(client, nth).map(|(_, place)| place);
        let place = nth.filter(|place| self.locks[*place].range.start() == start);
        let place = place.or_else(|| self.locks.find(&start))?;
        let lock = &mut self.locks[place];
        let of_client = lock.place_of(client)?;
        let (range, grant) = (lock.range, &mut lock.grants[of_client]);
        if grant.is_told {
            return None;
        }
        let is_taken = told.mode != Mode::Null
            && told.range == range
            && told.token <= grant.token
            && grant.mode.satisfies(told.mode);
        grant.is_told = true;
        if is_taken && grant.mode == told.mode && grant.descends_to.is_none() {
            // As a rule: nobody waits for it (K6).
            grant.token = told.token;
            return Some(true);
        }
        let mode = if is_taken { told.mode } else { Mode::Null };
        if is_taken {
            grant.token = told.token;
        }
        // What it was to come down to counts for nothing: it is told so now if it has to be.
        self.come_down(client, place, of_client, mode, &mut Turn { now, answers });
        Some(is_taken)
    }

    /// The client has told all that it holds: of what only the table said, it holds nothing.
    pub fn deny_untold(&mut self, client: ClientId, now: Duration, answers: &mut Vec<Answer>) {
        // Backwards: the rank of a share that ends is taken by one that was looked at.
        for rank in (0..self.shares.count(client)).rev() {
            let Some((_, place)) = self.shares.nth(client, rank) else { continue };
            let lock = &self.locks[place];
            let untold = lock.place_of(client).filter(|of_client| !lock.grants[*of_client].is_told);
            if let Some(of_client) = untold {
                self.come_down(client, place, of_client, Mode::Null, &mut Turn { now, answers });
            }
        }
    }
}
