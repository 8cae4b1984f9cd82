//! How other threads reach the loop: a list of letters under a mutex, and a waker that ends its poll.
//!
//! Nothing that a client waits for at every grant passes here. A letter that finds the list empty wakes the loop; those
//! behind it ride along.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mio::{Registry, Token, Waker};
use tidelock_authority::{AuthorityError, Outcome};

use super::Look;
use crate::Ticket;

/// A question that is answered inside of the loop.
pub(super) type Question = Box<dyn FnOnce(&Look<'_>) + Send>;

/// What other threads say.
pub(super) enum Letter {
    /// Changes of the records were made, or not.
    Applied(Vec<(Ticket, Result<Outcome, AuthorityError>)>),
    /// Somebody wants to look.
    Ask(Question),
    /// The server is to stop.
    Stop,
}

/// Letters that were not read yet.
#[derive(Default)]
struct Letters {
    waiting: Vec<Letter>,
    is_closed: bool,
}

pub(super) struct Mailbox {
    letters: Mutex<Letters>,
    waker: Waker,
}

impl Mailbox {
    /// Its letters are told to this poll under `token`.
    pub(super) fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        Ok(Self { letters: Mutex::default(), waker: Waker::new(registry, token)? })
    }

    /// Leaves a letter; `false` if nobody reads any more.
    pub(super) fn post(&self, letter: Letter) -> bool {
        let mut letters = self.letters();
        if letters.is_closed {
            return false;
        }
        letters.waiting.push(letter);
        let is_first = letters.waiting.len() == 1;
        drop(letters);
        if is_first && let Err(error) = self.waker.wake() {
            // The next event, or the next tick, finds the letter.
            tracing::warn!(%error, "the lock server's loop was not woken");
        }
        true
    }

    /// All letters, in order.
    pub(super) fn take(&self) -> Vec<Letter> {
        std::mem::take(&mut self.letters().waiting)
    }

    /// Nobody reads any more. Questions that wait are dropped, which tells those who asked.
    pub(super) fn close(&self) {
        let mut letters = self.letters();
        letters.is_closed = true;
        let unread = std::mem::take(&mut letters.waiting);
        drop(letters);
        drop(unread);
    }

    fn letters(&self) -> MutexGuard<'_, Letters> {
        // A list of letters is never half changed.
        self.letters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
