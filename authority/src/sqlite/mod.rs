//! An authority in one SQLite file, which a person can look into with the sqlite3 tool while it is in use.
//!
//! Its correctness rests on SQLite's transactions (WAL, `synchronous = FULL`) and on a lock of the operating system on the
//! file beside it, `<file>.lead`: who leads holds it, so two servers at one file cannot both lead, and one that was killed
//! frees it at once. Both need a local file system, or one whose locks work. The term is checked with every change all the
//! same, so without the lock the worst is that servers keep deposing each other.
//!
//! All changes go through one thread, which makes those that wait durable together; see `writer`. Reading has a connection
//! of its own and waits for no writer.

mod file;
mod lock;
mod open_error;
mod rows;
mod schema;
mod writer;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;
use tidelock_format::{ClientId, Fsid, Term};

pub use self::open_error::OpenError;

use self::lock::LeadLock;
use self::rows::{SqlRows, storage_error};
use self::writer::Writer;
use crate::record::{ClientRecord, Meta, Tombstone};
use crate::rows::{Result, Rows};
use crate::{Authority, AuthorityError, Campaign, Candidate, Change, Leader, Outcome, Seat, rules};

/// Records in one SQLite file.
pub struct SqliteAuthority {
    shared: Arc<Shared>,
}

impl fmt::Debug for SqliteAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteAuthority").field("path", &self.shared.path).finish_non_exhaustive()
    }
}

/// What the authority and its leaders share. The file is closed when all are gone.
struct Shared {
    path: PathBuf,
    reader: Mutex<Connection>,
    /// `None` if it was opened for reading.
    writer: Option<Writer>,
    /// Taken while leading. Campaigns and resignations happen under this mutex, one at a time: otherwise one that resigns
    /// could free the lock that the next leader relies on.
    lock: Mutex<LeadLock>,
}

impl SqliteAuthority {
    /// Make a file without records, and open it. There must be no file yet, or an empty one.
    pub fn create(path: impl AsRef<Path>) -> std::result::Result<Self, OpenError> {
        let path = path.as_ref();
        file::create(path)?;
        Self::open(path)
    }

    /// Open a file, and bring it to the newest schema.
    pub fn open(path: impl AsRef<Path>) -> std::result::Result<Self, OpenError> {
        let path = path.as_ref();
        let writer = Writer::start(file::open(path)?, path)?;
        Self::with(path, Some(writer))
    }

    /// Open a file for reading, while a server uses it or not. Every campaign fails. A newer schema will do, if whoever made
    /// it allowed that.
    pub fn open_reading(path: impl AsRef<Path>) -> std::result::Result<Self, OpenError> {
        Self::with(path.as_ref(), None)
    }

    fn with(path: &Path, writer: Option<Writer>) -> std::result::Result<Self, OpenError> {
        let shared = Shared {
            path: path.into(),
            reader: Mutex::new(file::open_reading(path)?),
            writer,
            lock: Mutex::new(LeadLock::beside(path)),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// How many transactions were committed through this authority: far fewer than changes, if many come at once.
    pub fn commits(&self) -> u64 {
        self.shared.writer.as_ref().map_or(0, Writer::commits)
    }
}

impl Shared {
    fn writer(&self) -> Result<&Writer> {
        self.writer.as_ref().ok_or_else(|| AuthorityError::OpenedForReading(self.path.clone()))
    }

    fn read<T>(&self, read: impl FnOnce(&SqlRows<'_>) -> Result<T>) -> Result<T> {
        // A reader that panicked has rolled back its transaction, so the connection is as good as new.
        let mut connection = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        // One transaction, for several queries are to see one moment. It is rolled back; nothing was written.
        let transaction = connection.transaction().map_err(|error| storage_error(&self.path, error))?;
        read(&SqlRows::new(&transaction, &self.path))
    }

    fn lock(&self) -> MutexGuard<'_, LeadLock> {
        // What it guards is an open file or none; it is never half changed.
        self.lock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Authority for SqliteAuthority {
    fn campaign(&self, candidate: &Candidate) -> Result<Campaign> {
        let writer = self.shared.writer()?;
        let mut lock = self.shared.lock();
        if !lock.take()? {
            drop(lock);
            return Ok(Campaign::Lost(self.leadership()?));
        }
        let term = match writer.campaign(candidate) {
            Ok(term) => term,
            Err(error) => {
                lock.free_if_unused();
                return Err(error);
            }
        };
        lock.lead(term);
        tracing::info!(path = %self.shared.path.display(), %term, name = %candidate.name, "leads");
        let seat = SqliteSeat { term, shared: Arc::clone(&self.shared) };
        Ok(Campaign::Won(Leader::new(term, Arc::new(seat))))
    }

    fn service(&self) -> Result<Fsid> {
        self.shared.read(|rows| rows.service())
    }

    fn meta(&self) -> Result<Meta> {
        self.shared.read(|rows| rows.meta())
    }

    fn client(&self, client: ClientId) -> Result<Option<ClientRecord>> {
        self.shared.read(|rows| rules::record(rows, client))
    }

    fn clients(&self) -> Result<Vec<ClientRecord>> {
        self.shared.read(|rows| rules::records(rows))
    }

    fn tombstones(&self) -> Result<Vec<Tombstone>> {
        self.shared.read(|rows| rows.tombstones())
    }
}

/// A leader's side of the authority. The lock is freed with it, unless it serves a later leader by then.
struct SqliteSeat {
    term: Term,
    shared: Arc<Shared>,
}

impl fmt::Debug for SqliteSeat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteSeat").field("term", &self.term).finish_non_exhaustive()
    }
}

impl Seat for SqliteSeat {
    fn apply(&self, term: Term, change: Change) -> Result<Outcome> {
        let writer = self.shared.writer()?;
        if change != Change::Resign {
            return writer.apply(term, change);
        }
        let mut lock = self.shared.lock();
        let outcome = writer.apply(term, change)?;
        lock.free(term);
        Ok(outcome)
    }

    fn apply_all(&self, term: Term, changes: Vec<Change>) -> Vec<Result<Outcome>> {
        if changes.contains(&Change::Resign) {
            return changes.into_iter().map(|change| self.apply(term, change)).collect();
        }
        match self.shared.writer() {
            Ok(writer) => writer.apply_all(term, changes),
            Err(error) => vec![Err(error); changes.len()],
        }
    }
}

impl Drop for SqliteSeat {
    fn drop(&mut self) {
        self.shared.lock().free(self.term);
    }
}
