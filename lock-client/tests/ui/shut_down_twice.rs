use std::time::Duration;

use tidelock_lock_client::LockClient;

fn end(client: LockClient) {
    let draining = client.shutdown(Duration::from_secs(1));
    client.shutdown(Duration::from_secs(1));
    draining.destroy(Duration::from_secs(1));
}

fn main() {}
