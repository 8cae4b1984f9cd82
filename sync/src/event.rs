//! Waiting for something to have happened, on a thread or in a future.
//!
//! The rule of use is the usual one: *listen, look, wait*. Who listens before looking cannot miss the notification of a
//! change that came after the look. Notifications carry no data and may come for nothing; the waiter looks again.
//!
//! The real one is the `event-listener` crate; under a model it is a generation counter under a mutex.

#[cfg(not(any(tidelock_loom, tidelock_shuttle)))]
mod imp {
    use std::future::Future;
    use std::pin::Pin;
    use std::task::{Context, Poll};
    use std::time::Instant;

    /// Something that happens again and again.
    #[derive(Debug, Default)]
    pub struct Event(event_listener::Event);

    /// One wait for an [`Event`].
    #[derive(Debug)]
    #[must_use = "a listener does nothing until waited for"]
    pub struct Listener(event_listener::EventListener);

    impl Event {
        /// An event nobody waits for. Allocates nothing until somebody does.
        pub const fn new() -> Self {
            Self(event_listener::Event::new())
        }

        /// Begins to listen: notifications from now on are not missed.
        pub fn listen(&self) -> Listener {
            Listener(self.0.listen())
        }

        /// Wakes everybody who listens now. What the caller wrote before is visible to them (a full fence).
        pub fn notify_all(&self) {
            self.0.notify(usize::MAX);
        }

        /// Wakes one of those who listen now and have not been woken yet.
        pub fn notify_one(&self) {
            self.0.notify_additional(1);
        }
    }

    impl Listener {
        /// Blocks the thread until notified.
        pub fn wait(self) {
            event_listener::Listener::wait(self.0);
        }

        /// Blocks the thread until notified or until `deadline`; tells whether it was notified.
        pub fn wait_deadline(self, deadline: Instant) -> bool {
            event_listener::Listener::wait_deadline(self.0, deadline).is_some()
        }
    }

    impl Future for Listener {
        type Output = ();

        fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
            Pin::new(&mut self.0).poll(context)
        }
    }
}

#[cfg(any(tidelock_loom, tidelock_shuttle))]
mod imp {
    use std::future::Future;
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};
    use std::time::Instant;

    use crate::{Arc, Condvar, Mutex};

    #[derive(Debug, Default)]
    struct State {
        generation: u64,
        wakers: Vec<Waker>,
    }

    /// Something that happens again and again.
    #[derive(Debug)]
    pub struct Event(Arc<(Mutex<State>, Condvar)>);

    /// One wait for an [`Event`].
    #[derive(Debug)]
    #[must_use = "a listener does nothing until waited for"]
    pub struct Listener {
        event: Arc<(Mutex<State>, Condvar)>,
        since: u64,
    }

    impl Default for Event {
        fn default() -> Self {
            Self::new()
        }
    }

    impl Event {
        /// An event nobody waits for.
        pub fn new() -> Self {
            Self(Arc::new((Mutex::new(State::default()), Condvar::new())))
        }

        /// Begins to listen: notifications from now on are not missed.
        pub fn listen(&self) -> Listener {
            let since = self.0.0.lock().expect("a model's mutex is never poisoned").generation;
            Listener { event: self.0.clone(), since }
        }

        /// Wakes everybody who listens now.
        pub fn notify_all(&self) {
            let mut state = self.0.0.lock().expect("a model's mutex is never poisoned");
            state.generation += u64::from(!cfg!(tidelock_weaken = "notify_forgets"));
            let wakers = std::mem::take(&mut state.wakers);
            drop(state);
            self.0.1.notify_all();
            wakers.into_iter().for_each(Waker::wake);
        }

        /// Wakes at least one of those who listen. A model wakes them all: waking for nothing is always allowed.
        pub fn notify_one(&self) {
            self.notify_all();
        }
    }

    impl Listener {
        /// Blocks the thread until notified.
        pub fn wait(self) {
            let mut state = self.event.0.lock().expect("a model's mutex is never poisoned");
            while state.generation == self.since {
                state = self.event.1.wait(state).expect("a model's mutex is never poisoned");
            }
        }

        /// Blocks the thread until notified. A model has no clock, so the deadline never comes.
        pub fn wait_deadline(self, _deadline: Instant) -> bool {
            self.wait();
            true
        }
    }

    impl Future for Listener {
        type Output = ();

        fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
            let mut state = self.event.0.lock().expect("a model's mutex is never poisoned");
            if state.generation != self.since {
                return Poll::Ready(());
            }
            state.wakers.push(context.waker().clone());
            Poll::Pending
        }
    }
}

pub use imp::{Event, Listener};
