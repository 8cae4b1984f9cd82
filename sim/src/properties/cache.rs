//! **Z-11** Nothing is cached that is not covered: what was cached under an earlier grant is gone before the lock can be had
//! again, and before a client says that it came down, its caches are dropped and nobody uses the lock as more.

use tidelock_lock_proto::{Descent, Mode, ToServer};

use super::{Verdict, Watch};
use crate::facts::{Fact, Scene};
use crate::world::lock_no;

pub(super) struct Cache;

impl Watch for Cache {
    fn see(&mut self, fact: &Fact<'_>, scene: &Scene<'_>) -> Verdict {
        match fact {
            Fact::Looked { client, lock, refresh } => match scene.clients[*client].cached[*lock] {
                Some(under) if under != *refresh => Err(format!(
                    "client {client} has lock {lock} in generation {refresh}, and something cached of {under}"
                )),
                _ => Ok(()),
            },
            Fact::Asked {
                client, message: ToServer::Ceded(descent) | ToServer::Release(descent), ..
            } => came_down(*client, descent, scene),
            _ => Ok(()),
        }
    }
}

fn came_down(client: usize, descent: &Descent, scene: &Scene<'_>) -> Verdict {
    let (lock, to) = (lock_no(descent.start), descent.change.to);
    let view = &scene.clients[client];
    if !to.may_read() && view.cached[lock].is_some() {
        return Err(format!("client {client} says that lock {lock} came down to {to}, and has it cached"));
    }
    // One that was granted again meanwhile has users of its own.
    let Some(hold) = view.hold(lock).filter(|hold| hold.token == descent.token) else { return Ok(()) };
    let (readers, writers) = hold.users;
    if writers > 0 || (to == Mode::Null && readers > 0) {
        return Err(format!(
            "client {client} says that lock {lock} came down to {to}: {readers} read and {writers} write"
        ));
    }
    Ok(())
}
