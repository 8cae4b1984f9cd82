//! What only the inside can arrange: older schemas, a writer that waits, a disk that is full.

use std::path::Path;
use std::sync::mpsc::channel;

use rusqlite::{Connection, OpenFlags};
use tidelock_format::{ClientId, FenceEpoch, GraceEpoch, Incarnation, Term};

use super::writer::Task;
use super::*;
use crate::record::ClientState;
use crate::{OpenSession, OperationId};

fn client(number: u128) -> ClientId {
    ClientId::new(number).unwrap()
}

fn greeting(number: u128, label: &str) -> OpenSession {
    OpenSession { client: client(number), operation: OperationId(1), label: label.into(), now_ms: 5 }
}

fn lead(authority: &SqliteAuthority) -> Leader {
    match authority.campaign(&Candidate::new("a", "here")).unwrap() {
        Campaign::Won(leader) => leader,
        Campaign::Lost(leader) => panic!("{leader:?} leads"),
    }
}

fn raw(path: &Path) -> Connection {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap()
}

/// A file of version 1, made by version 1's own SQL, with a leader and three clients.
fn version_1(path: &Path) {
    file::create(path).unwrap();
    let found = schema::version(&raw(path)).unwrap();
    assert_eq!(found, schema::Version { version: 1, min_reader: 1 });
    let rows = "UPDATE meta SET term = 41, leader_name = 'old', leader_address = 'there';
        INSERT INTO clients VALUES
            ('00000000000000000000000000000001', 7, 'active', 'web-1', 1000),
            ('00000000000000000000000000000002', 1, 'leaving', 'web-2', 2000),
            ('000000000000000000000000000000ff', 3, 'expelled', 'web-3', 3000);";
    raw(path).execute_batch(rows).unwrap();
}

/// G-23.
#[test]
fn version_1_is_migrated_with_all_that_it_had() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    version_1(&path);
    let authority = SqliteAuthority::open(&path).unwrap();
    let meta = authority.meta().unwrap();
    assert_eq!((meta.term, meta.current, meta.fence), (Term(41), GraceEpoch(1), FenceEpoch(0)));
    assert_eq!(authority.leadership().unwrap().unwrap().name, "old");
    let clients = authority.clients().unwrap();
    let summary: Vec<_> = clients
        .iter()
        .map(|record| (record.client.bits(), record.incarnation.0, record.label.as_str(), record.grace.len()))
        .collect();
    assert_eq!(summary, [(1, 7, "web-1", 1), (2, 1, "web-2", 1), (255, 3, "web-3", 0)]);
    assert_eq!(clients[1].state, ClientState::Leaving);
    assert_eq!(clients[2].state, ClientState::Expelled { reason: String::new() });
    let leader = lead(&authority);
    assert_eq!(leader.term(), Term(42));
    assert_eq!(leader.begin_grace().unwrap().len(), 2);
    assert_eq!(leader.open_session(greeting(1, "web-1")), Ok(Incarnation(8)));
}

/// G-23.
#[test]
fn each_file_is_a_service_of_its_own_and_remains_it() {
    let folder = tempfile::tempdir().unwrap();
    let (new, old) = (folder.path().join("n"), folder.path().join("o"));
    drop(SqliteAuthority::create(&new).unwrap());
    version_1(&old);
    let [of_new, of_old] = [&new, &old].map(|path| SqliteAuthority::open(path).unwrap().service().unwrap());
    assert_ne!(of_new, of_old);
    assert!(of_new.0 != 0 && of_old.0 != 0);
    assert_eq!(SqliteAuthority::open_reading(&new).unwrap().service(), Ok(of_new));
}

#[test]
fn every_version_comes_to_the_same_schema() {
    let tables = |path: &Path| -> Vec<String> {
        let sql = "SELECT coalesce(sql, name) FROM sqlite_schema ORDER BY name";
        let connection = raw(path);
        let mut statement = connection.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(|row| row.unwrap()).collect()
    };
    let folder = tempfile::tempdir().unwrap();
    let (new, empty, old) = (folder.path().join("n"), folder.path().join("e"), folder.path().join("o"));
    drop(SqliteAuthority::create(&new).unwrap());
    std::fs::write(&empty, b"").unwrap();
    drop(SqliteAuthority::create(&empty).unwrap());
    version_1(&old);
    drop(SqliteAuthority::open(&old).unwrap());
    assert!(tables(&new).len() > 6);
    assert_eq!(tables(&empty), tables(&new));
    assert_eq!(tables(&old), tables(&new));
    assert_eq!(schema::version(&raw(&old)).unwrap().version, schema::NEWEST);
}

#[test]
fn a_migration_that_was_cut_short_begins_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    version_1(&path);
    // What a crash in the middle of a step leaves behind: nothing, for the step is one transaction.
    let connection = raw(&path);
    connection
        .execute_batch(
            "BEGIN IMMEDIATE; ALTER TABLE meta ADD COLUMN leader_is_ready INTEGER; DROP TABLE clients;",
        )
        .unwrap();
    drop(connection);
    let authority = SqliteAuthority::open(&path).unwrap();
    assert_eq!(authority.clients().unwrap().len(), 3);
}

#[test]
fn servers_that_migrate_at_once_all_find_the_newest_schema() {
    for _ in 0..5 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        version_1(&path);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| assert_eq!(SqliteAuthority::open(&path).unwrap().clients().unwrap().len(), 3));
            }
        });
    }
}

