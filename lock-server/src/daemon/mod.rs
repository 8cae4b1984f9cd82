//! The lock server as a part of a process: sockets, a clock and threads around [`Server`](crate::Server).
//!
//! ```text
//!     clients ===> listeners, links ---> loop: read, decide, write ---> links ===> clients
//!                                          |            ^
//!                                 changes  v            |  answers, questions
//!                                       records ----> mailbox <---- admin, signals
//! ```
//!
//! **One thread decides.** It takes connections in, reads them, has the machine decide, and writes, so that from a wish to its
//! grant there is no hop between threads and no lock. A second thread has changes of the records made durable, all that wait
//! at a time together; the loop goes on meanwhile. Whoever wants to look asks, and is answered inside of the loop.
//!
//! **Strangers are bounded**: by number and time while they prove who they are (here) and until they greet (in the machine),
//! by 256 bytes of memory until they are answered (A-69). Each kind of refusal has its counter ([`Tally`]).
//!
//! **Stopping** takes no further connection, decides nothing more, lets the changes under way become durable, leaves what the
//! next server needs in a file beside the records, and only then resigns, so that whoever leads next finds the file (Y9). It
//! closes every connection last: a client that seeks the next server is to find it.

mod carry;
mod clock;
mod doors;
mod driver;
mod handover_file;
mod hear;
mod line;
mod lines;
mod mailbox;
mod options;
mod scribe;
mod standby;
mod start;
mod tally;

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;
use std::time::Duration;

use tidelock_format::Term;

pub use handover_file::HandoverFileError;
pub use options::{Bounds, DaemonOptions};
pub use standby::wait_to_lead;
pub use start::{Beginning, StartError};
pub use tally::Tally;

use self::mailbox::{Letter, Mailbox};
use crate::{Server, StopReason};

/// A lock server that runs. Dropping it stops it, as [`stop`](Self::stop) does.
#[derive(Debug)]
pub struct Daemon {
    handle: Handle,
    term: Term,
    began: Duration,
    beginning: Beginning,
    /// Taken when it is waited for.
    thread: Option<JoinHandle<Stopped>>,
}

/// How a daemon ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// Why.
    pub reason: StopReason,
    /// Whether it left what the next one needs to go on without a recovery.
    pub has_handed_over: bool,
}

impl Daemon {
    /// Its term.
    pub fn term(&self) -> Term {
        self.term
    }

    /// How it began.
    pub fn beginning(&self) -> Beginning {
        self.beginning
    }

    /// When it began, on the clock of the machine's views.
    pub fn began(&self) -> Duration {
        self.began
    }

    /// What other threads reach it by.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Stops it, hands over, and waits until that is done.
    pub fn stop(self) -> Stopped {
        self.handle.stop();
        self.wait()
    }

    /// Waits until it has stopped: because somebody asked it to, or because it leads no longer.
    ///
    /// # Panics
    /// If a thread of it has.
    pub fn wait(mut self) -> Stopped {
        let thread = self.thread.take().expect("it is waited for once");
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.handle.stop();
            // A panic of it was reported by then, and another one helps nobody.
            let _ = thread.join();
        }
    }
}

/// What other threads reach a daemon by. Clones are the same.
#[derive(Clone)]
pub struct Handle {
    mailbox: Arc<Mailbox>,
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}

/// The daemon that was asked has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the lock server has stopped")]
pub struct HasStopped;

impl Handle {
    /// Tells it to stop, and does not wait for that. Telling it again does nothing.
    pub fn stop(&self) {
        self.mailbox.post(Letter::Stop);
    }

    /// Looks into the running server, and waits for the answer. Nobody is served while `question` runs, so it should take
    /// what it needs and no more: of many locks, a part at a time.
    ///
    /// # Errors
    /// If the daemon has stopped.
    pub fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Look<'_>) -> T + Send + 'static,
    ) -> Result<T, HasStopped> {
        let (answer, answered) = sync_channel(1);
        let question = move |look: &Look<'_>| {
            // Whoever asked waits below.
            let _ = answer.send(question(look));
        };
        if !self.mailbox.post(Letter::Ask(Box::new(question))) {
            return Err(HasStopped);
        }
        answered.recv().map_err(|_| HasStopped)
    }
}

/// A daemon, looked at from inside.
#[derive(Debug)]
pub struct Look<'a> {
    server: &'a Server,
    tally: &'a Tally,
    now: Duration,
    wall_ms: u64,
}

impl<'a> Look<'a> {
    /// The machine.
    pub fn server(&self) -> &'a Server {
        self.server
    }

    /// What became of connections.
    pub fn tally(&self) -> &'a Tally {
        self.tally
    }

    /// Now, on the clock of the machine's views.
    pub fn now(&self) -> Duration {
        self.now
    }

    /// Now, in ms since 1970.
    pub fn wall_ms(&self) -> u64 {
        self.wall_ms
    }
}
