//! The thread that has changes of the records made durable, so that the loop never waits for a disk.
//!
//! It takes all changes that wait at a time to the authority together, which makes them one commit: while that runs, the next
//! ones gather. One thread is enough for that, however many clients come at once (G-25).

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use tidelock_authority::{Change, Leader};

use super::mailbox::{Letter, Mailbox};
use crate::Ticket;

/// Changes that are taken at once, at most: what waits behind them should not wait long.
const BATCH_MAX: usize = 512;

pub(super) struct Scribe {
    changes: Sender<(Ticket, Change)>,
    thread: JoinHandle<Leader>,
}

impl Scribe {
    /// Starts it. Its answers go to the mailbox.
    pub(super) fn start(leader: Leader, mailbox: Arc<Mailbox>) -> io::Result<Self> {
        let (changes, queue) = channel();
        let write = move || {
            write_all(&leader, &queue, &mailbox);
            leader
        };
        let thread = thread::Builder::new().name("lock-records".into()).spawn(write)?;
        Ok(Self { changes, thread })
    }

    /// Has a change made, some time.
    pub(super) fn ask(&self, ticket: Ticket, change: Change) {
        // It fails only if the thread has panicked; then the change is never answered, and stopping tells of the panic.
        let _ = self.changes.send((ticket, change));
    }

    /// Waits for what was asked, and gives back the leader.
    ///
    /// # Panics
    /// If the thread has.
    pub(super) fn finish(self) -> Leader {
        drop(self.changes);
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

fn write_all(leader: &Leader, queue: &Receiver<(Ticket, Change)>, mailbox: &Mailbox) {
    while let Ok(first) = queue.recv() {
        let more = queue.try_iter().take(BATCH_MAX - 1);
        let (tickets, changes): (Vec<_>, Vec<_>) = std::iter::once(first).chain(more).unzip();
        let results = leader.apply_all(changes);
        mailbox.post(Letter::Applied(tickets.into_iter().zip(results).collect()));
    }
}
