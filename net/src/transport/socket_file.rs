//! The file of a Unix socket: taken only if nobody serves there, and removed only while it is still ours.
//!
//! A server that died leaves its file behind, and `bind` would refuse for ever. So a socket that refuses connections is
//! removed; one that takes them, or that says anything else, is somebody's. Between looking and binding another server could
//! do the same, so both happen under a lock of the folder, which leaves nothing behind.

use std::fs::{self, File, Permissions, TryLockError};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketType};

use super::socket::{FLAGS, Socket};
use super::{Address, ListenError};

/// Connections that may wait to be taken in.
pub(super) const BACKLOG: i32 = 1024;

/// How often, and how long apart, the folder's lock is tried.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(10);

/// A socket's file that this process made.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl SocketFile {
    /// Makes a socket that listens at `path`.
    pub(super) fn listen(path: &Path, mode: u32) -> Result<(OwnedFd, Self), ListenError> {
        let failed =
            |what| move |source| ListenError::Io { what, address: Address::Unix(path.into()), source };
        let _lock = lock_folder(path).map_err(failed("lock the folder of"))?;
        remove_stale(path)?;
        let bind = || -> io::Result<(OwnedFd, Self)> {
            let fd = net::socket_with(AddressFamily::UNIX, SocketType::STREAM, FLAGS, None)?;
            net::bind(&fd, &SocketAddrUnix::new(path)?)?;
            let found = fs::symlink_metadata(path)?;
            let file = Self { path: path.into(), device: found.dev(), inode: found.ino() };
            // Nobody comes in by the mode that the file was born with: it listens only after.
            fs::set_permissions(path, Permissions::from_mode(mode))?;
            net::listen(&fd, BACKLOG)?;
            Ok((fd, file))
        };
        bind().map_err(failed("listen at"))
    }

    fn is_ours(&self) -> bool {
        let found = fs::symlink_metadata(&self.path);
        found.is_ok_and(|found| (found.dev(), found.ino()) == (self.device, self.inode))
    }
}

impl Drop for SocketFile {
    /// The listener drops this first, and itself after: until the file is gone, nobody takes it for stale.
    fn drop(&mut self) {
        if self.is_ours() {
            // Whoever removed it in between did what we want.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The lock is a file's that was opened, so it ends with this process at the latest.
fn lock_folder(path: &Path) -> io::Result<File> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = File::open(folder)?;
    for _ in 0..TRIES {
        match folder.try_lock() {
            Ok(()) => return Ok(folder),
            Err(TryLockError::WouldBlock) => thread::sleep(PAUSE),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Err(io::Error::new(io::ErrorKind::WouldBlock, "somebody else holds its lock: try again"))
}

/// Removes a socket that nobody serves.
fn remove_stale(path: &Path) -> Result<(), ListenError> {
    let address = || Address::Unix(path.into());
    let failed = |what| move |source| ListenError::Io { what, address: address(), source };
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("look at")(error)),
    };
    if !found.file_type().is_socket() {
        return Err(ListenError::NotASocket { path: path.into() });
    }
    match Socket::connect_unix(path) {
        Ok(_) => Err(ListenError::InUse { address: address() }),
        Err(error) if is_refusal(&error) => fs::remove_file(path).map_err(failed("remove the stale")),
        // A full queue, or a socket that is not for us: somebody's all the same.
        Err(error) => Err(failed("find out who serves")(error)),
    }
}

/// Whether the system itself said that nobody listens.
fn is_refusal(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::CONNREFUSED.raw_os_error())
}
