//! What can be known about the system's memory, and whoever knows it.

use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Knows something about the system's memory. [`CgroupSource`](crate::CgroupSource) and
/// [`PressureSource`](crate::PressureSource) are two; an embedder that knows better (a balloon driver, a job scheduler) is
/// a third.
///
/// ```
/// use tidelock_block_cache::{BudgetSource, Reading, Room, SourceError};
///
/// /// The host tells this virtual machine how much it may use.
/// #[derive(Debug)]
/// struct Balloon { granted_bytes: u64, taken_bytes: u64 }
///
/// impl BudgetSource for Balloon {
///     fn read(&mut self, reading: &mut Reading) -> Result<(), SourceError> {
///         reading.narrow(Room::new(self.granted_bytes, self.taken_bytes));
///         Ok(())
///     }
/// }
///
/// let mut reading = Reading::default();
/// Balloon { granted_bytes: 100, taken_bytes: 70 }.read(&mut reading)?;
/// assert_eq!(reading.room, Some(Room::new(100, 70)));
/// # Ok::<(), SourceError>(())
/// ```
pub trait BudgetSource: Send + fmt::Debug {
    /// Adds what it knows now to `reading`. Quick: a few small files at the most.
    ///
    /// # Errors
    /// [`SourceError`]; the limit is then not raised before this source can be read again.
    fn read(&mut self, reading: &mut Reading) -> Result<(), SourceError>;

    /// A descriptor on which `poll` reports `POLLPRI` as soon as memory gets short. Without one, the source is read at
    /// intervals only.
    fn alarm(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

/// What is known about memory at a moment. What nobody knows is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reading {
    /// Bytes that the budget's caches have in circulation.
    pub used_bytes: u64,
    /// The tightest limit that this process runs under.
    pub room: Option<Room>,
    /// Time for which tasks waited for memory, since an origin that never moves.
    pub stalled: Option<Duration>,
    /// Whether a source could not be read: nothing is raised on hearsay.
    pub is_partial: bool,
}

impl Reading {
    /// Takes note of a limit: the one with the least room counts.
    pub fn narrow(&mut self, room: Room) {
        let tightest = self.room.filter(|held| held.free_bytes() <= room.free_bytes());
        self.room = Some(tightest.unwrap_or(room));
    }

    /// Takes note of time lost: the longest counts.
    pub fn lose(&mut self, stalled: Duration) {
        self.stalled = self.stalled.max(Some(stalled));
    }
}

/// A limit that holds for this process, and for others perhaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Room {
    /// Bytes that all of them together may use.
    pub limit_bytes: u64,
    /// Bytes that they use and that cannot be had back by dropping clean pages of files. May exceed the limit.
    pub charged_bytes: u64,
}

impl Room {
    /// `charged_bytes` used of `limit_bytes`.
    pub fn new(limit_bytes: u64, charged_bytes: u64) -> Self {
        Self { limit_bytes, charged_bytes }
    }

    /// Bytes below the limit; 0 above it.
    pub fn free_bytes(&self) -> u64 {
        self.limit_bytes.saturating_sub(self.charged_bytes)
    }
}

/// Why a source knows nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// A file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file does not say what it is known to say.
    #[error("{} holds no {wanted}; it begins with {found:?}", path.display())]
    Garbage {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        wanted: &'static str,
        /// The beginning of what it holds.
        found: String,
    },
    /// This process is in no memory cgroup that can be seen from here: use a fixed limit, or mount the cgroup file system.
    #[error(
        "no memory cgroup of this process can be seen: set a fixed limit, or mount the cgroup file system"
    )]
    NoCgroup,
    /// The source is the embedder's own.
    #[error(transparent)]
    Other(Box<dyn std::error::Error + Send + Sync>),
}

impl SourceError {
    pub(super) fn garbage(path: &Path, wanted: &'static str, text: &str) -> Self {
        Self::Garbage { path: path.into(), wanted, found: text.chars().take(FOUND_CHARS).collect() }
    }
}

/// Characters of a strange file that go into a message.
const FOUND_CHARS: usize = 40;

/// The text of a small file.
pub(super) fn read_file(path: &Path) -> Result<String, SourceError> {
    std::fs::read_to_string(path).map_err(|source| SourceError::Io { path: path.into(), source })
}
