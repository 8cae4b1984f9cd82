//! The rows as SQL, and what SQLite's errors mean to whoever called.

use std::path::{Path, PathBuf};

use rusqlite::types::Type;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Params, Row};
use tidelock_format::{ClientId, FenceEpoch, Fsid, GraceEpoch, Incarnation, Term};

use crate::record::{ClientState, Leadership, Meta, Tombstone};
use crate::rows::{Marks, Result, Rows, Session};
use crate::{AuthorityError, OperationId};

/// The rows of one database, inside a transaction of the caller's.
pub(super) struct SqlRows<'a> {
    connection: &'a Connection,
    path: &'a Path,
}

impl<'a> SqlRows<'a> {
    pub(super) fn new(connection: &'a Connection, path: &'a Path) -> Self {
        Self { connection, path }
    }

    /// What the service is called: all 64 bits of it.
    pub(super) fn service(&self) -> Result<Fsid> {
        let found: Option<i64> = self.one("SELECT service FROM meta", [], |row| row.get(0))?;
        found.map(|bits| Fsid(bits as u64)).ok_or_else(|| self.no_meta())
    }

    fn no_meta(&self) -> AuthorityError {
        AuthorityError::Damaged { path: self.path.into(), why: "table meta is empty".into() }
    }

    fn execute(&self, sql: &str, values: impl Params) -> Result<u64> {
        let done = self.connection.prepare_cached(sql).and_then(|mut statement| statement.execute(values));
        done.map(|count| count as u64).map_err(|error| storage_error(self.path, error))
    }

    fn all<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        let query =
            || self.connection.prepare_cached(sql)?.query_map(values, read)?.collect::<rusqlite::Result<_>>();
        query().map_err(|error| storage_error(self.path, error))
    }

    fn one<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>> {
        let query = || self.connection.prepare_cached(sql)?.query_row(values, read).optional();
        query().map_err(|error| storage_error(self.path, error))
    }
}

impl Rows for SqlRows<'_> {
    fn meta(&self) -> Result<Meta> {
        let sql = "SELECT term, leader_name, leader_address, leader_is_ready, \
                   grace_current, grace_recovering, fence_epoch FROM meta";
        self.one(sql, [], read_meta)?.ok_or_else(|| self.no_meta())
    }

    fn put_meta(&mut self, meta: &Meta) -> Result<()> {
        let leader = meta.leader.as_ref();
        let sql = "UPDATE meta SET term = ?1, leader_name = ?2, leader_address = ?3, leader_is_ready = ?4, \
                   grace_current = ?5, grace_recovering = ?6, fence_epoch = ?7";
        let values = (
            signed(meta.term.0),
            leader.map(|leader| &leader.name),
            leader.map(|leader| &leader.address),
            leader.is_some_and(|leader| leader.is_ready),
            signed(meta.current.0),
            meta.recovering.map(|epoch| signed(epoch.0)),
            signed(meta.fence.0),
        );
        self.execute(sql, values).map(drop)
    }

    fn marks(&self, client: ClientId) -> Result<Option<Marks>> {
        let sql = "SELECT incarnation, fenced_to FROM marks WHERE client = ?1";
        self.one(sql, [client.to_string()], |row| {
            Ok(Marks { incarnation: Incarnation(count(row, 0)?), fenced_to: Incarnation(count(row, 1)?) })
        })
    }

    fn put_marks(&mut self, client: ClientId, marks: Marks) -> Result<()> {
        // Not INSERT OR REPLACE: that deletes the row first, which others refer to.
        let sql = "INSERT INTO marks VALUES (?1, ?2, ?3) \
                   ON CONFLICT (client) DO UPDATE SET incarnation = ?2, fenced_to = ?3";
        let values = (client.to_string(), signed(marks.incarnation.0), signed(marks.fenced_to.0));
        self.execute(sql, values).map(drop)
    }

    fn session(&self, client: ClientId) -> Result<Option<Session>> {
        let sql = "SELECT incarnation, state, reason, label, first_seen_ms FROM sessions WHERE client = ?1";
        self.one(sql, [client.to_string()], |row| read_session(row, 0))
    }

    fn sessions(&self) -> Result<Vec<(ClientId, Session)>> {
        let sql = "SELECT client, incarnation, state, reason, label, first_seen_ms FROM sessions \
                   ORDER BY client";
        self.all(sql, [], |row| Ok((read_client(row, 0)?, read_session(row, 1)?)))
    }

    fn put_session(&mut self, client: ClientId, session: &Session) -> Result<()> {
        let sql = "INSERT INTO sessions VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (client) DO UPDATE \
                   SET incarnation = ?2, state = ?3, reason = ?4, label = ?5, first_seen_ms = ?6";
        let (state, reason) = match &session.state {
            ClientState::Active => ("active", ""),
            ClientState::Leaving => ("leaving", ""),
            ClientState::Expelled { reason } => ("expelled", reason.as_str()),
        };
        let (incarnation, first_seen_ms) = (signed(session.incarnation.0), signed(session.first_seen_ms));
        let values = (client.to_string(), incarnation, state, reason, &session.label, first_seen_ms);
        self.execute(sql, values).map(drop)
    }

    fn delete_session(&mut self, client: ClientId) -> Result<()> {
        self.execute("DELETE FROM sessions WHERE client = ?1", [client.to_string()]).map(drop)
    }

    fn operation(&self, client: ClientId, operation: OperationId) -> Result<Option<Incarnation>> {
        let sql = "SELECT incarnation FROM operations WHERE client = ?1 AND operation = ?2";
        self.one(sql, [client.to_string(), operation.to_string()], |row| count(row, 0).map(Incarnation))
    }

    fn put_operation(
        &mut self,
        client: ClientId,
        operation: OperationId,
        incarnation: Incarnation,
    ) -> Result<()> {
        let values = (client.to_string(), operation.to_string(), signed(incarnation.0));
        self.execute("INSERT INTO operations VALUES (?1, ?2, ?3)", values).map(drop)
    }

    fn delete_operations(&mut self, client: ClientId, to: Incarnation) -> Result<()> {
        let sql = "DELETE FROM operations WHERE client = ?1 AND incarnation <= ?2";
        self.execute(sql, (client.to_string(), signed(to.0))).map(drop)
    }

    fn lists(&self, client: ClientId) -> Result<Vec<GraceEpoch>> {
        let sql = "SELECT epoch FROM grace WHERE client = ?1 ORDER BY epoch";
        self.all(sql, [client.to_string()], |row| count(row, 0).map(GraceEpoch))
    }

    fn list(&self, epoch: GraceEpoch) -> Result<Vec<ClientId>> {
        let sql = "SELECT client FROM grace WHERE epoch = ?1 ORDER BY client";
        self.all(sql, [signed(epoch.0)], |row| read_client(row, 0))
    }

    fn enlist(&mut self, epoch: GraceEpoch, client: ClientId) -> Result<()> {
        let sql = "INSERT INTO grace VALUES (?1, ?2) ON CONFLICT DO NOTHING";
        self.execute(sql, (signed(epoch.0), client.to_string())).map(drop)
    }

    fn strike(&mut self, client: ClientId) -> Result<()> {
        self.execute("DELETE FROM grace WHERE client = ?1", [client.to_string()]).map(drop)
    }

    fn delete_list(&mut self, epoch: GraceEpoch) -> Result<()> {
        self.execute("DELETE FROM grace WHERE epoch = ?1", [signed(epoch.0)]).map(drop)
    }

    fn tombstones(&self) -> Result<Vec<Tombstone>> {
        let sql =
            "SELECT client, incarnation, reason, expires_ms FROM tombstones ORDER BY client, incarnation";
        self.all(sql, [], |row| {
            Ok(Tombstone {
                client: read_client(row, 0)?,
                incarnation: Incarnation(count(row, 1)?),
                reason: row.get(2)?,
                expires_ms: count(row, 3)?,
            })
        })
    }

    fn has_tombstone(&self, client: ClientId, incarnation: Incarnation) -> Result<bool> {
        let sql = "SELECT 1 FROM tombstones WHERE client = ?1 AND incarnation = ?2";
        let found = self.one(sql, (client.to_string(), signed(incarnation.0)), |_| Ok(()))?;
        Ok(found.is_some())
    }

    fn put_tombstone(&mut self, tombstone: &Tombstone) -> Result<()> {
        let Tombstone { client, incarnation, reason, expires_ms } = tombstone;
        let values = (client.to_string(), signed(incarnation.0), reason, signed(*expires_ms));
        self.execute("INSERT INTO tombstones VALUES (?1, ?2, ?3, ?4)", values).map(drop)
    }

    fn delete_tombstones(&mut self, now_ms: u64) -> Result<u64> {
        self.execute("DELETE FROM tombstones WHERE expires_ms <= ?1", [signed(now_ms)])
    }
}

