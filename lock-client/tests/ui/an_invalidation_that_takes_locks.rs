use tidelock_format::KeyRange;
use tidelock_lock_client::Invalidation;
use tidelock_lock_proto::Mode;

fn invalidate(invalidation: Invalidation) {
    invalidation.lock(KeyRange::ALL, Mode::Read);
}

fn main() {}
