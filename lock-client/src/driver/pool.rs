//! Threads that call the embedder: as many as are needed, so that one lock's invalidation never waits behind another's, up to a
//! limit.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use crate::invalidate::call_embedder;
use crate::{Invalidate, Invalidation, Loss};

/// How long a thread waits for work before it ends.
const IDLE: Duration = Duration::from_secs(10);

/// Something that the embedder has to be told.
enum Job {
    Invalidate(Invalidation),
    Lose(Loss),
}

pub(super) struct Pool {
    embedder: Arc<dyn Invalidate>,
    threads_max: usize,
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
    is_stopped: bool,
}

/// How a client's pool does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolView {
    /// Threads there are.
    pub threads: usize,
    /// Of these, those that have nothing to do.
    pub idle: usize,
    /// Invalidations that no thread has begun with.
    pub waiting: usize,
}

impl Pool {
    pub(super) fn new(threads_max: usize, embedder: Arc<dyn Invalidate>) -> Self {
        let threads_max = threads_max.max(1);
        Self { embedder, threads_max, state: Mutex::default(), work: Condvar::new() }
    }

    pub(super) fn view(&self) -> PoolView {
        let state = self.state();
        PoolView { threads: state.threads, idle: state.idle, waiting: state.jobs.len() }
    }

    pub(super) fn invalidate(self: &Arc<Self>, invalidation: Invalidation) {
        self.add(Job::Invalidate(invalidation));
    }

    pub(super) fn lose(self: &Arc<Self>, loss: Loss) {
        self.add(Job::Lose(loss));
    }

    fn add(self: &Arc<Self>, job: Job) {
        let mut state = self.state();
        state.jobs.push_back(job);
        if state.idle >= state.jobs.len() || state.threads >= self.threads_max || state.is_stopped {
            self.work.notify_one();
            return;
        }
        state.threads += 1;
        drop(state);
        let pool = self.clone();
        let thread = std::thread::Builder::new().name("tidelock-invalidate".into());
        if let Err(error) = thread.spawn(move || pool.serve()) {
            // What is there goes on, if only with fewer; without any, the next job tries again.
            tracing::error!(%error, "no thread for an invalidation");
            self.state().threads -= 1;
        }
    }

    fn serve(&self) {
        while let Some(job) = self.next() {
            let done = catch_unwind(AssertUnwindSafe(|| call_embedder(|| self.tell(job))));
            if done.is_err() {
                tracing::error!("the embedder panicked in an invalidation: its lock stays as it is");
            }
        }
    }

    fn tell(&self, job: Job) {
        match job {
            Job::Invalidate(invalidation) => self.embedder.invalidate(invalidation),
            Job::Lose(loss) => {
                self.embedder.lost(loss.why());
                loss.handled();
            }
        }
    }

    /// The next job; `None` when there is none for a while, or will be none.
    fn next(&self) -> Option<Job> {
        let mut state = self.state();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            if state.is_stopped {
                state.threads -= 1;
                return None;
            }
            state.idle += 1;
            let (mut after, timeout) =
                self.work.wait_timeout(state, IDLE).expect("nobody panics with the pool's mutex");
            after.idle -= 1;
            if timeout.timed_out() && after.jobs.is_empty() {
                after.threads -= 1;
                return None;
            }
            state = after;
        }
    }

    /// Nothing more is to be told, and what waits is not told any more.
    pub(super) fn stop(&self) {
        let mut state = self.state();
        state.is_stopped = true;
        state.jobs.clear();
        self.work.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics with the pool's mutex")
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("view", &self.view()).finish_non_exhaustive()
    }
}