fn read_meta(row: &Row<'_>) -> rusqlite::Result<Meta> {
    let term = Term(count(row, 0)?);
    let leader = match (row.get(1)?, row.get(2)?) {
        (Some(name), Some(address)) => Some(Leadership { name, address, term, is_ready: row.get(3)? }),
        _ => None,
    };
    let recovering = row.get::<_, Option<i64>>(5)?.map(|_| count(row, 5).map(GraceEpoch)).transpose()?;
    Ok(Meta {
        term,
        leader,
        current: GraceEpoch(count(row, 4)?),
        recovering,
        fence: FenceEpoch(count(row, 6)?),
    })
}

fn read_session(row: &Row<'_>, first: usize) -> rusqlite::Result<Session> {
    let state: String = row.get(first + 1)?;
    let state = match state.as_str() {
        "active" => ClientState::Active,
        "leaving" => ClientState::Leaving,
        "expelled" => ClientState::Expelled { reason: row.get(first + 2)? },
        _ => return Err(nonsense(first + 1, format!("{state:?} is no state of a session"))),
    };
    Ok(Session {
        incarnation: Incarnation(count(row, first)?),
        state,
        label: row.get(first + 3)?,
        first_seen_ms: count(row, first + 4)?,
    })
}

fn read_client(row: &Row<'_>, column: usize) -> rusqlite::Result<ClientId> {
    let text: String = row.get(column)?;
    let bits = u128::from_str_radix(&text, 16).ok().and_then(ClientId::new);
    bits.ok_or_else(|| nonsense(column, format!("{text:?} is no client")))
}

/// SQLite's integers have a sign, and no count of ours gets so far. What a caller makes up may: it is then the greatest.
fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|_| nonsense(column, format!("{value} is no count")))
}

fn nonsense(column: usize, why: String) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Null, why.into())
}

/// What this error means to whoever called.
pub(super) fn storage_error(path: &Path, error: rusqlite::Error) -> AuthorityError {
    let path = PathBuf::from(path);
    let why = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => AuthorityError::Full(path),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => AuthorityError::ReadOnly(path),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed) => {
            AuthorityError::Busy(path)
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => AuthorityError::Damaged { path, why },
        // Rows that SQLite finds sound, and we do not.
        None => AuthorityError::Damaged { path, why },
        // SQLite says so as well when it cannot make the files that it needs beside the database.
        Some(ErrorCode::CannotOpen) => {
            let why =
                format!("{why}; check the owner and mode of the file and of its folder, and free space");
            AuthorityError::Storage { path, why }
        }
        Some(_) => AuthorityError::Storage { path, why },
    }
}
