//! What changes in the table although no message about a lock asked for it: a client that is to be granted nothing any more,
//! and one that tells of itself what a table from another server said of it.

use std::time::Duration;

use tidelock_format::{ClientId, Key};
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
        let Some((place, of_client)) = self.find_grant(client, &start) else { return told.is_none() };
        let lock = &mut self.locks[place];
        let (range, grant) = (lock.range, &mut lock.grants[of_client]);
        let is_less = |held: &Held| {
            held.mode != Mode::Null
                && held.range == range
                && held.token <= grant.token
                && grant.mode.satisfies(held.mode)
        };
        let taken = told.filter(is_less);
        let mut mode = Mode::Null;
        if let Some(held) = taken {
            (mode, grant.token) = (held.mode, held.token);
        }
        self.come_down(client, place, of_client, mode, &mut Turn { now, answers });
        taken.is_some() == told.is_some()
    }
}
