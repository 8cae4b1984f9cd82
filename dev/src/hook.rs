//! What decorators share: to be told of a completion before the request's own completer is, and to wake who waits for
//! the device below after a delivery that it did not make.

use std::sync::Arc;

use tidelock_format::DeviceRange;

use crate::{BlockDevice, Completer, Completion, Fault, Operation, Request};

/// `request`, with `then` called at its end in place of its completer. `then` gets the request back as it was, and
/// whether it succeeded, and ends it now or later.
pub(crate) fn hooked(
    request: Request,
    then: impl Fn(Request, Result<(), Fault>) + Send + Sync + 'static,
) -> Request {
    let Request { operation, range, buffer, tag, completer } = request;
    let hook = Hook { operation, range, completer, then };
    Request { operation, range, buffer, tag, completer: Arc::new(hook) }
}

struct Hook<F> {
    operation: Operation,
    range: DeviceRange,
    completer: Arc<dyn Completer>,
    then: F,
}

impl<F: Fn(Request, Result<(), Fault>) + Send + Sync> Completer for Hook<F> {
    fn complete(&self, completion: Completion) {
        let Completion { tag, buffer, result } = completion;
        let (operation, range, completer) = (self.operation, self.range, self.completer.clone());
        let request = Request { operation, range, buffer, tag, completer };
        (self.then)(request, result.map_err(|error| error.fault));
    }
}

/// Makes everybody who drives `inner` look at their `done` again. After each delivery of its own a device does so; this
/// has it deliver the refusal of a request that no device can serve, to nobody. For whoever ends a request without the
/// device that others may be waiting in.
pub fn nudge(inner: &dyn BlockDevice) {
    let nowhere = DeviceRange::new(u64::MAX, 0).expect("nothing, at the very end, does not overflow");
    inner.submit(&mut vec![Request {
        operation: Operation::Read,
        range: nowhere,
        buffer: None,
        tag: 0,
        completer: Arc::new(Nobody),
    }]);
}

struct Nobody;

impl Completer for Nobody {
    fn complete(&self, _: Completion) {}
}

/// The methods that a decorator leaves to the device below.
macro_rules! delegate {
    ($($method:ident),* $(,)?) => { $( delegate!(@ $method); )* };
    (@ size) => {
        fn size(&self) -> u64 {
            self.inner.size()
        }
    };
    (@ align) => {
        fn align(&self) -> usize {
            self.inner.align()
        }
    };
    (@ drive) => {
        fn drive(&self, done: $crate::Done<'_>, deadline: Option<std::time::Instant>) -> bool {
            self.inner.drive(done, deadline)
        }
    };
    (@ attend) => {
        fn attend(&self) {
            self.inner.attend();
        }
    };
}
pub(crate) use delegate;
