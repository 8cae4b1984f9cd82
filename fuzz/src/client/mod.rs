//! A lock client, with a server that says anything.

mod event;
mod scene;

use arbitrary::Unstructured;

pub use event::Event;
pub use scene::play;

use crate::session::each;

/// Takes `data` for what happens to a lock client.
pub fn client_ops(data: &[u8]) {
    let mut events = Vec::new();
    each(&mut Unstructured::new(data), |event: Event| events.push(event));
    play(events);
}
