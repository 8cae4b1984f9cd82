use std::time::Duration;

use tidelock_lock_client::LockClient;

fn end(client: LockClient) {
    client.destroy(Duration::from_secs(1));
}

fn main() {}
