//! The one thread that writes: it makes all changes that wait at a time durable with one commit, and then answers each.
//!
//! A commit costs a sync of the disk, whatever is in it. While it runs, others queue up, and are the next transaction: ten
//! thousand clients that greet at once cost some hundred syncs. Each change has a savepoint, so that one that is refused
//! takes nobody with it.
//!
//! When a commit itself fails in the middle of I/O, whether it will be found after a crash depends on how far it got. So its
//! callers are told that this is unknown, and nothing is written any more until the file was opened again.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use rusqlite::{Connection, ErrorCode, TransactionBehavior};
use tidelock_format::Term;

use super::rows::{SqlRows, storage_error};
use crate::rows::Result;
use crate::{AuthorityError, Candidate, Change, Outcome, rules};

/// Changes in one transaction, at most: what waits behind them should not wait long.
const BATCH_MAX: usize = 512;

/// The thread, and the way to it.
pub(super) struct Writer {
    path: PathBuf,
    /// Taken when this is dropped; the mutex is for sharing only, and held for no longer than a send or a clone.
    jobs: Mutex<Option<Sender<Job>>>,
    thread: Option<JoinHandle<()>>,
    commits: Arc<AtomicU64>,
}

struct Job {
    task: Task,
    answer: SyncSender<Result<Done>>,
}

pub(super) enum Task {
    Campaign(Candidate),
    Apply(Term, Change),
    /// Waits until the other end is dropped.
    #[cfg(test)]
    Wait(Receiver<()>),
    #[cfg(test)]
    Sql(String),
}

pub(super) enum Done {
    Leads(Term),
    Changed(Outcome),
}

impl Writer {
    /// Start it on this connection.
    pub(super) fn start(connection: Connection, path: &Path) -> Result<Self> {
        let (jobs, queue) = channel();
        let commits = Arc::new(AtomicU64::new(0));
        let worker =
            Worker { connection, path: path.into(), commits: Arc::clone(&commits), is_stopped: false };
        let thread = thread::Builder::new().name("authority".into()).spawn(move || worker.run(&queue));
        let thread = thread.map_err(|error| AuthorityError::Storage {
            path: path.into(),
            why: format!("no thread can be started to write it: {error}"),
        })?;
        Ok(Self { path: path.into(), jobs: Mutex::new(Some(jobs)), thread: Some(thread), commits })
    }

    /// A new term for this candidate.
    pub(super) fn campaign(&self, candidate: &Candidate) -> Result<Term> {
        match self.send(Task::Campaign(candidate.clone()))? {
            Done::Leads(term) => Ok(term),
            Done::Changed(outcome) => unreachable!("a campaign came to {outcome:?}"),
        }
    }

    /// One change. Returns when it is durable.
    pub(super) fn apply(&self, term: Term, change: Change) -> Result<Outcome> {
        self.await_change(&self.queue(Task::Apply(term, change)))
    }

    /// Changes that are all queued before the first is waited for, so that they are one transaction if they can be.
    pub(super) fn apply_all(&self, term: Term, changes: Vec<Change>) -> Vec<Result<Outcome>> {
        let queued: Vec<_> =
            changes.into_iter().map(|change| self.queue(Task::Apply(term, change))).collect();
        queued.iter().map(|done| self.await_change(done)).collect()
    }

    fn await_change(&self, done: &Receiver<Result<Done>>) -> Result<Outcome> {
        match self.answer(done)? {
            Done::Changed(outcome) => Ok(outcome),
            Done::Leads(term) => unreachable!("a change came to term {term}"),
        }
    }

    /// Transactions committed.
    pub(super) fn commits(&self) -> u64 {
        // Relaxed: a count for people and tests; those who compare it have their answers already.
        self.commits.load(Ordering::Relaxed)
    }

    fn send(&self, task: Task) -> Result<Done> {
        self.answer(&self.queue(task))
    }

    fn answer(&self, done: &Receiver<Result<Done>>) -> Result<Done> {
        // No answer means that the thread is gone, which only a panic in it can do.
        done.recv().unwrap_or_else(|_| Err(AuthorityError::Stopped(self.path.clone())))
    }

    pub(super) fn queue(&self, task: Task) -> Receiver<Result<Done>> {
        let (answer, done) = sync_channel(1);
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(jobs) = &*jobs {
            // If the thread is gone, the answer's sender is dropped with the job, and `recv` says so.
            let _ = jobs.send(Job { task, answer });
        }
        done
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // The thread ends when the queue is closed and empty.
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = self.thread.take() {
            // A panic was reported by then, and its callers were answered.
            let _ = thread.join();
        }
    }
}

struct Worker {
    connection: Connection,
    path: PathBuf,
    commits: Arc<AtomicU64>,
    is_stopped: bool,
}

/// Why a whole transaction came to nothing.
enum Failure {
    /// One change made SQLite roll back what the others had done: each has to be tried alone.
    RolledBack,
    /// It failed for all.
    All(AuthorityError),
}

