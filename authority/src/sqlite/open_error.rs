//! Why a file of records could not be opened, and what to do about it.

use std::path::PathBuf;

use crate::AuthorityError;

/// Why a file of records could not be opened, and what to do about it. The file is as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// No such file.
    #[error("{} does not exist; check the path, restore it from a backup, or create it if this is a new cluster", .0.display())]
    Missing(PathBuf),
    /// To be created in a folder that is not there.
    #[error("{} cannot be created: its folder does not exist", .0.display())]
    NoParent(PathBuf),
    /// To be created, and there already.
    #[error("{} exists already; open it without creating it", .0.display())]
    Exists(PathBuf),
    /// A directory.
    #[error("{} is a directory; name a file in it", .0.display())]
    Directory(PathBuf),
    /// A pipe, a device, a socket.
    #[error("{} is not a file; name a file on a local disk", .0.display())]
    Kind(PathBuf),
    /// No bytes, or no tables.
    #[error("{} is empty; if this is a new cluster, create it again, else restore it from a backup", .0.display())]
    Empty(PathBuf),
    /// Bytes that are not SQLite's.
    #[error("{} is not a SQLite database; check the path, or restore it from a backup", .0.display())]
    NotDatabase(PathBuf),
    /// Some other program's database.
    #[error("{} is a SQLite database, but not one of Tidelock's authority; check the path", .0.display())]
    NotOurs(PathBuf),
    /// Made by a newer Tidelock.
    #[error("{} has schema version {found}, and this program knows versions up to {newest}; use the Tidelock that wrote \
        it, or a newer one", .path.display())]
    SchemaTooNew {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The newest version known.
        newest: u32,
    },
    /// Made by an older Tidelock, and to be read only.
    #[error("{} has schema version {found}, and this program reads version {newest}; let a server open it once, which \
        brings it up to date", .path.display())]
    SchemaTooOld {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The version that is read.
        newest: u32,
    },
    /// To be brought to the newest schema while a server leads with it.
    #[error("{} has an older schema, and a server that leads uses it; stop that server first", .0.display())]
    InUse(PathBuf),
    /// Not allowed.
    #[error("no permission for {}; check the owner and mode of the file and of its folder", .0.display())]
    Permission(PathBuf),
    /// Anything that a call to an open file may meet as well.
    #[error(transparent)]
    Storage(#[from] AuthorityError),
}
