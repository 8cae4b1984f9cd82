//! What one server leaves to the next, in a file beside the records.
//!
//! Whoever finds it goes on where the last server stopped, so it is good once, for a short while, and for the next leader
//! alone. It is removed before it is used. It tells which boot of which machine it is of and when it was written on the
//! clock that counts from that boot: so its age is known whatever was done to the time of day, and a file that a loss of
//! power may have torn is of an earlier boot. That is why it is not synced. What it tells of itself has a checksum, and what
//! follows, as long as all locks are, has its own.
//!
//! Whether its table is the last leader's is the server's to judge
//! ([`Server::taking_over`](crate::Server::taking_over)).

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::OFlags;
use tidelock_format::block_checksum;
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::{Handover, HandoverError};

/// Bytes that are read at the most: some ten million locks.
const BYTES_MAX: u64 = 1 << 30;

const MAGIC: [u8; 8] = *b"tidenext";

/// The version that is written and read here.
const VERSION: u32 = 2;

/// What stands before the handover.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct RawHead {
    /// Of the rest of this.
    checksum: U32,
    version: U32,
    magic: [u8; 8],
    /// The machine's boot.
    boot: [u8; 16],
    /// Since then, in ms.
    written_ms: U64,
}

/// Why a file is of no use. The server recovers without it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandoverFileError {
    /// It cannot be read, or removed.
    #[error("it cannot be used: {0}")]
    Io(#[from] io::Error),
    /// Another user made it, or others could have.
    #[error("it belongs to user {owner} with mode {mode:o}: only a file of the server's own user is used")]
    Owner {
        /// Whose it is.
        owner: u32,
        /// Its permission bits.
        mode: u32,
    },
    /// It is no file, or too large to be one of these.
    #[error("it is no file of at most a GiB")]
    Kind,
    /// Something else, or of another version.
    #[error("this is not what a lock server leaves to the next")]
    Stranger,
    /// Damaged.
    #[error("its checksum is wrong: it is damaged")]
    Damaged,
    /// The machine was started anew since.
    #[error("it was written before this machine was started")]
    Boot,
    /// Too old.
    #[error("it is {age:?} old, and only good for {max:?}")]
    Old {
        /// How old.
        age: Duration,
        /// How old it may be.
        max: Duration,
    },
    /// What is in it is none.
    #[error(transparent)]
    Content(#[from] HandoverError),
}

/// Writes a handover, in place of any other.
pub(super) fn write(path: &Path, handover: &Handover, now: Duration) -> io::Result<()> {
    let mut head = RawHead {
        checksum: 0.into(),
        version: VERSION.into(),
        magic: MAGIC,
        boot: boot()?,
        written_ms: (now.as_millis() as u64).into(),
    };
    head.checksum = block_checksum(head.as_bytes()).0.into();
    let part = beside(path, ".part");
    // It may be left from a server that was killed while it wrote.
    let _ = fs::remove_file(&part);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
    file.write_all(head.as_bytes())?;
    file.write_all(handover.bytes())?;
    fs::rename(&part, path)
}

/// Takes the handover that is there, if there is one: the file is gone afterwards, whatever came of it.
pub(super) fn take(
    path: &Path,
    now: Duration,
    age_max: Duration,
) -> Result<Option<Handover>, HandoverFileError> {
    // Whatever it is: opening it waits for nobody, and leads nowhere else.
    let flags = (OFlags::NONBLOCK | OFlags::NOFOLLOW).bits() as i32;
    let mut file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    fs::remove_file(path)?;
    let found = file.metadata()?;
    if !found.is_file() || found.len() > BYTES_MAX {
        return Err(HandoverFileError::Kind);
    }
    let (owner, mode) = (found.uid(), found.mode() & 0o777);
    if owner != rustix::process::geteuid().as_raw() || mode & 0o022 != 0 {
        return Err(HandoverFileError::Owner { owner, mode });
    }
    let mut head = RawHead::new_zeroed();
    file.read_exact(head.as_mut_bytes()).map_err(|_| HandoverFileError::Stranger)?;
    look_at(&head, boot()?, now, age_max)?;
    // Room for all of it at once: one that grows is copied again and again.
    let mut bytes = Vec::with_capacity(found.len() as usize);
    file.take(BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(Some(Handover::decode(bytes)?))
}

fn look_at(
    head: &RawHead,
    boot: [u8; 16],
    now: Duration,
    age_max: Duration,
) -> Result<(), HandoverFileError> {
    if head.magic != MAGIC || head.version.get() != VERSION {
        return Err(HandoverFileError::Stranger);
    }
    if head.checksum.get() != block_checksum(head.as_bytes()).0 {
        return Err(HandoverFileError::Damaged);
    }
    if head.boot != boot {
        return Err(HandoverFileError::Boot);
    }
    // One from the future is of another clock: it is not to be trusted either.
    let age = now.checked_sub(Duration::from_millis(head.written_ms.get())).ok_or(HandoverFileError::Boot)?;
    if age > age_max {
        return Err(HandoverFileError::Old { age, max: age_max });
    }
    Ok(())
}

/// Which boot of which machine this is.
fn boot() -> io::Result<[u8; 16]> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    let bits = u128::from_str_radix(&text.trim().replace('-', ""), 16);
    bits.map(u128::to_be_bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut beside = path.as_os_str().to_owned();
    beside.push(ending);
    beside.into()
}
