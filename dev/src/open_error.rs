//! Why a device could not be opened, and what to do about it.

use std::io;
use std::path::PathBuf;

/// Why a device could not be opened, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// No such file.
    #[error("{} does not exist; create it first, or check the path", .0.display())]
    Missing(PathBuf),
    /// To be created in a directory that is not there.
    #[error("{} cannot be created: its directory does not exist", .0.display())]
    NoParent(PathBuf),
    /// To be created, and there already.
    #[error("{} exists already; open it without creating it, or remove it", .0.display())]
    Exists(PathBuf),
    /// A directory.
    #[error("{} is a directory; name a file in it, or a block device", .0.display())]
    Directory(PathBuf),
    /// A pipe, a terminal, a socket.
    #[error("{} is neither a file nor a block device", .0.display())]
    Kind(PathBuf),
    /// Not allowed.
    #[error("no permission for {}; check its owner and mode, or open it for reading only", .0.display())]
    Permission(PathBuf),
    /// On a file system that cannot be written.
    #[error("{} is on a read-only file system; open it for reading only", .0.display())]
    ReadOnlyFileSystem(PathBuf),
    /// Locked by somebody else.
    #[error("{} is already in use, by another process or by this one", .0.display())]
    InUse(PathBuf),
    /// The file system has no room for it.
    #[error("not enough space for {}", .0.display())]
    NoSpace(PathBuf),
    /// Not even one unit.
    #[error("{} has {size} bytes, which is less than one unit of {unit}", .path.display())]
    TooSmall {
        /// What was opened.
        path: PathBuf,
        /// Its bytes.
        size: u64,
        /// Bytes in a unit.
        unit: u64,
    },
    /// Not a whole number of units.
    #[error("{} has {size} bytes, which is not a multiple of {unit}; truncate it to {} or extend it to {}",
        .path.display(), size - size % unit, size - size % unit + unit)]
    Unit {
        /// What was opened.
        path: PathBuf,
        /// Its bytes.
        size: u64,
        /// Bytes in a unit.
        unit: u64,
    },
    /// Direct I/O was required.
    #[error("{} cannot be opened for direct I/O; its file system has none", .0.display())]
    NoDirect(PathBuf),
    /// io_uring was required.
    #[error("io_uring cannot be used: {0}")]
    NoUring(String),
    /// A queue depth out of bounds.
    #[error("a queue depth of {got} is not between 1 and {max}")]
    QueueDepth {
        /// Asked for.
        got: u32,
        /// The most there can be.
        max: u32,
    },
    /// Anything else that the system said.
    #[error("{}: {error}", .path.display())]
    System {
        /// What was opened.
        path: PathBuf,
        /// The system's error.
        #[source]
        error: io::Error,
    },
}
