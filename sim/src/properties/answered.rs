//! **Z-8** When nothing goes wrong any more and time has passed, nobody waits: not at a client, and not at the server.

use super::{Verdict, Watch};
use crate::facts::{Fact, Scene};

pub(super) struct Answered;

impl Watch for Answered {
    fn see(&mut self, fact: &Fact<'_>, _: &Scene<'_>) -> Verdict {
        match fact {
            Fact::Settled { waiting } if !waiting.is_empty() => {
                Err(format!("long after the last fault: {}", waiting.join("; ")))
            }
            _ => Ok(()),
        }
    }
}
