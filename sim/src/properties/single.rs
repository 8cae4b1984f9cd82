//! **Z-10** Whoever leads no longer changes nothing: no record, and not what a client believes.

use tidelock_format::Term;
use tidelock_lock_proto::ToClient;

use super::{Verdict, Watch};
use crate::facts::{Fact, Scene};

#[derive(Default)]
pub(super) struct Single {
    /// The newest term in which something was granted.
    granted: Term,
}

impl Watch for Single {
    fn see(&mut self, fact: &Fact<'_>, scene: &Scene<'_>) -> Verdict {
        match fact {
            Fact::Changed { term, change, result: Ok(_) } if *term < scene.newest_term => {
                Err(format!("term {term} is over since {}, and {change:?} was made in it", scene.newest_term))
            }
            Fact::Said { envelope, message: ToClient::Granted(_), .. } => {
                self.granted = self.granted.max(envelope.term);
                Ok(())
            }
            Fact::Reached { client, message: ToClient::Granted(granted), .. }
                if granted.token.term < self.granted && scene.clients[*client].has_lease(scene.now) =>
            {
                Err(format!(
                    "client {client} takes grant {}, and the server of term {} has granted already",
                    granted.token, self.granted
                ))
            }
            _ => Ok(()),
        }
    }
}
