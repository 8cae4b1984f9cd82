//! **Z-7** A session's record goes last: when it does, nothing of the session stands in the leader's table, and its client
//! believes in nothing any more.

use tidelock_authority::Change;
use tidelock_format::Key;
use tidelock_lock_proto::Mode;
use tidelock_lock_server::Party;

use super::{Verdict, Watch};
use crate::facts::{Fact, Scene};

pub(super) struct RecordLast;

impl Watch for RecordLast {
    fn see(&mut self, fact: &Fact<'_>, scene: &Scene<'_>) -> Verdict {
        let Fact::Changed { term, change, result: Ok(_) } = fact else { return Ok(()) };
        let (Change::CloseSession { client, incarnation } | Change::Bury { client, incarnation, .. }) =
            change
        else {
            return Ok(());
        };
        let is_its = |party: Party| party.client == *client && party.incarnation <= *incarnation;
        let entries = scene.server(*term).into_iter().flat_map(|server| server.locks_from(Key::MIN));
        for entry in entries {
            let mut holders = entry.holders.iter().map(|holder| holder.party);
            if holders.any(is_its) || entry.waiters.iter().any(|waiter| is_its(waiter.party)) {
                let start = entry.range.start();
                return Err(format!(
                    "the record of session {incarnation} of {client} goes, and it stands in {start}"
                ));
            }
        }
        let believes = scene.clients.iter().any(|view| {
            view.is(Party { client: *client, incarnation: *incarnation })
                && view.has_lease(scene.now)
                && view.holds.iter().any(|hold| hold.held != Mode::Null)
        });
        if believes {
            return Err(format!(
                "the record of session {incarnation} of {client} goes, and it believes in locks"
            ));
        }
        Ok(())
    }
}
