use tidelock_lock_client::Draining;

fn take(draining: &Draining) {
    draining.locks();
}

fn main() {}
