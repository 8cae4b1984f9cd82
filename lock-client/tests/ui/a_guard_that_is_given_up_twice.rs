use tidelock_lock_client::Guard;

fn give_up(guard: Guard<'_>) {
    drop(guard);
    drop(guard);
}

fn main() {}
