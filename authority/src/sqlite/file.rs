//! Opening the file: look at it without writing a byte, refuse what is not ours, and only then open it for writing.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::lock::LeadLock;
use super::open_error::OpenError;
use super::rows::storage_error;
use super::schema::{self, Version};
use crate::AuthorityError;

type Result<T> = std::result::Result<T, OpenError>;

/// How a SQLite database begins.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// How long to wait for other processes.
const WAIT: Duration = Duration::from_secs(5);

/// How long between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Make the file, with the first schema only: `open` brings it to the newest, like any older one.
pub(super) fn create(path: &Path) -> Result<()> {
    patiently(|| create_once(path))
}

/// Open it for writing, at the newest schema.
pub(super) fn open(path: &Path) -> Result<Connection> {
    patiently(|| open_once(path))
}

/// Open it for reading, at any schema that we can read.
pub(super) fn open_reading(path: &Path) -> Result<Connection> {
    patiently(|| open_reading_once(path))
}

/// Try again while another process is in the way. SQLite waits by itself in most places; where it fails at once, as when the
/// journal's mode changes while somebody else opens the file, it is up to us.
fn patiently<T>(mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    let deadline = Instant::now() + WAIT;
    loop {
        match attempt() {
            Err(OpenError::Storage(AuthorityError::Busy(_))) if Instant::now() < deadline => {
                thread::sleep(PAUSE);
            }
            done => return done,
        }
    }
}

fn create_once(path: &Path) -> Result<()> {
    let parent = parent(path);
    if !parent.is_dir() {
        return Err(OpenError::NoParent(path.into()));
    }
    match look(path) {
        Ok(0) | Err(OpenError::Missing(_)) => {}
        Ok(_) => return Err(OpenError::Exists(path.into())),
        Err(error) => return Err(error),
    }
    let open = OpenOptions::new().create(true).truncate(false).write(true).open(path);
    open.map_err(|error| refusal(path, &error))?;
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let failed = |error| OpenError::from(storage_error(path, error));
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    // Of two that create it at once, the second finds what the first has made.
    if !schema::is_bare(&transaction).map_err(failed)? {
        return Err(OpenError::Exists(path.into()));
    }
    schema::begin(&transaction).map_err(failed)?;
    transaction.commit().map_err(failed)?;
    // The name has to be as durable as what it names.
    let synced = File::open(parent).and_then(|folder| folder.sync_all());
    synced.map_err(|error| refusal(path, &error))
}

fn open_once(path: &Path) -> Result<Connection> {
    let (connection, found) = inspect(path)?;
    drop(connection);
    let newest = schema::NEWEST;
    if found.version > newest {
        return Err(OpenError::SchemaTooNew { path: path.into(), found: found.version, newest });
    }
    OpenOptions::new().write(true).open(path).map_err(|error| refusal(path, &error))?;
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    if found.version < newest {
        migrate(path, &mut connection)?;
    }
    configure(&connection).map_err(|error| storage_error(path, error))?;
    Ok(connection)
}

fn open_reading_once(path: &Path) -> Result<Connection> {
    let (connection, found) = inspect(path)?;
    let newest = schema::NEWEST;
    if found.min_reader > newest {
        return Err(OpenError::SchemaTooNew { path: path.into(), found: found.version, newest });
    }
    if found.version < newest {
        return Err(OpenError::SchemaTooOld { path: path.into(), found: found.version, newest });
    }
    Ok(connection)
}

/// A connection for reading, to a database that is sound and ours.
fn inspect(path: &Path) -> Result<(Connection, Version)> {
    let size = look(path)?;
    if size == 0 {
        return Err(OpenError::Empty(path.into()));
    }
    check_bytes(path, size)?;
    // For reading only: not even a log that a crash left behind is written back when this connection closes.
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let failed = |error| OpenError::from(storage_error(path, error));
    if schema::is_bare(&connection).map_err(failed)? {
        return Err(OpenError::Empty(path.into()));
    }
    if !schema::is_ours(&connection).map_err(failed)? {
        return Err(OpenError::NotOurs(path.into()));
    }
    let check: String =
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(failed)?;
    if check != "ok" {
        return Err(AuthorityError::Damaged { path: path.into(), why: check }.into());
    }
    let version = schema::version(&connection).map_err(failed)?;
    Ok((connection, version))
}

