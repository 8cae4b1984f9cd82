//! What one server leaves to the next, in a file beside the records.
//!
//! Whoever finds it goes on where the last server stopped, so it is good once, for a short while, and for the next leader
//! alone. It is removed before it is used. It tells which boot of which machine it is of and when it was written on the
//! clock that counts from that boot: so its age is known whatever was done to the time of day, and a file that a loss of
//! power may have torn is of an earlier boot. That is why it is not synced. Its checksum covers all of it.
//!
//! Whether its table is the last leader's is the server's to judge
//! ([`Server::taking_over`](crate::Server::taking_over)).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tidelock_format::{Cursor, block_checksum};
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::{Handover, HandoverError};

/// Bytes that are read at the most: some ten million locks.
const BYTES_MAX: u64 = 1 << 30;

const MAGIC: [u8; 8] = *b"tidenext";

/// What stands before the handover.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct RawHead {
    /// Of everything behind it.
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
        version: 1.into(),
        magic: MAGIC,
        boot: boot()?,
        written_ms: (now.as_millis() as u64).into(),
    };
    let mut bytes = head.as_bytes().to_vec();
    bytes.extend_from_slice(&handover.encode());
    head.checksum = block_checksum(&bytes).0.into();
    bytes[..size_of::<RawHead>()].copy_from_slice(head.as_bytes());
    let part = beside(path, ".part");
    // It may be left from a server that was killed while it wrote.
    let _ = fs::remove_file(&part);
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?.write_all(&bytes)?;
    fs::rename(&part, path)
}

/// Takes the handover that is there, if there is one: the file is gone afterwards, whatever came of it.
pub(super) fn take(path: &Path, now: Duration, age_max: Duration) -> Result<Option<Handover>, HandoverFileError> {
    let file = match File::open(path) {
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
    let mut bytes = Vec::new();
    file.take(BYTES_MAX).read_to_end(&mut bytes)?;
    read(&bytes, boot()?, now, age_max).map(Some)
}

fn read(
    bytes: &[u8],
    boot: [u8; 16],
    now: Duration,
    age_max: Duration,
) -> Result<Handover, HandoverFileError> {
    let mut rest = Cursor::new(bytes);
    let head: &RawHead = rest.take().map_err(|_| HandoverFileError::Stranger)?;
    if head.magic != MAGIC || head.version.get() != 1 {
        return Err(HandoverFileError::Stranger);
    }
    if head.checksum.get() != block_checksum(bytes).0 {
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
    Ok(Handover::decode(rest.rest())?)
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
