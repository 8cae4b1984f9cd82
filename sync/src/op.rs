//! The result of a call that may have to wait.
//!
//! One call serves every caller: an async task awaits the [`Op`], a plain thread calls [`Op::wait`], and who cannot
//! wait at all asks [`Op::try_now`]. A result that is there already travels inside the `Op` itself: nothing is
//! allocated and nobody is woken.
//!
//! Dropping an `Op` gives up its result, never its work's safety: what it started (a read into a frame, say) runs to
//! its end behind it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// Work in progress, as whoever started it sees it.
pub trait Pending<T>: Send {
    /// The result, if it is there by now. Never blocks.
    fn try_now(&mut self) -> Option<T>;

    /// The result, or arranges for `context`'s waker to be woken when looking again makes sense.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<T>;

    /// Blocks the calling thread until the result is there, or until `deadline`. The thread may be used to make the
    /// progress it waits for.
    fn wait(&mut self, deadline: Option<Instant>) -> Option<T>;
}

/// The result of a call that may have to wait. `'a` is what it borrows meanwhile.
#[must_use = "an Op does nothing until awaited or waited for"]
pub struct Op<'a, T>(State<'a, T>);

enum State<'a, T> {
    Ready(T),
    Pending(Box<dyn Pending<T> + 'a>),
    /// The result was given out.
    Taken,
}

impl<'a, T> Op<'a, T> {
    /// A result that is there already.
    #[inline(always)]
    pub fn ready(result: T) -> Self {
        Self(State::Ready(result))
    }

    /// Work in progress.
    pub fn pending(work: impl Pending<T> + 'a) -> Self {
        Self(State::Pending(Box::new(work)))
    }

    /// Whether the result is there without waiting. May say no for a result that came in just now.
    pub fn is_ready(&self) -> bool {
        matches!(self.0, State::Ready(_))
    }

    /// Blocks the calling thread until the result is there.
    #[inline]
    pub fn wait(self) -> T {
        match self.0 {
            State::Ready(result) => result,
            State::Pending(mut work) => {
                work.wait(None).expect("a wait without a deadline ends with the result")
            }
            State::Taken => polled_again(),
        }
    }

    /// Blocks the calling thread until the result is there or `limit` is over.
    ///
    /// # Errors
    /// The `Op` itself when the time is over: wait again, or drop it.
    pub fn wait_timeout(self, limit: Duration) -> Result<T, Self> {
        match self.0 {
            State::Ready(result) => Ok(result),
            State::Pending(mut work) => {
                // A limit beyond the end of time is no limit.
                let deadline = Instant::now().checked_add(limit);
                work.wait(deadline).ok_or(Self(State::Pending(work)))
            }
            State::Taken => polled_again(),
        }
    }

    /// The result if it is there now.
    ///
    /// # Errors
    /// The `Op` itself when it is not: the work goes on.
    #[inline]
    pub fn try_now(self) -> Result<T, Self> {
        match self.0 {
            State::Ready(result) => Ok(result),
            State::Pending(mut work) => work.try_now().ok_or(Self(State::Pending(work))),
            State::Taken => polled_again(),
        }
    }

    /// The same wait with its result turned into something else.
    pub fn map<U>(self, turn: impl FnOnce(T) -> U + Send + 'a) -> Op<'a, U>
    where
        T: 'a,
        U: 'a,
    {
        match self.0 {
            State::Ready(result) => Op::ready(turn(result)),
            State::Pending(work) => Op::pending(Mapped { work, turn: Some(turn) }),
            State::Taken => polled_again(),
        }
    }
}

#[cold]
fn polled_again() -> ! {
    panic!("an Op was used again after it gave its result");
}

impl<T> fmt::Debug for Op<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            State::Ready(_) => "Op::Ready",
            State::Pending(_) => "Op::Pending",
            State::Taken => "Op::Taken",
        })
    }
}

// Nothing in an Op is pinned: its parts are moved out by value.
impl<T> Unpin for Op<'_, T> {}

impl<T> Future for Op<'_, T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        if let State::Pending(work) = &mut self.0 {
            let result = std::task::ready!(work.poll(context));
            self.0 = State::Ready(result);
        }
        match std::mem::replace(&mut self.0, State::Taken) {
            State::Ready(result) => Poll::Ready(result),
            State::Pending(_) | State::Taken => polled_again(),
        }
    }
}

/// What [`Op::map`] makes of work in progress.
struct Mapped<'a, T, F> {
    work: Box<dyn Pending<T> + 'a>,
    turn: Option<F>,
}

impl<T, F> Mapped<'_, T, F> {
    fn apply<U>(&mut self, result: T) -> U
    where
        F: FnOnce(T) -> U,
    {
        let Some(turn) = self.turn.take() else { polled_again() };
        turn(result)
    }
}

impl<T, U, F: FnOnce(T) -> U + Send> Pending<U> for Mapped<'_, T, F> {
    fn try_now(&mut self) -> Option<U> {
        let result = self.work.try_now()?;
        Some(self.apply(result))
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<U> {
        let result = std::task::ready!(self.work.poll(context));
        Poll::Ready(self.apply(result))
    }

    fn wait(&mut self, deadline: Option<Instant>) -> Option<U> {
        let result = self.work.wait(deadline)?;
        Some(self.apply(result))
    }
}
