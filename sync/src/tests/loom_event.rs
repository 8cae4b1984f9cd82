//! Listen, look, wait: no notification is missed.

use crate::atomic::{AtomicBool, Ordering};
use crate::{Arc, Event, model, thread};

#[test]
fn loom_event_who_listens_before_looking_misses_nothing() {
    model(|| {
        let shared = Arc::new((Event::new(), AtomicBool::new(false)));
        let waiter = thread::spawn({
            let shared = shared.clone();
            move || {
                let listener = shared.0.listen();
                if !shared.1.load(Ordering::Acquire) {
                    listener.wait();
                }
                assert!(shared.1.load(Ordering::Acquire));
            }
        });
        shared.1.store(true, Ordering::Release);
        shared.0.notify_all();
        waiter.join().unwrap();
    });
}
