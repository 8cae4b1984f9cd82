//! Files that are not what they should be: each is refused with what to do about it, and left as it was (G-22).
#![cfg(feature = "sqlite")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::thread;

use common::{client, greeting, lead};
use tidelock_authority::{Authority, AuthorityError, Campaign, Candidate, OpenError, SqliteAuthority};

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

/// What opening says, for writing and for reading, which is the same; the file is not touched.
fn refused(path: &Path) -> OpenError {
    let before = fs::read(path).ok();
    let error = SqliteAuthority::open(path).unwrap_err();
    assert_eq!(SqliteAuthority::open_reading(path).unwrap_err(), error);
    assert_eq!(fs::read(path).ok(), before, "after {error}");
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error} names no file");
    error
}

fn with_records(path: &Path) {
    let authority = SqliteAuthority::create(path).unwrap();
    let leader = lead(&authority);
    for number in 1..200 {
        leader.open_session(greeting(number, 1)).unwrap();
    }
}

#[test]
fn a_missing_file_is_not_taken_for_an_empty_one() {
    let folder = Folder::new();
    let path = folder.file("a.db");
    assert_eq!(refused(&path), OpenError::Missing(path.clone()));
    assert!(!path.exists());
    let nowhere = folder.file("no/a.db");
    assert_eq!(SqliteAuthority::create(&nowhere).unwrap_err(), OpenError::NoParent(nowhere));
}

#[test]
fn what_exists_is_not_created() {
    let folder = Folder::new();
    let path = folder.file("a.db");
    with_records(&path);
    let before = fs::read(&path).unwrap();
    assert_eq!(SqliteAuthority::create(&path).unwrap_err(), OpenError::Exists(path.clone()));
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn an_empty_file_is_created_and_never_opened() {
    let folder = Folder::new();
    let path = folder.file("a.db");
    fs::write(&path, b"").unwrap();
    assert_eq!(refused(&path), OpenError::Empty(path.clone()));
    with_records(&path);
    assert_eq!(SqliteAuthority::open(&path).unwrap().clients().unwrap().len(), 199);
}

#[test]
fn a_directory_or_a_device_is_no_file() {
    let folder = Folder::new();
    let path = folder.file("");
    assert_eq!(refused(&path), OpenError::Directory(path.clone()));
    assert_eq!(SqliteAuthority::create(&path).unwrap_err(), OpenError::Directory(path));
    let device = Path::new("/dev/null");
    assert_eq!(SqliteAuthority::open(device).unwrap_err(), OpenError::Kind(device.into()));
}

#[test]
fn other_bytes_are_no_database() {
    let folder = Folder::new();
    let path = folder.file("a.db");
    for bytes in [b"x".to_vec(), b"SQLite format 3".to_vec(), vec![7; 10_000]] {
        fs::write(&path, bytes).unwrap();
        assert_eq!(refused(&path), OpenError::NotDatabase(path.clone()));
        assert_eq!(SqliteAuthority::create(&path).unwrap_err(), OpenError::Exists(path.clone()));
    }
}

#[test]
fn another_programs_database_is_not_ours() {
    let folder = Folder::new();
    let path = folder.file("a.db");
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE schema (version INTEGER); INSERT INTO schema VALUES (2)").unwrap();
    drop(other);
    assert_eq!(refused(&path), OpenError::NotOurs(path));
}

#[test]
fn a_truncated_file_is_damaged() {
    let folder = Folder::new();
    let path = folder.file("a.db");
    with_records(&path);
    let whole = fs::read(&path).unwrap();
    for bytes in [20, 100, 4096, whole.len() / 2, whole.len() - 4096, whole.len() - 1] {
        fs::write(&path, &whole[..bytes]).unwrap();
        let error = refused(&path);
        let is_damage = matches!(error, OpenError::Storage(AuthorityError::Damaged { .. }));
        assert!(is_damage, "{bytes} bytes: {error}");
    }
    fs::write(&path, &whole).unwrap();
    assert_eq!(SqliteAuthority::open(&path).unwrap().clients().unwrap().len(), 199);
}

#[test]
fn a_folder_that_cannot_be_written_is_said_to_be() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    fs::set_permissions(folder.0.path(), fs::Permissions::from_mode(0o555)).unwrap();
    let path = folder.file("a.db");
    // Root writes everywhere; for it there is a file system that takes no files.
    let path = if fs::write(folder.file("probe"), b"").is_ok() { "/sys/a.db".into() } else { path };
    let error = SqliteAuthority::create(&path).unwrap_err();
    let is_named =
        matches!(error, OpenError::Permission(_) | OpenError::Storage(AuthorityError::ReadOnly(_)));
    assert!(is_named && !path.exists(), "{error}");
    fs::set_permissions(folder.0.path(), fs::Permissions::from_mode(0o755)).unwrap();
}

