//! How long a client may use what it holds, by its own clock.

use std::time::Duration;

use crate::TimeoutPlan;

/// The lease of a session. It begins, and begins again, when something was *sent* that the server answered (Q3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lease {
    /// How long it lasts for the client: what the server grants, less the margin.
    length: Duration,
    /// What was answered last was sent then; `None` without a session.
    since: Option<Duration>,
    /// The last ping, and when it was sent, until it is answered.
    open_ping: Option<(u64, Duration)>,
    pings: u64,
    next_ping: Duration,
}

impl Lease {
    /// From when on nothing that is held may be used any more, as things stand; `None` when that is now.
    pub fn ends(&self) -> Option<Duration> {
        self.since.map(|since| since + self.length)
    }

    /// Whether what is held may be used at this time.
    pub fn is_valid(&self, now: Duration) -> bool {
        self.ends().is_some_and(|end| now < end)
    }

    /// A greeting that was sent at `since` was answered.
    pub(super) fn begin(&mut self, since: Duration, now: Duration, lease: Duration, plan: TimeoutPlan) {
        // The server may be configured with another lease than this client: the shorter counts.
        self.length = lease.min(plan.lease).saturating_sub(plan.margin);
        self.since = Some(since);
        self.open_ping = None;
        self.next_ping = now + plan.renewal;
    }

    /// A ping is sent now: its number.
    pub(super) fn ping(&mut self, now: Duration, renewal: Duration) -> u64 {
        self.pings += 1;
        self.open_ping = Some((self.pings, now));
        self.next_ping = now + renewal;
        self.pings
    }

    /// The ping with this number was answered. An older one counts for nothing.
    pub(super) fn pong(&mut self, number: u64) {
        if let Some((open, sent)) = self.open_ping
            && open == number
        {
            self.since = self.since.max(Some(sent));
            self.open_ping = None;
        }
    }

    pub(super) fn next_ping(&self) -> Duration {
        self.next_ping
    }

    pub(super) fn end(&mut self) {
        self.since = None;
    }
}
