//! Threads and futures wait side by side for one event.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use crate::Event;

struct CountWakes(AtomicUsize);

impl Wake for CountWakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn one_notification_wakes_the_thread_and_the_future() {
    let event = Arc::new(Event::new());
    let wakes = Arc::new(CountWakes(AtomicUsize::new(0)));
    let waker = Waker::from(wakes.clone());
    let mut future = pin!(event.listen());
    assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    let listener = event.listen();
    let thread = std::thread::spawn(move || listener.wait());
    event.notify_all();
    thread.join().unwrap();
    assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
    assert_eq!(future.as_mut().poll(&mut Context::from_waker(&waker)), Poll::Ready(()));
}

#[test]
fn a_deadline_ends_the_wait() {
    let event = Event::new();
    assert!(!event.listen().wait_deadline(Instant::now() + Duration::from_millis(5)));
    let listener = event.listen();
    event.notify_all();
    assert!(listener.wait_deadline(Instant::now() + Duration::from_secs(60)));
}
