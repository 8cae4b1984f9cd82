//! One seed, from beginning to end.

use std::cell::OnceCell;

use tidelock_lock_client::Locks;

use crate::properties::Property;
use crate::world::{PROCESSES_MAX, World};
use crate::{Report, Settings, Violation, quiet};

/// Runs a seed.
pub fn run(seed: u64, settings: &Settings) -> Report {
    // What users hold borrows from these, so they are there before the world is.
    let places: Vec<OnceCell<Locks>> = (0..PROCESSES_MAX).map(|_| OnceCell::new()).collect();
    let mut world = World::new(seed, settings, &places);
    let outcome = quiet::catch(|| world.live());
    if let Err(said) = outcome {
        let violation = Violation { property: Property::Machine, what: said, at: world.now() };
        world.judge.violation.get_or_insert(violation);
        world.abandon_clients();
    }
    world.report(seed)
}
