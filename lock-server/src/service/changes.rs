//! Changes of the records that are under way.

use std::collections::BTreeMap;
use std::time::Duration;

use tidelock_authority::{AuthorityError, Change};
use tidelock_format::ClientId;

use super::{Seat, Ticket};

/// What a change is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A client's session is opened.
    Open(ClientId),
    /// A step of a session's end.
    End(Seat),
    /// A client has reclaimed all that it held.
    Reclaim(Seat),
    /// The recovery ends.
    EndGrace,
    /// Tombstones go.
    Sweep,
    /// To see whether this server still leads.
    Probe,
}

/// A change that was asked for and is not answered.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) purpose: Purpose,
    pub(super) change: Change,
    /// When it was asked for first.
    pub(super) since: Duration,
    /// Whether it waits to be asked for again.
    pub(super) is_paused: bool,
    /// Whether an answer said that it may have been made.
    pub(super) is_unknown: bool,
}

/// All changes under way.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes {
    last: u64,
    pending: BTreeMap<Ticket, Pending>,
}

impl Changes {
    pub(super) fn begin(&mut self, purpose: Purpose, change: Change, now: Duration) -> Ticket {
        self.last += 1;
        let ticket = Ticket(self.last);
        self.pending
            .insert(ticket, Pending { purpose, change, since: now, is_paused: false, is_unknown: false });
        ticket
    }

    /// It was answered.
    pub(super) fn take(&mut self, ticket: Ticket) -> Option<Pending> {
        self.pending.remove(&ticket)
    }

    /// It has to be asked for again, later.
    pub(super) fn pause(&mut self, ticket: Ticket, pending: Pending) {
        self.pending.insert(ticket, Pending { is_paused: true, ..pending });
    }

    /// It is asked for again, if it has to be.
    pub(super) fn resume(&mut self, ticket: Ticket) -> Option<Change> {
        let pending = self.pending.get_mut(&ticket).filter(|pending| pending.is_paused)?;
        pending.is_paused = false;
        Some(pending.change.clone())
    }

    /// Forgets those that would have to be asked for again.
    pub(super) fn drop_paused(&mut self) {
        self.pending.retain(|_, pending| !pending.is_paused);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.pending.len()
    }

    pub(super) fn has(&self, purpose: Purpose) -> bool {
        self.pending.values().any(|pending| pending.purpose == purpose)
    }

    /// Those that concern a client or its sessions have to be found by their seats: for checks.
    pub(super) fn purposes(&self) -> impl Iterator<Item = Purpose> {
        self.pending.values().map(|pending| pending.purpose)
    }
}

/// Whether the storage failed, and not the change: then it can be asked for again.
pub(super) fn is_passing(error: &AuthorityError) -> bool {
    use AuthorityError::{Busy, Damaged, Full, OpenedForReading, ReadOnly, Stopped, Storage, Unknown};
    matches!(
        error,
        Busy(_)
            | Damaged { .. }
            | Full(_)
            | OpenedForReading(_)
            | ReadOnly(_)
            | Stopped(_)
            | Storage { .. }
            | Unknown { .. }
    )
}
