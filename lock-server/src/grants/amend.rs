//! What changes in the table although no message about a lock asked for it: a client that is to be granted nothing any more,
//! and one that tells of itself what a table from another server said of it.

use std::time::Duration;

use tidelock_format::{ClientId, Key};
use tidelock_lock_proto::{Held, Mode};

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
        // Backwards: the place of a lock that goes is taken by one that was looked at.
        for place in (end..left).rev() {
            let Some(start) = self.shares.nth(client, place) else { continue };
            let lock = self.locks.get_mut(&start).expect("who has a share of a lock stands in it");
            if lock.is_wanted_by(client) {
                lock.wants.retain(|want| want.client != client);
                self.settle(client, start, now, answers);
            }
        }
        end
    }

    /// The client says what it holds of a lock that it holds here, in a table that came from the last server. The table says
    /// the most that it can hold; where the client says less, that is so, and where it says more it holds nothing. Whether
    /// what it said was taken.
    ///
    /// What it was told to come down to by then counts for nothing: it is told anew if it has to be.
    pub fn reconcile(
        &mut self,
        client: ClientId,
        start: Key,
        told: Option<Held>,
        now: Duration,
        answers: &mut Vec<Answer>,
    ) -> bool {
        let Some(lock) = self.locks.get_mut(&start) else { return told.is_none() };
        let range = lock.range;
        let Some(grant) = lock.grant_of_mut(client) else { return told.is_none() };
        let is_less = |held: &Held| {
            held.mode != Mode::Null
                && held.range == range
                && held.token <= grant.token
                && grant.mode.satisfies(held.mode)
        };
        let taken = told.filter(is_less);
        grant.descends_to = None;
        match taken {
            Some(held) => (grant.mode, grant.token) = (held.mode, held.token),
            None => grant.mode = Mode::Null,
        }
        self.settle(client, start, now, answers);
        taken.is_some() == told.is_some()
    }
}
