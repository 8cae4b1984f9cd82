//! The lock that says that a leader is alive: an exclusive lock of the operating system on a file that is there for nothing
//! else. The system frees it when its process ends, however that happens.
//!
//! The file is never deleted. Whoever deletes it takes the protection away: the next server would lock another file.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use tidelock_format::Term;

use crate::AuthorityError;
use crate::rows::Result;

/// The lock of one database, free or taken.
#[derive(Debug)]
pub(super) struct LeadLock {
    path: PathBuf,
    /// Open means locked.
    held: Option<File>,
    /// The last term that it was held for.
    term: Option<Term>,
}

impl LeadLock {
    /// The lock of this database, not taken.
    pub(super) fn beside(database: &Path) -> Self {
        let mut path = database.as_os_str().to_owned();
        path.push(".lead");
        Self { path: path.into(), held: None, term: None }
    }

    /// Take it, unless it is taken; whether we have it.
    pub(super) fn take(&mut self) -> Result<bool> {
        if self.held.is_some() {
            return Ok(true);
        }
        let open = OpenOptions::new().create(true).truncate(false).write(true).open(&self.path);
        let file = open.map_err(|error| self.error(&error))?;
        match file.try_lock() {
            Ok(()) => {
                self.held = Some(file);
                Ok(true)
            }
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(self.error(&error)),
        }
    }

    /// It is held for the leader of this term from now on.
    pub(super) fn lead(&mut self, term: Term) {
        self.term = Some(term);
    }

    /// The leader of this term needs it no longer.
    pub(super) fn free(&mut self, term: Term) {
        if self.term == Some(term) {
            *self = Self { path: std::mem::take(&mut self.path), held: None, term: None };
        }
    }

    /// Free it if it is held for nobody: a campaign that failed may have found it held for an earlier leader.
    pub(super) fn free_if_unused(&mut self) {
        if self.term.is_none() {
            self.held = None;
        }
    }

    fn error(&self, error: &io::Error) -> AuthorityError {
        let path = self.path.clone();
        match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                AuthorityError::ReadOnly(path)
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => AuthorityError::Full(path),
            _ => AuthorityError::Storage { path, why: format!("the file cannot be locked: {error}") },
        }
    }
}
