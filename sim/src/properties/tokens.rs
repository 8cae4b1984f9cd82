//! **Z-13** Tokens rise: none is given out twice, and for one lock, who has it alone has a greater one than everybody before,
//! over all terms.
//!
//! Grants that are shared may arrive in any order, so of those only the last exclusive one is before them.

use std::collections::{BTreeMap, BTreeSet};

use tidelock_format::Token;
use tidelock_lock_proto::{Mode, ToClient};

use super::{Verdict, Watch};
use crate::facts::{Fact, LockNo, Scene};
use crate::world::lock_no;

#[derive(Default)]
pub(super) struct Tokens {
    said: BTreeSet<Token>,
    /// The greatest of each lock, and the greatest exclusive one.
    greatest: BTreeMap<LockNo, (Token, Token)>,
}

impl Watch for Tokens {
    fn see(&mut self, fact: &Fact<'_>, scene: &Scene<'_>) -> Verdict {
        match fact {
            Fact::Said { message: ToClient::Granted(granted), .. } if !self.said.insert(granted.token) => {
                Err(format!("token {} is given out twice", granted.token))
            }
            Fact::Reached { client, message: ToClient::Granted(granted), .. }
                if scene.clients[*client].has_lease(scene.now) =>
            {
                let (lock, token) = (lock_no(granted.range.start()), granted.token);
                let (any, exclusive) = self.greatest.entry(lock).or_default();
                let is_exclusive = granted.change.to == Mode::Write;
                let before = if is_exclusive { *any } else { *exclusive };
                if token <= before {
                    return Err(format!("lock {lock} was granted with token {before}, and now with {token}"));
                }
                *any = token.max(*any);
                if is_exclusive {
                    *exclusive = token;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
