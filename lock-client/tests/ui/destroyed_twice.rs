use std::time::Duration;

use tidelock_lock_client::Draining;

fn end(draining: Draining) {
    draining.destroy(Duration::from_secs(1));
    draining.destroy(Duration::from_secs(1));
}

fn main() {}
