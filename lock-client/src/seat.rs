//! Where somebody waits for a lock, and is told.

use std::task::{Context, Poll};
use std::time::Instant;

use tidelock_sync::{Event, Listener, Mutex};

use crate::{LockError, LockId};

/// What became of waiting. A lock that is handed out counts as used from that moment on.
pub(crate) type Answer = Result<LockId, LockError>;

/// One who waits. The answer comes once, and is taken once.
#[derive(Debug, Default)]
pub(crate) struct Seat {
    state: Mutex<State>,
    told: Event,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Waiting,
    Told(Answer),
    /// Nobody will come for the answer.
    Abandoned,
}

impl Seat {
    /// Tells whoever waits here. Whoever calls gets the answer back if nobody does any more: a lock that was handed out has to be
    /// given up again.
    pub(crate) fn tell(&self, answer: Answer) -> Option<Answer> {
        let mut state = self.state();
        if matches!(*state, State::Abandoned) && !cfg!(tidelock_weaken = "seat_unasked") {
            return Some(answer);
        }
        *state = State::Told(answer);
        drop(state);
        if !cfg!(tidelock_weaken = "seat_silent") {
            self.told.notify_all();
        }
        None
    }

    /// The answer, if it is there by now.
    pub(crate) fn take(&self) -> Option<Answer> {
        let mut state = self.state();
        match std::mem::take(&mut *state) {
            State::Told(answer) => Some(answer),
            other => {
                *state = other;
                None
            }
        }
    }

    /// Whether the answer is there.
    pub(crate) fn is_told(&self) -> bool {
        matches!(*self.state(), State::Told(_))
    }

    /// Nobody waits here any more. The answer, if it was there already.
    pub(crate) fn abandon(&self) -> Option<Answer> {
        match std::mem::replace(&mut *self.state(), State::Abandoned) {
            State::Told(answer) => Some(answer),
            State::Waiting | State::Abandoned => None,
        }
    }

    fn state(&self) -> tidelock_sync::MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics with an answer in hand")
    }

    /// Waits for the answer, until `deadline` if there is one.
    pub(crate) fn wait(&self, deadline: Option<Instant>) -> Option<Answer> {
        loop {
            let listener = self.told.listen();
            if let Some(answer) = self.take() {
                return Some(answer);
            }
            match deadline {
                None => listener.wait(),
                Some(deadline) if !listener.wait_deadline(deadline) => return self.take(),
                Some(_) => {}
            }
        }
    }

    /// The answer, or a waker that is woken when it is there. `listener` is this waiter's own.
    pub(crate) fn poll(&self, listener: &mut Option<Listener>, context: &mut Context<'_>) -> Poll<Answer> {
        loop {
            let listening = listener.get_or_insert_with(|| self.told.listen());
            if let Some(answer) = self.take() {
                return Poll::Ready(answer);
            }
            std::task::ready!(std::pin::Pin::new(listening).poll(context));
            *listener = None;
        }
    }
}
