//! More threads than loom can follow wait for a kernel that completes and refuses in any order.

use tidelock_sync::{Arc, model, thread};

use super::kernel::Kernel;

const WAITERS: usize = 4;

#[test]
fn shuttle_driver_everybody_comes_back() {
    model(|| {
        let kernel = Arc::new(Kernel::new());
        let waiters: Vec<_> = (0..WAITERS)
            .map(|number| {
                let kernel = kernel.clone();
                // Each waits for its own request and the next one's, twice.
                let bits = (1 << number) | (1 << ((number + 1) % WAITERS));
                thread::spawn(move || {
                    kernel.drive(bits);
                    kernel.drive(bits << WAITERS);
                })
            })
            .collect();
        let submitters: Vec<_> = (0..2)
            .map(|half| {
                let kernel = kernel.clone();
                thread::spawn(move || {
                    for bit in (half..2 * WAITERS).step_by(2) {
                        if bit % 3 == 0 { kernel.refuse(bit) } else { kernel.post(bit) }
                    }
                })
            })
            .collect();
        for thread in waiters.into_iter().chain(submitters) {
            thread.join().unwrap();
        }
    });
}
