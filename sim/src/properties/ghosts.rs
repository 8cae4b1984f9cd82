//! **Z-6** Whoever holds or wants a lock in the leader's table has a durable record, of that session or a later one.

use tidelock_format::Key;
use tidelock_lock_proto::ToClient;
use tidelock_lock_server::{Party, Server};

use super::{Verdict, Watch};
use crate::facts::{Fact, Scene};

pub(super) struct Ghosts;

impl Watch for Ghosts {
    fn see(&mut self, fact: &Fact<'_>, scene: &Scene<'_>) -> Verdict {
        let term = match fact {
            Fact::Changed { term, .. } => *term,
            Fact::Said { envelope, message: ToClient::Granted(_), .. } => envelope.term,
            _ => return Ok(()),
        };
        // A leader that was deposed and has not noticed knows records that are not there any more.
        match scene.server(term).filter(|_| term == scene.newest_term) {
            Some(server) => look(server, scene),
            None => Ok(()),
        }
    }
}

fn look(server: &Server, scene: &Scene<'_>) -> Verdict {
    for entry in server.locks_from(Key::MIN) {
        let holders = entry.holders.iter().map(|holder| holder.party);
        for Party { client, incarnation } in holders.chain(entry.waiters.iter().map(|waiter| waiter.party)) {
            let record = scene.records.get(&client);
            if record.is_none_or(|record| record.incarnation < incarnation) {
                return Err(format!(
                    "session {incarnation} of client {client} has locks and no record: {record:?}"
                ));
            }
        }
    }
    Ok(())
}
