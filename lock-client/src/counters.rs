//! What happened, in numbers.

use tidelock_lock_proto::ToClient;

/// Counts since the client began. What happens on the fast path is not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Locks that somebody wanted and could not have on the fast path.
    pub wants: u64,
    /// Of these, those who waited no longer.
    pub wants_cancelled: u64,
    /// Grants that the server gave.
    pub grants: u64,
    /// Locks that the server refused.
    pub refusals: u64,
    /// Locks that the server called back.
    pub revokes: u64,
    /// Locks that were given back because there were too many.
    pub given_back: u64,
    /// Invalidations that the embedder was told of.
    pub invalidations: u64,
    /// Of these, those that it finished.
    pub invalidations_done: u64,
    /// How often an invalidation was found to take long.
    pub invalidations_slow: u64,
    /// Sessions that were opened.
    pub sessions: u64,
    /// How often a session was resumed after a cut.
    pub resumptions: u64,
    /// How often a session went on under another server.
    pub recoveries: u64,
    /// Connections that broke.
    pub cuts: u64,
    /// Messages of another term or session, which were dropped.
    pub messages_stale: u64,
    /// How often the server was found not to follow the protocol.
    pub violations: u64,
    /// How often everything was lost.
    pub losses: u64,
    /// Locks that were lost.
    pub locks_lost: u64,
}

impl Counters {
    pub(crate) fn count(&mut self, message: &ToClient) {
        match message {
            ToClient::Granted(_) => self.grants += 1,
            ToClient::Refused(_) => self.refusals += 1,
            ToClient::Revoke(_) => self.revokes += 1,
            _ => {}
        }
    }
}