/// How many bytes the file has.
fn look(path: &Path) -> Result<u64> {
    let metadata = fs::metadata(path).map_err(|error| refusal(path, &error))?;
    if metadata.is_dir() {
        Err(OpenError::Directory(path.into()))
    } else if !metadata.is_file() {
        Err(OpenError::Kind(path.into()))
    } else {
        Ok(metadata.len())
    }
}

/// Refuse what does not begin like a database, or ends inside a page.
fn check_bytes(path: &Path, size: u64) -> Result<()> {
    let mut start = [0; MAGIC.len() + 2];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut start));
    match read {
        Ok(()) if start.starts_with(MAGIC) => {}
        Ok(()) => return Err(OpenError::NotDatabase(path.into())),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(OpenError::NotDatabase(path.into()));
        }
        Err(error) => return Err(refusal(path, &error)),
    }
    // The size of a page follows the magic; 65536 has no room there, and is written as one.
    let page = match u16::from_be_bytes([start[16], start[17]]) {
        1 => 65536,
        bytes => u64::from(bytes),
    };
    // SQLite reads the end of a page that is cut off as zeros. After a crash a log may still hold what is missing.
    let is_cut = page == 0 || !size.is_multiple_of(page);
    if is_cut && !has_log(path) {
        let why = format!("it has {size} bytes, which is no whole number of pages of {page}");
        return Err(AuthorityError::Damaged { path: path.into(), why }.into());
    }
    Ok(())
}

/// Whether SQLite left a log beside the file, which it will use.
fn has_log(path: &Path) -> bool {
    ["-wal", "-journal"].into_iter().any(|ending| {
        let mut log = path.as_os_str().to_owned();
        log.push(ending);
        fs::metadata(log).is_ok_and(|metadata| metadata.len() > 0)
    })
}

fn connect(path: &Path, access: OpenFlags) -> Result<Connection> {
    // No mutex: each connection has one thread at a time. No URI: a path is a path.
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX);
    let connection = connection.map_err(|error| storage_error(path, error))?;
    connection.busy_timeout(WAIT).map_err(|error| storage_error(path, error))?;
    Ok(connection)
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    // Readers, the sqlite3 tool among them, do not keep the writer waiting, nor it them.
    connection.pragma_update(None, "journal_mode", "wal")?;
    // R3: with NORMAL, a log is synced only when it is written back.
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)
}

/// Bring it to the newest schema, with nobody leading meanwhile: an older server would not understand what it finds.
fn migrate(path: &Path, connection: &mut Connection) -> Result<()> {
    let mut lock = LeadLock::beside(path);
    let deadline = Instant::now() + WAIT;
    while !lock.take()? {
        // Whoever has the lock may be migrating as well.
        let found = schema::version(connection).map_err(|error| storage_error(path, error))?;
        if found.version >= schema::NEWEST {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(OpenError::InUse(path.into()));
        }
        thread::sleep(PAUSE);
    }
    schema::migrate(connection).map_err(|error| storage_error(path, error).into())
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.into(),
        _ => ".".into(),
    }
}

fn refusal(path: &Path, error: &io::Error) -> OpenError {
    let path: PathBuf = path.into();
    match error.kind() {
        io::ErrorKind::NotFound => OpenError::Missing(path),
        io::ErrorKind::PermissionDenied => OpenError::Permission(path),
        io::ErrorKind::ReadOnlyFilesystem => AuthorityError::ReadOnly(path).into(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => AuthorityError::Full(path).into(),
        _ => AuthorityError::Storage { path, why: error.to_string() }.into(),
    }
}
