//! **Z-1** At no instant do two clients *believe* that they hold incompatible modes of one lock.
//!
//! Believing is judged by true time: a client believes what it holds for as long as its own clock says that its lease is good. A
//! lock that is being invalidated counts as what it was before, and so does everything at a process that stands still. Beliefs
//! grow only when something is done at a client, so it is enough to look then.

use tidelock_lock_proto::{Holder, Mode};

use super::{Verdict, Watch};
use crate::facts::{Fact, Scene};

pub(super) struct Exclusion;

impl Watch for Exclusion {
    fn see(&mut self, fact: &Fact<'_>, scene: &Scene<'_>) -> Verdict {
        let Fact::Client(one) = fact else { return Ok(()) };
        let mine = &scene.clients[*one];
        if !mine.has_lease(scene.now) {
            return Ok(());
        }
        for hold in mine.holds.iter().filter(|hold| hold.held != Mode::Null) {
            for (other, theirs) in scene.clients.iter().enumerate().filter(|(other, _)| other != one) {
                let believed = theirs.believes(hold.lock, scene.now);
                if !hold.held.is_compatible(Holder::Another, believed) {
                    return Err(format!(
                        "client {one} believes that it holds lock {} as {}, client {other} as {believed}",
                        hold.lock, hold.held
                    ));
                }
            }
        }
        Ok(())
    }
}
