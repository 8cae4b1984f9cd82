//! **Z-3** For one client, lock and server there is at most one question without an answer, and at most one call to come down
//! without an answer.

use std::collections::BTreeMap;

use tidelock_format::{Incarnation, Key, Term, Token};
use tidelock_lock_proto::{Envelope, ToClient, ToServer};

use super::{Verdict, Watch};
use crate::facts::{Fact, Scene};

/// One client under one server.
type Talk = (usize, Incarnation, Term);

#[derive(Default)]
pub(super) struct Outstanding {
    questions: BTreeMap<(Talk, Key), ()>,
    calls: BTreeMap<(Talk, Key), Token>,
}

fn talk(client: usize, envelope: &Envelope) -> Talk {
    (client, envelope.incarnation, envelope.term)
}

impl Outstanding {
    fn ask(&mut self, talk: Talk, start: Key) -> Verdict {
        match self.questions.insert((talk, start), ()) {
            None => Ok(()),
            Some(()) => {
                Err(format!("client {} asks for lock {start} again, and was not answered yet", talk.0))
            }
        }
    }

    fn call(&mut self, talk: Talk, start: Key, token: Token) -> Verdict {
        match self.calls.insert((talk, start), token) {
            None => Ok(()),
            Some(before) => {
                let client = talk.0;
                Err(format!("client {client} is told to come down twice for lock {start}: {before}, {token}"))
            }
        }
    }
}

impl Watch for Outstanding {
    fn see(&mut self, fact: &Fact<'_>, _: &Scene<'_>) -> Verdict {
        match fact {
            Fact::Asked { client, envelope, message } => {
                let talk = talk(*client, envelope);
                match message {
                    ToServer::Acquire(acquire) => self.ask(talk, acquire.range.start())?,
                    ToServer::Snapshot(part) => {
                        for want in &part.wanted {
                            self.ask(talk, want.range.start())?;
                        }
                    }
                    ToServer::Ceded(descent) => _ = self.calls.remove(&(talk, descent.start)),
                    _ => {}
                }
            }
            Fact::Said { to, envelope, message: ToClient::Revoke(descent), .. } => {
                self.call(talk(*to, envelope), descent.start, descent.token)?;
            }
            Fact::Reached { client, envelope, message, .. } => {
                let start = match message {
                    ToClient::Granted(granted) => granted.range.start(),
                    ToClient::Refused(refused) => refused.start,
                    _ => return Ok(()),
                };
                self.questions.remove(&(talk(*client, envelope), start));
            }
            _ => {}
        }
        Ok(())
    }
}
