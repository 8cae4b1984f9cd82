//! **Z-5** No grant leaves a new server while a client believes in something of an earlier term that the server does not know.
//!
//! Stronger than counting who has come back: a client that came and was misunderstood counts as one that did not.

use tidelock_format::{Key, Term};
use tidelock_lock_proto::{Mode, ToClient};
use tidelock_lock_server::Server;

use super::{Verdict, Watch};
use crate::facts::{ClientView, Fact, Hold, Scene};
use crate::world::lock_no;

pub(super) struct Barrier;

impl Watch for Barrier {
    fn see(&mut self, fact: &Fact<'_>, scene: &Scene<'_>) -> Verdict {
        let Fact::Said { envelope, message: ToClient::Granted(_), .. } = fact else { return Ok(()) };
        let Some(server) = scene.server(envelope.term) else { return Ok(()) };
        for (client, view) in scene.clients.iter().enumerate() {
            if !view.has_lease(scene.now) {
                continue;
            }
            let is_old = |hold: &&Hold| hold.held != Mode::Null && hold.token.term < envelope.term;
            for hold in view.holds.iter().filter(is_old) {
                if !knows(server, view, hold) {
                    return Err(unknown(client, hold, envelope.term));
                }
            }
        }
        Ok(())
    }
}

/// Whether the server's table has what this client holds, or more: it may have been granted more, and not know it yet.
fn knows(server: &Server, view: &ClientView, hold: &Hold) -> bool {
    server.locks_from(Key::MIN).any(|entry| {
        let is_it =
            |party, mode: Mode, token| view.is(party) && token >= hold.token && mode.satisfies(hold.held);
        lock_no(entry.range.start()) == hold.lock
            && entry.holders.iter().any(|holder| is_it(holder.party, holder.mode, holder.token))
    })
}

fn unknown(client: usize, hold: &Hold, term: Term) -> String {
    let Hold { lock, held, token, .. } = hold;
    format!(
        "the server of term {term} grants, and does not know that client {client} holds {lock}: {held}, {token}"
    )
}
