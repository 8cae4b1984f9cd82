//! One client's sessions: the one that has the record, and those before it of which something is left.

use tidelock_format::{ClientId, Incarnation};

use super::{Connection, Seat, Ticket};

/// What is in memory of one client.
#[derive(Clone, Debug, Default)]
pub(super) struct Lives {
    /// Sessions before the present one that are being ended, oldest first.
    pub(super) former: Vec<Seat>,
    /// The session that the client's record is about.
    pub(super) present: Option<Seat>,
    /// A greeting that wants another.
    pub(super) opening: Option<Opening>,
    /// Y6: the change of its records that is under way.
    pub(super) change: Option<Ticket>,
}

/// A greeting that wants a session.
#[derive(Clone, Debug)]
pub(super) struct Opening {
    pub(super) attempt: u128,
    /// The newest connection that it came on, if it is there.
    pub(super) connection: Option<Connection>,
    pub(super) label: String,
    /// Whether the record was asked for.
    pub(super) is_asked: bool,
}

impl Lives {
    /// Every session, oldest first.
    pub(super) fn all(&self) -> impl Iterator<Item = Seat> {
        self.former.iter().copied().chain(self.present)
    }

    /// Whether nothing of an earlier session is left.
    pub(super) fn is_eldest(&self, seat: Seat) -> bool {
        self.all().next() == Some(seat)
    }

    pub(super) fn forget(&mut self, seat: Seat) {
        self.former.retain(|former| *former != seat);
        self.present = self.present.filter(|present| *present != seat);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.present.is_none() && self.former.is_empty() && self.opening.is_none() && self.change.is_none()
    }
}

/// The last session of each client that was expelled and cleared up.
#[derive(Clone, Debug, Default)]
pub(super) struct Tombs(std::collections::HashMap<ClientId, (Incarnation, u64)>);

impl Tombs {
    pub(super) fn put(&mut self, client: ClientId, incarnation: Incarnation, expires_ms: u64) {
        let tomb = self.0.entry(client).or_default();
        *tomb = (tomb.0.max(incarnation), tomb.1.max(expires_ms));
    }

    pub(super) fn get(&self, client: ClientId) -> Option<Incarnation> {
        self.0.get(&client).map(|(incarnation, _)| *incarnation)
    }

    pub(super) fn sweep(&mut self, now_ms: u64) {
        self.0.retain(|_, (_, expires_ms)| *expires_ms > now_ms);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
