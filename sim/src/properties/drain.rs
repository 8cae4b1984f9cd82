//! **Z-2** A grant is sent only when everybody in its way has come down, or cannot use what it held any more.
//!
//! Earlier than Z-1 would notice, which waits for the grant to arrive.

use tidelock_lock_proto::{Holder, ToClient};

use super::{Verdict, Watch};
use crate::facts::{Fact, Scene};
use crate::world::lock_no;

pub(super) struct Drain;

impl Watch for Drain {
    fn see(&mut self, fact: &Fact<'_>, scene: &Scene<'_>) -> Verdict {
        let Fact::Said { to, message: ToClient::Granted(granted), .. } = fact else { return Ok(()) };
        let lock = lock_no(granted.range.start());
        for (other, theirs) in scene.clients.iter().enumerate().filter(|(other, _)| other != to) {
            let believed = theirs.believes(lock, scene.now);
            if !believed.is_compatible(Holder::Another, granted.change.to) {
                return Err(format!(
                    "lock {lock} is granted to client {to} as {}, and client {other} believes in {believed}",
                    granted.change.to
                ));
            }
        }
        Ok(())
    }
}
