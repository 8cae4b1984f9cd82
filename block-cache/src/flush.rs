//! One flush under way.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Instant;

use tidelock_dev::{Completer, Completion, DeviceError};
use tidelock_sync::{Event, Listener, Pending};

use crate::shared::Shared;

/// What the device answers into.
#[derive(Debug)]
struct Answer {
    result: Mutex<Option<Result<(), DeviceError>>>,
    came: Event,
}

/// A flush, as its caller waits for it.
#[derive(Debug)]
pub(crate) struct Flush {
    shared: Arc<Shared>,
    answer: Arc<Answer>,
    listener: Option<Listener>,
}

impl Flush {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        let answer = Arc::new(Answer { result: Mutex::new(None), came: Event::new() });
        Self { shared: shared.clone(), answer, listener: None }
    }

    pub(crate) fn completer(&self) -> Arc<dyn Completer> {
        self.answer.clone()
    }
}

impl Answer {
    fn get(&self) -> Option<Result<(), DeviceError>> {
        *self.result.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Completer for Answer {
    fn complete(&self, completion: Completion) {
        *self.result.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(completion.result);
        self.came.notify_all();
    }
}

impl Pending<Result<(), DeviceError>> for Flush {
    fn try_now(&mut self) -> Option<Result<(), DeviceError>> {
        self.wait(Some(Instant::now()))
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<(), DeviceError>> {
        loop {
            if let Some(result) = self.answer.get() {
                return Poll::Ready(result);
            }
            let Some(listener) = &mut self.listener else {
                // Listen, then look once more, then wait.
                self.listener = Some(self.answer.came.listen());
                self.shared.device.attend();
                continue;
            };
            if Pin::new(listener).poll(context).is_pending() {
                return Poll::Pending;
            }
            self.listener = None;
        }
    }

    fn wait(&mut self, deadline: Option<Instant>) -> Option<Result<(), DeviceError>> {
        let answer = &self.answer;
        self.shared.device.drive(&|| answer.get().is_some(), deadline);
        answer.get()
    }
}
