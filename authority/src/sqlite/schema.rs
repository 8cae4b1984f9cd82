//! The tables, version by version. A migration is one transaction and is never changed once it was released; a crash between
//! two leaves a file of the version between.
//!
//! `schema` has one row: the version, and the oldest program (by the newest version that it knows) that may still read the
//! file. Texts are readable by people: a client is 32 hexadecimal digits.

use rusqlite::{Connection, TransactionBehavior};

/// The version that this program writes.
pub(super) const NEWEST: u32 = MIGRATIONS.len() as u32;

/// Marks our files: "TIDA".
const APPLICATION_ID: i32 = 0x5449_4441;

/// What a file says of its schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) version: u32,
    pub(super) min_reader: u32,
}

/// One step: from the version before to this one.
struct Migration {
    /// The oldest program that may read the result.
    min_reader: u32,
    sql: &'static str,
}

/// The step to version n is at n - 1.
const MIGRATIONS: [Migration; 3] = [
    Migration { min_reader: 1, sql: VERSION_1 },
    Migration { min_reader: 2, sql: VERSION_2 },
    Migration { min_reader: 2, sql: VERSION_3 },
];

/// Who leads, and who has a session.
const VERSION_1: &str = "
CREATE TABLE meta (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    term INTEGER NOT NULL,
    leader_name TEXT,
    leader_address TEXT
) STRICT;
INSERT INTO meta VALUES (1, 0, NULL, NULL);

CREATE TABLE clients (
    client TEXT PRIMARY KEY CHECK (length(client) = 32),
    incarnation INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('active', 'leaving', 'expelled')),
    label TEXT NOT NULL,
    first_seen_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

/// Who may reclaim, who is fenced, what was asked before. Every session of version 1 may reclaim.
const VERSION_2: &str = "
ALTER TABLE meta ADD COLUMN leader_is_ready INTEGER NOT NULL DEFAULT 0;
ALTER TABLE meta ADD COLUMN grace_current INTEGER NOT NULL DEFAULT 1;
ALTER TABLE meta ADD COLUMN grace_recovering INTEGER;
ALTER TABLE meta ADD COLUMN fence_epoch INTEGER NOT NULL DEFAULT 0;

CREATE TABLE marks (
    client TEXT PRIMARY KEY CHECK (length(client) = 32),
    incarnation INTEGER NOT NULL,
    fenced_to INTEGER NOT NULL CHECK (fenced_to <= incarnation)
) STRICT, WITHOUT ROWID;
INSERT INTO marks SELECT client, incarnation, 0 FROM clients;

CREATE TABLE sessions (
    client TEXT PRIMARY KEY REFERENCES marks (client),
    incarnation INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('active', 'leaving', 'expelled')),
    reason TEXT NOT NULL,
    label TEXT NOT NULL,
    first_seen_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO sessions SELECT client, incarnation, state, '', label, first_seen_ms FROM clients;
DROP TABLE clients;

CREATE TABLE grace (
    epoch INTEGER NOT NULL,
    client TEXT NOT NULL REFERENCES sessions (client),
    PRIMARY KEY (epoch, client)
) STRICT, WITHOUT ROWID;
CREATE INDEX grace_by_client ON grace (client);
INSERT INTO grace SELECT 1, client FROM sessions WHERE state <> 'expelled';

CREATE TABLE operations (
    client TEXT NOT NULL REFERENCES marks (client),
    operation TEXT NOT NULL CHECK (length(operation) = 32),
    incarnation INTEGER NOT NULL,
    PRIMARY KEY (client, operation)
) STRICT, WITHOUT ROWID;

CREATE TABLE tombstones (
    client TEXT NOT NULL REFERENCES marks (client),
    incarnation INTEGER NOT NULL,
    reason TEXT NOT NULL,
    expires_ms INTEGER NOT NULL,
    PRIMARY KEY (client, incarnation)
) STRICT, WITHOUT ROWID;
";

/// What the service is called. Zero is nobody's name.
const VERSION_3: &str = "
ALTER TABLE meta ADD COLUMN service INTEGER NOT NULL DEFAULT 0;
UPDATE meta SET service = random() | 1;
";

/// Whether there is no table at all.
pub(super) fn is_bare(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))
}

/// Whether the file says that it is ours.
pub(super) fn is_ours(connection: &Connection) -> rusqlite::Result<bool> {
    let id: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    Ok(id == APPLICATION_ID)
}

/// What a file of ours says of its schema.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<Version> {
    connection.query_row("SELECT version, min_reader FROM schema", [], |row| {
        Ok(Version { version: row.get(0)?, min_reader: row.get(1)? })
    })
}

/// Version 1, in a file without tables. Inside a transaction of the caller's.
pub(super) fn begin(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    connection.execute_batch(
        "CREATE TABLE schema (version INTEGER NOT NULL, min_reader INTEGER NOT NULL) STRICT;
        INSERT INTO schema VALUES (0, 0);",
    )?;
    step(connection, 0)
}

/// From whatever version to the newest, a transaction for each step.
pub(super) fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    loop {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Inside: another process may have done it since.
        let found = version(&transaction)?;
        if found.version >= NEWEST {
            return Ok(());
        }
        step(&transaction, found.version as usize)?;
        transaction.commit()?;
        tracing::info!(from = found.version, to = found.version + 1, "migrated the authority's schema");
    }
}

/// The step from this version to the next.
fn step(connection: &Connection, from: usize) -> rusqlite::Result<()> {
    let migration = &MIGRATIONS[from];
    connection.execute_batch(migration.sql)?;
    let to = from as i64 + 1;
    connection.execute("UPDATE schema SET version = ?1, min_reader = ?2", (to, migration.min_reader))?;
    Ok(())
}
