//! A lock server, with strangers who say anything.

mod event;
mod guest;
mod records;
mod stranger;
mod world;

use arbitrary::Unstructured;

pub use event::Event;
pub use world::World;

use crate::session::each;

/// Takes `data` for what happens to a lock server.
pub fn server_ops(data: &[u8]) {
    let mut bytes = Unstructured::new(data);
    let mut world = World::default();
    each(&mut bytes, |event: Event| world.happen(event));
    world.end_well();
}