impl Worker {
    fn run(mut self, queue: &Receiver<Job>) {
        while let Ok(first) = queue.recv() {
            let mut batch = vec![first];
            batch.extend(queue.try_iter().take(BATCH_MAX - 1));
            self.batch(batch);
        }
    }

    fn batch(&mut self, jobs: Vec<Job>) {
        match self.transaction(&jobs) {
            Ok(answers) => {
                for (job, answer) in jobs.into_iter().zip(answers) {
                    // A caller that is gone needs no answer.
                    let _ = job.answer.send(answer);
                }
            }
            Err(Failure::RolledBack) => {
                for job in jobs {
                    self.batch(vec![job]);
                }
            }
            Err(Failure::All(error)) => {
                tracing::error!(path = %self.path.display(), changes = jobs.len(), %error, "not written");
                for job in jobs {
                    let _ = job.answer.send(Err(error.clone()));
                }
            }
        }
    }

    /// All of them in one transaction: what each came to, now durable.
    fn transaction(&mut self, jobs: &[Job]) -> std::result::Result<Vec<Result<Done>>, Failure> {
        if self.is_stopped {
            return Err(Failure::All(AuthorityError::Stopped(self.path.clone())));
        }
        let path = &self.path;
        let failed = |error| Failure::All(storage_error(path, error));
        let mut transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let mut answers = Vec::with_capacity(jobs.len());
        for job in jobs {
            let savepoint = transaction.savepoint().map_err(failed)?;
            let answer = perform(&savepoint, path, &job.task);
            match &answer {
                Ok(_) => savepoint.commit().map_err(failed)?,
                // Dropped without a commit, the savepoint is rolled back. A full disk may take the transaction with it.
                Err(error) if savepoint.is_autocommit() => {
                    let is_alone = jobs.len() == 1;
                    return Err(if is_alone { Failure::All(error.clone()) } else { Failure::RolledBack });
                }
                Err(_) => drop(savepoint),
            }
            answers.push(answer);
        }
        if let Err(error) = transaction.commit() {
            let error = commit_error(&self.path, error);
            self.is_stopped |= matches!(error, AuthorityError::Unknown { .. });
            return Err(Failure::All(error));
        }
        // Relaxed: see `commits`.
        self.commits.fetch_add(1, Ordering::Relaxed);
        Ok(answers)
    }
}

/// What a failed commit means. On a full disk the log ends before the mark that would make the transaction count; after any
/// other failed write or sync, that mark may be there.
fn commit_error(path: &Path, error: rusqlite::Error) -> AuthorityError {
    match error.sqlite_error_code() {
        Some(ErrorCode::SystemIoFailure) => {
            AuthorityError::Unknown { path: path.into(), why: error.to_string() }
        }
        _ => storage_error(path, error),
    }
}

fn perform(connection: &Connection, path: &Path, task: &Task) -> Result<Done> {
    let mut rows = SqlRows::new(connection, path);
    match task {
        Task::Campaign(candidate) => rules::campaign(&mut rows, candidate).map(Done::Leads),
        Task::Apply(term, change) => rules::apply(&mut rows, *term, change).map(Done::Changed),
        #[cfg(test)]
        Task::Wait(until) => {
            let _ = until.recv();
            Ok(Done::Changed(Outcome::Done))
        }
        #[cfg(test)]
        Task::Sql(sql) => match connection.execute_batch(sql) {
            Ok(()) => Ok(Done::Changed(Outcome::Done)),
            Err(error) => Err(storage_error(path, error)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: i32) -> rusqlite::Error {
        rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None)
    }

    #[test]
    fn a_commit_that_failed_in_its_sync_is_unknown() {
        let path = Path::new("a.db");
        for code in [rusqlite::ffi::SQLITE_IOERR_FSYNC, rusqlite::ffi::SQLITE_IOERR_WRITE] {
            assert!(matches!(commit_error(path, error(code)), AuthorityError::Unknown { .. }));
        }
        let full = commit_error(path, error(rusqlite::ffi::SQLITE_FULL));
        assert_eq!(full, AuthorityError::Full(path.into()));
    }

    #[test]
    fn nothing_is_written_after_an_unknown_commit() {
        let connection = Connection::open_in_memory().unwrap();
        let (path, commits) = (PathBuf::from("a.db"), Arc::default());
        let mut worker = Worker { connection, path: path.clone(), commits, is_stopped: true };
        let (answer, done) = sync_channel(1);
        worker.batch(vec![Job { task: Task::Sql("CREATE TABLE a (b)".into()), answer }]);
        assert!(matches!(done.recv().unwrap(), Err(AuthorityError::Stopped(stopped)) if stopped == path));
        let tables: i64 =
            worker.connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).unwrap();
        assert_eq!(tables, 0);
    }
}