#[test]
fn an_older_schema_is_left_alone_while_somebody_leads() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    version_1(&path);
    let mut lock = LeadLock::beside(&path);
    assert!(lock.take().unwrap());
    assert_eq!(SqliteAuthority::open(&path).unwrap_err(), OpenError::InUse(path.clone()));
    assert_eq!(schema::version(&raw(&path)).unwrap().version, 1);
    let too_old = OpenError::SchemaTooOld { path: path.clone(), found: 1, newest: schema::NEWEST };
    assert_eq!(SqliteAuthority::open_reading(&path).unwrap_err(), too_old);
}

#[test]
fn a_newer_schema_is_refused_and_read_if_it_allows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let authority = SqliteAuthority::create(&path).unwrap();
    lead(&authority).open_session(greeting(1, "web-1")).unwrap();
    drop(authority);
    let newest = schema::NEWEST;
    let too_new = OpenError::SchemaTooNew { path: path.clone(), found: newest + 1, newest };
    let is = |version: u32, min_reader: u32| {
        let sql = format!("UPDATE schema SET version = {version}, min_reader = {min_reader}");
        raw(&path).execute_batch(&sql).unwrap();
    };
    is(newest + 1, newest);
    let before = std::fs::read(&path).unwrap();
    let refused = SqliteAuthority::open(&path).unwrap_err();
    assert_eq!(refused, too_new);
    assert!(refused.to_string().contains(path.to_str().unwrap()));
    let reading = SqliteAuthority::open_reading(&path).unwrap();
    assert_eq!(reading.clients().unwrap().len(), 1);
    let no_leader = reading.campaign(&Candidate::new("a", "here")).unwrap_err();
    assert_eq!(no_leader, AuthorityError::OpenedForReading(path.clone()));
    drop(reading);
    assert_eq!(std::fs::read(&path).unwrap(), before, "not a byte was changed");
    is(newest + 1, newest + 1);
    assert_eq!(SqliteAuthority::open_reading(&path).unwrap_err(), too_new);
}

#[test]
fn changes_that_wait_share_one_commit_and_a_refused_one_harms_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let authority = SqliteAuthority::create(folder.path().join("a.db")).unwrap();
    let leader = lead(&authority);
    let writer = authority.shared.writer().unwrap();
    let before = authority.commits();
    let (go, until) = channel();
    // It may be taken alone, and the rest after it: two commits at most.
    let waiting = writer.queue(Task::Wait(until));
    let answers: Vec<_> = (1..=64)
        .map(|number| {
            let label = if number % 8 == 0 { "\0" } else { "good" };
            writer.queue(Task::Apply(leader.term(), Change::OpenSession(greeting(number, label))))
        })
        .collect();
    drop(go);
    assert!(waiting.recv().unwrap().is_ok());
    let refused = answers.iter().filter(|answer| answer.recv().unwrap().is_err()).count();
    assert_eq!(refused, 8);
    assert_eq!(authority.clients().unwrap().len(), 56);
    assert!(authority.commits() - before <= 2);
}

#[test]
fn a_full_disk_fails_who_needs_more_and_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let authority = SqliteAuthority::create(&path).unwrap();
    let leader = lead(&authority);
    leader.open_session(greeting(1, "kept")).unwrap();
    let writer = authority.shared.writer().unwrap();
    let sql = |sql: &str| writer.queue(Task::Sql(sql.into())).recv().unwrap().map(drop).unwrap();
    // SQLite does not go below the pages that there are.
    sql("PRAGMA max_page_count = 1");
    let label = "x".repeat(1000);
    let full = (2..100).find_map(|number| leader.open_session(greeting(number, &label)).err());
    assert_eq!(full, Some(AuthorityError::Full(path)));
    leader.raise_fence(client(1), Incarnation(1)).unwrap();
    let opened = authority.clients().unwrap();
    assert_eq!(opened[0].label, "kept");
    sql("PRAGMA max_page_count = 1000000");
    leader.open_session(greeting(1000, &label)).unwrap();
    assert_eq!(authority.clients().unwrap().len(), opened.len() + 1);
}

#[test]
fn a_file_locked_by_somebody_else_is_said_to_be() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let authority = SqliteAuthority::create(&path).unwrap();
    let leader = lead(&authority);
    let other = raw(&path);
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = leader.open_session(greeting(1, "a")).unwrap_err();
    assert_eq!(refused, AuthorityError::Busy(path));
    assert_eq!(authority.clients().unwrap(), [], "reading goes on");
    drop(other);
    leader.open_session(greeting(1, "a")).unwrap();
}

#[test]
fn rows_that_make_no_sense_are_damage() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let authority = SqliteAuthority::create(&path).unwrap();
    raw(&path).execute_batch("UPDATE meta SET term = -1").unwrap();
    assert!(matches!(authority.meta(), Err(AuthorityError::Damaged { .. })));
    assert!(matches!(authority.campaign(&Candidate::new("a", "here")), Err(AuthorityError::Damaged { .. })));
    raw(&path).execute_batch("DELETE FROM meta").unwrap();
    assert!(matches!(authority.meta(), Err(AuthorityError::Damaged { .. })));
}

#[test]
fn the_writer_syncs_every_commit() {
    let folder = tempfile::tempdir().unwrap();
    let authority = SqliteAuthority::create(folder.path().join("a.db")).unwrap();
    let writer = authority.shared.writer().unwrap();
    // R3, as far as it can be seen from here: the writer's connection is set up as the head of the module says.
    let sql = "CREATE TEMP TABLE found AS SELECT * FROM pragma_synchronous, pragma_journal_mode, pragma_foreign_keys;
        CREATE TEMP TABLE expected (one CHECK (one));
        INSERT INTO expected SELECT synchronous = 2 AND journal_mode = 'wal' AND foreign_keys = 1 FROM found;";
    assert_eq!(writer.queue(Task::Sql(sql.into())).recv().unwrap().map(drop), Ok(()));
}
