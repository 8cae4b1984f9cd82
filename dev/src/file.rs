//! An open file or block device that this process has for itself.

use std::fs::File;
use std::ops::Deref;

use rustix::fs::FlockOperation;
use rustix::io::Errno;

/// A file under an advisory lock, which ends with this value: the kernel would keep it for as long as a ring that is
/// being torn down in the background refers to the file.
#[derive(Debug)]
pub(crate) struct LockedFile(File);

impl LockedFile {
    /// Locks `file`: shared when it is only read. `None` when somebody else has it.
    pub(crate) fn lock(file: File, read_only: bool) -> Result<Option<Self>, Errno> {
        let operation = match read_only {
            true => FlockOperation::NonBlockingLockShared,
            false => FlockOperation::NonBlockingLockExclusive,
        };
        match rustix::io::retry_on_intr(|| rustix::fs::flock(&file, operation)) {
            Ok(()) => Ok(Some(Self(file))),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Drop for LockedFile {
    fn drop(&mut self) {
        // An error would mean that there is no lock to give up.
        let _ = rustix::fs::flock(&self.0, FlockOperation::Unlock);
    }
}

impl Deref for LockedFile {
    type Target = File;

    fn deref(&self) -> &File {
        &self.0
    }
}
