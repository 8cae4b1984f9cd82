//! One `Op`, four ways to wait for it.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::{Event, Op, Pending};

/// A value that somebody else will put there.
#[derive(Clone, Default)]
struct Promise {
    value: Arc<Mutex<Option<u32>>>,
    kept: Arc<Event>,
}

impl Promise {
    fn keep(&self, value: u32) {
        *self.value.lock().unwrap() = Some(value);
        self.kept.notify_all();
    }
}

impl Pending<u32> for Promise {
    fn try_now(&mut self) -> Option<u32> {
        *self.value.lock().unwrap()
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<u32> {
        let mut listener = self.kept.listen();
        match self.try_now() {
            Some(value) => Poll::Ready(value),
            None => pin!(&mut listener).poll(context).map(|()| unreachable!("nobody notified in between")),
        }
    }

    fn wait(&mut self, deadline: Option<Instant>) -> Option<u32> {
        loop {
            let listener = self.kept.listen();
            if let Some(value) = self.try_now() {
                return Some(value);
            }
            match deadline {
                None => listener.wait(),
                Some(deadline) if !listener.wait_deadline(deadline) => return None,
                Some(_) => {}
            }
        }
    }
}

#[test]
fn a_result_that_is_there_needs_no_waiting() {
    assert_eq!(Op::ready(3).wait(), 3);
    assert_eq!(Op::ready(3).try_now().unwrap(), 3);
    assert_eq!(Op::ready(3).map(|n| n + 1).wait_timeout(Duration::ZERO).unwrap(), 4);
}

#[test]
fn an_op_that_is_not_done_is_handed_back_and_can_be_waited_for_again() {
    let promise = Promise::default();
    let op = Op::pending(promise.clone());
    let op = op.try_now().unwrap_err();
    let op = op.wait_timeout(Duration::from_millis(2)).unwrap_err();
    promise.keep(7);
    assert_eq!(op.wait(), 7);
}

#[test]
fn a_thread_waits_until_another_keeps_the_promise() {
    let promise = Promise::default();
    let waiting = std::thread::spawn({
        let op = Op::pending(promise.clone()).map(|n| n * 2);
        move || op.wait()
    });
    promise.keep(21);
    assert_eq!(waiting.join().unwrap(), 42);
}

#[test]
fn a_future_is_ready_once_the_promise_is_kept() {
    let promise = Promise::default();
    let mut op = pin!(Op::pending(promise.clone()));
    let mut context = Context::from_waker(Waker::noop());
    assert!(op.as_mut().poll(&mut context).is_pending());
    promise.keep(1);
    assert_eq!(op.as_mut().poll(&mut context), Poll::Ready(1));
}

#[test]
#[should_panic(expected = "used again")]
fn polling_after_the_result_is_the_callers_fault() {
    let mut op = pin!(Op::ready(1));
    let mut context = Context::from_waker(Waker::noop());
    let _ = op.as_mut().poll(&mut context);
    let _ = op.as_mut().poll(&mut context);
}
