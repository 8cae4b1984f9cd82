//! **Z-4** What a server says of a lock arrives as it was said, in the order in which it was said, and takes effect as it
//! arrives: a grant, then the call to come down that follows it.

use std::collections::BTreeMap;

use tidelock_format::{Incarnation, Term};
use tidelock_lock_client::Phase;
use tidelock_lock_proto::ToClient;

use super::{Verdict, Watch};
use crate::facts::{Fact, Scene};
use crate::world::lock_no;

#[derive(Default)]
pub(super) struct Order {
    said: BTreeMap<(usize, Incarnation, Term, u64), ToClient>,
    reached: BTreeMap<(usize, Incarnation, Term), u64>,
}

impl Watch for Order {
    fn see(&mut self, fact: &Fact<'_>, scene: &Scene<'_>) -> Verdict {
        match fact {
            Fact::Said { to, number, envelope, message } => {
                let key = (*to, envelope.incarnation, envelope.term, *number);
                self.said.insert(key, (*message).clone());
                Ok(())
            }
            Fact::Reached { client, number, envelope, message } => {
                let talk = (*client, envelope.incarnation, envelope.term);
                let last = self.reached.insert(talk, *number).unwrap_or(0);
                // One that is missing is for Z-8 to find.
                if *number <= last {
                    return Err(format!("message {number} reached client {client} after message {last}"));
                }
                let said = self.said.remove(&(talk.0, talk.1, talk.2, *number));
                if said.as_ref() != Some(*message) {
                    return Err(format!("client {client} heard {message:?} where {said:?} was said"));
                }
                took_effect(*client, message, scene)
            }
            _ => Ok(()),
        }
    }
}

/// Whether the message shows in what the client holds.
fn took_effect(client: usize, message: &ToClient, scene: &Scene<'_>) -> Verdict {
    let view = &scene.clients[client];
    if view.is_over || view.lease_ends.is_none() {
        return Ok(());
    }
    match message {
        ToClient::Granted(granted) => {
            let lock = lock_no(granted.range.start());
            match view.hold(lock).map(|hold| hold.token) {
                // Given back at once, if nobody waits for it any more.
                None => Ok(()),
                Some(token) if token >= granted.token => Ok(()),
                Some(found) => {
                    Err(format!("lock {lock} was granted to client {client} as {}: {found}", granted.token))
                }
            }
        }
        ToClient::Revoke(descent) => {
            let lock = lock_no(descent.start);
            let to = descent.change.to;
            let Some(hold) = view.hold(lock).filter(|hold| hold.token == descent.token) else {
                return Ok(());
            };
            let is_above = hold.usable != to && hold.usable.satisfies(to);
            if hold.phase == Phase::Resting && is_above {
                return Err(format!(
                    "client {client} was told to come down to {to}, and may use lock {lock} as {}",
                    hold.usable
                ));
            }
            Ok(())
        }
        _ => Ok(()),
    }
}
