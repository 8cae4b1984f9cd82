//! The seat and the bench: nobody is left waiting, whoever delivers. A lost wake-up is a deadlock, which loom reports.

use tidelock_sync::{Arc, model, thread};

use super::kernel::Kernel;

#[test]
fn loom_driver_who_leaves_the_seat_hands_it_over() {
    model(|| {
        let kernel = Arc::new(Kernel::new());
        let waiter = thread::spawn({
            let kernel = kernel.clone();
            move || {
                kernel.drive(1 << 0);
                // Only now does the other's request end: whoever had the seat has left it.
                kernel.post(1);
            }
        });
        kernel.post(0);
        kernel.drive(1 << 1);
        waiter.join().unwrap();
    });
}

#[test]
fn loom_driver_a_delivery_for_the_bench_wakes_it() {
    model(|| {
        let kernel = Arc::new(Kernel::new());
        let waiter = thread::spawn({
            let kernel = kernel.clone();
            move || {
                kernel.drive(1 << 0);
                kernel.post(1);
            }
        });
        // If this thread has the seat it cannot leave before the other was woken, and has answered.
        kernel.post(0);
        kernel.drive(0b11);
        waiter.join().unwrap();
    });
}

#[test]
fn loom_driver_a_refusal_reaches_the_thread_in_the_kernel() {
    model(|| {
        let kernel = Arc::new(Kernel::new());
        let waiter = thread::spawn({
            let kernel = kernel.clone();
            move || kernel.drive(1 << 0)
        });
        kernel.refuse(0);
        waiter.join().unwrap();
    });
}

#[test]
fn loom_driver_a_refusal_reaches_the_bench() {
    model(|| {
        let kernel = Arc::new(Kernel::new());
        let watcher = thread::spawn({
            let kernel = kernel.clone();
            move || assert!(kernel.driver.watch(&|| kernel.has(1), None))
        });
        kernel.refuse(0);
        watcher.join().unwrap();
    });
}

#[test]
fn loom_driver_what_is_queued_starts_for_who_waits_already_or_comes_later() {
    model(|| {
        let kernel = Arc::new(Kernel::new());
        let joiner = thread::spawn({
            let kernel = kernel.clone();
            move || kernel.drive(1 << 0)
        });
        // Whoever queued it does not wait for it.
        kernel.queue(0);
        joiner.join().unwrap();
    });
}