/// G-23.
#[test]
fn of_two_that_create_at_once_one_wins() {
    for _ in 0..10 {
        let folder = Folder::new();
        let path = folder.file("a.db");
        let barrier = Barrier::new(4);
        let created = thread::scope(|scope| {
            let racer = || {
                barrier.wait();
                match SqliteAuthority::create(&path) {
                    Ok(_) => 1,
                    Err(OpenError::Exists(_)) => 0,
                    Err(error) => panic!("{error}"),
                }
            };
            let racers: Vec<_> = (0..4).map(|_| scope.spawn(racer)).collect();
            racers.into_iter().map(|racer| racer.join().unwrap()).sum::<u32>()
        });
        assert_eq!(created, 1);
        assert_eq!(lead(&SqliteAuthority::open(&path).unwrap()).term().0, 1);
    }
}

#[test]
fn two_servers_at_one_file_do_not_both_lead() {
    let folder = Folder::new();
    let path = folder.file("a.db");
    let one = SqliteAuthority::create(&path).unwrap();
    let two = SqliteAuthority::open(&path).unwrap();
    let leader = lead(&one);
    let Campaign::Lost(Some(present)) = two.campaign(&Candidate::new("b", "there")).unwrap() else {
        panic!("both lead");
    };
    assert_eq!((present.name.as_str(), present.term), ("a", leader.term()));
    leader.resign().unwrap();
    let next = lead(&two);
    assert!(next.term() > leader.term());
    assert_eq!(leader.open_session(greeting(1, 1)), Err(AuthorityError::Deposed { by: next.term() }));
    assert!(matches!(one.campaign(&Candidate::new("a", "here")), Ok(Campaign::Lost(_))));
    // Gone without a word, as in a crash: the lock goes with the leader.
    drop(next);
    lead(&one).open_session(greeting(1, 1)).unwrap();
}

#[test]
fn a_leader_deposed_by_its_own_server_keeps_the_lock_taken() {
    let folder = Folder::new();
    let path = folder.file("a.db");
    let one = SqliteAuthority::create(&path).unwrap();
    let two = SqliteAuthority::open(&path).unwrap();
    let old = lead(&one);
    let new = lead(&one);
    assert!(old.resign().is_err());
    drop(old);
    assert!(matches!(two.campaign(&Candidate::new("b", "there")), Ok(Campaign::Lost(_))));
    drop(one);
    new.open_session(greeting(1, 1)).unwrap();
    drop(new);
    lead(&two);
}

#[test]
fn readers_see_a_leaders_changes_at_once() {
    let folder = Folder::new();
    let path = folder.file("a.db");
    let authority = SqliteAuthority::create(&path).unwrap();
    let leader = lead(&authority);
    let reader = SqliteAuthority::open_reading(&path).unwrap();
    leader.open_session(greeting(1, 1)).unwrap();
    assert_eq!(reader.client(client(1)).unwrap().unwrap().label, "host-1");
}

/// G-25, small: many threads need far fewer commits than they make changes.
#[test]
fn many_at_once_share_commits() {
    const THREADS: u128 = 64;
    const CALLS: u128 = 8;
    let folder = Folder::new();
    let authority = SqliteAuthority::create(folder.file("a.db")).unwrap();
    let leader = lead(&authority);
    let before = authority.commits();
    let barrier = Barrier::new(THREADS as usize);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (leader, barrier) = (&leader, &barrier);
            scope.spawn(move || {
                barrier.wait();
                for call in 0..CALLS {
                    leader.open_session(greeting(1 + thread * CALLS + call, 1)).unwrap();
                }
            });
        }
    });
    let calls = (THREADS * CALLS) as u64;
    assert_eq!(authority.clients().unwrap().len() as u64, calls);
    let commits = authority.commits() - before;
    assert!(commits * 4 <= calls, "{commits} commits for {calls} changes");
}
