//! **Z-15** Everybody here follows the protocol, so nobody is accused of breaking it: no client by a server, no server by a
//! client, and no record is found to be other than its keeper left it.

use tidelock_authority::AuthorityError;
use tidelock_lock_server::{Expulsion, Notice, StopReason};
use tidelock_net::Mismatch;

use super::{Verdict, Watch};
use crate::facts::{Fact, Scene};

pub(super) struct Accusation;

impl Watch for Accusation {
    fn see(&mut self, fact: &Fact<'_>, scene: &Scene<'_>) -> Verdict {
        match fact {
            Fact::Noticed(notice) => noticed(notice),
            Fact::Stopped { term, reason: StopReason::Records(error) } if !is_passing(error) => {
                Err(format!("the server of term {term} finds the records at odds: {error}"))
            }
            Fact::Client(client) if scene.clients[*client].accusations > 0 => {
                Err(format!("client {client} finds that its server does not follow the protocol"))
            }
            Fact::Client(client) if scene.clients[*client].mismatch => {
                Err(format!("client {client} is told that it cannot be talked to"))
            }
            _ => Ok(()),
        }
    }
}

fn noticed(notice: &Notice) -> Verdict {
    let is_accusation = match notice {
        Notice::Expelled { why: Expulsion::Offence(_) | Expulsion::NotListed(_), .. } => true,
        // A server that was deposed and does not know.
        Notice::Mismatch { mismatch: Mismatch::Deposed { .. }, .. } => false,
        Notice::Mismatch { .. } | Notice::Lost { .. } => true,
        _ => false,
    };
    if is_accusation { Err(notice.to_string()) } else { Ok(()) }
}

/// Whether the storage failed, as this world has it fail.
fn is_passing(error: &AuthorityError) -> bool {
    matches!(error, AuthorityError::Full(_) | AuthorityError::Unknown { .. })
}
