//! **Z-12** After a client's end it wants nothing of the world any more; and when everybody has left, nothing is left of them.

use super::{Verdict, Watch};
use crate::facts::{Fact, Scene};

pub(super) struct Quiescence;

impl Watch for Quiescence {
    fn see(&mut self, fact: &Fact<'_>, scene: &Scene<'_>) -> Verdict {
        match fact {
            Fact::Wanted { client } if scene.clients[*client].is_over => {
                Err(format!("client {client} has come to its end, and goes on"))
            }
            Fact::Over { remains, .. } if !remains.is_empty() => {
                Err(format!("everybody has left, and there is still: {}", remains.join("; ")))
            }
            _ => Ok(()),
        }
    }
}
