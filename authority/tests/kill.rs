//! A server is killed at random moments, over and over: whatever it had been told was done is there afterwards (R3), and its
//! successor leads at once, in a greater term (R1).
//!
//! The server is this test program, run once more with the path of its file in the environment. It prints each session after
//! the call that opened it returned.
#![cfg(feature = "sqlite")]

mod common;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{env, thread};

use common::{client, greeting, lead};
use tidelock_authority::{Authority, Candidate, SqliteAuthority};

const FILE: &str = "TIDELOCK_AUTHORITY_KILL_TEST";
const ROUNDS: u64 = 12;
const THREADS: u128 = 4;

/// Nothing when the tests run; the server when `FILE` is set.
#[test]
fn serves_when_it_is_told_to() {
    let Some(path) = env::var_os(FILE) else { return };
    let authority = SqliteAuthority::open(PathBuf::from(path)).unwrap();
    let leader = lead(&authority);
    let say = |line: String| {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{line}").unwrap();
        out.flush().unwrap();
    };
    say(format!("\nterm {}", leader.term()));
    let epoch = u128::from(leader.term().0) << 64;
    thread::scope(|scope| {
        for first in 1..=THREADS {
            let (leader, say) = (&leader, &say);
            scope.spawn(move || {
                for number in 0.. {
                    // A few clients that open again and again, among many that come once.
                    let who = if number % 4 == 0 { first } else { epoch + number * 100 + first };
                    let incarnation = leader.open_session(greeting(who, epoch + number)).unwrap();
                    say(format!("open {who} {incarnation}"));
                }
            });
        }
    });
}

fn server(path: &Path) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "serves_when_it_is_told_to", "--nocapture", "--test-threads=1"])
        .env(FILE, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Kill it this long after it leads; what it printed: its term, and the last session of each client.
fn kill(mut server: Child, after: Duration) -> (u64, BTreeMap<u128, u64>) {
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines().map_while(Result::ok);
    let term = lines.by_ref().find_map(|line| line.strip_prefix("term ")?.parse().ok()).expect("it leads");
    let reader = thread::spawn(move || lines.collect::<Vec<_>>());
    thread::sleep(after);
    server.kill().unwrap();
    server.wait().unwrap();
    let mut lines = reader.join().unwrap();
    // The last line may be cut off.
    lines.pop();
    let mut opened = BTreeMap::new();
    for line in &lines {
        let Some((who, incarnation)) = line.strip_prefix("open ").and_then(|rest| rest.split_once(' '))
        else {
            continue;
        };
        opened.insert(who.parse().unwrap(), incarnation.parse().unwrap());
    }
    (term, opened)
}

#[test]
fn a_killed_server_leaves_all_that_it_was_told_was_done() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("authority.db");
    drop(SqliteAuthority::create(&path).unwrap());
    let mut opened = BTreeMap::new();
    let mut last = 0;
    for round in 0..ROUNDS {
        // Odd multiples of a prime: moments that have nothing to do with what the server does.
        let after = Duration::from_micros(round * 7919 * (round % 5 + 1) % 120_000);
        let (term, more) = kill(server(&path), after);
        assert!(term > last, "term {term} after {last}");
        last = term;
        opened.extend(more);
        // No wait, and no retry: the lock went with the process.
        let authority = SqliteAuthority::open(&path).unwrap();
        for (who, incarnation) in &opened {
            let record = authority.client(client(*who)).unwrap();
            let found = record.map(|record| record.incarnation.0);
            assert!(
                found >= Some(*incarnation),
                "client {who}: {found:?}, told {incarnation}; killed after {after:?}"
            );
        }
        let leader = lead(&authority);
        assert!(leader.term().0 > last);
        last = leader.term().0;
    }
    assert!(opened.len() > 20, "the servers did too little to tell: {} clients", opened.len());
}

#[test]
fn while_a_server_lives_no_other_process_leads() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("authority.db");
    drop(SqliteAuthority::create(&path).unwrap());
    let mut server = server(&path);
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines().map_while(Result::ok);
    lines.find(|line| line.starts_with("term ")).expect("it leads");
    let authority = SqliteAuthority::open(&path).unwrap();
    let campaign = authority.campaign(&Candidate::new("b", "there")).unwrap();
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(matches!(campaign, tidelock_authority::Campaign::Lost(Some(_))), "{campaign:?}");
    lead(&authority);
}
