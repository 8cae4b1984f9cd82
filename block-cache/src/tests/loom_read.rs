//! Reads that have to wait: nobody waits for ever, and nobody's going away disturbs the device (C3, L-08).

use std::future::Future;
use std::pin::pin;
use std::sync::Arc as StdArc;
use std::task::{Context, Poll, Wake, Waker};

use tidelock_dev::Fault;
use tidelock_sync::{Event, Op, Pending, model, thread};

use super::desk;
use super::model::image;
use crate::CacheError;
use crate::raw::state::Phase;
use crate::read::Read;

const FAULT: Fault = Fault::Injected("a model's");

#[derive(Debug, Default)]
struct Knock(Event);

impl Wake for Knock {
    fn wake(self: StdArc<Self>) {
        self.0.notify_all();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let knock = StdArc::new(Knock::default());
    let waker = Waker::from(knock.clone());
    let mut future = pin!(future);
    loop {
        let listener = knock.0.listen();
        if let Poll::Ready(result) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return result;
        }
        listener.wait();
    }
}

/// Two callers wait for one block, one of them on a thread of its own, and the device cannot read it.
fn both_are_told(wait: fn(Read) -> Result<crate::Block, CacheError>) {
    let (shared, desk) = desk::shared(2);
    let [first, second] = [(); 2].map(|()| {
        let mut read = desk::read(&shared);
        read.advance().expect_err("the device was not served yet");
        read
    });
    let waiter = thread::spawn(move || assert!(matches!(wait(first), Err(CacheError::Device(_)))));
    desk.go();
    desk.serve(1, Err(FAULT));
    assert!(matches!(wait(second), Err(CacheError::Device(_))));
    waiter.join().unwrap();
    assert_eq!(shared.core.counters.snapshot().device_reads, 1, "the second joined the first");
    assert_eq!(shared.core.pin_block(image(1, 1).blkno), None, "an error is not sticky");
}

#[test]
fn loom_read_a_failed_fill_is_told_to_threads_that_wait() {
    model(|| both_are_told(|mut read| read.wait(None).expect("no deadline")));
}

#[test]
fn loom_read_a_failed_fill_is_told_to_futures_that_wait() {
    model(|| both_are_told(|read| block_on(Op::pending(read))));
}

#[test]
fn loom_read_given_up_lets_the_device_finish() {
    model(|| {
        let (shared, desk) = desk::shared(2);
        let device = thread::spawn({
            let desk = desk.clone();
            move || desk.serve(1, Ok(()))
        });
        let mut read = desk::read(&shared);
        drop(read.advance());
        drop(read);
        desk.go();
        device.join().unwrap();
        let frame = shared.core.pin_block(image(1, 1).blkno).expect("what was read stays");
        let word = shared.core.header(frame).state.load();
        assert!(matches!(word.phase(), Phase::Loaded | Phase::Clean), "{word:?}");
        assert_eq!(word.pins(), 1, "this one");
    });
}
