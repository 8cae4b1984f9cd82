//! A server that cannot begin: a message that names the flag and says what to do, exit code 2, and nothing touched.

mod serving;

use std::fs;
use std::process::{Command, Output};

use serving::Place;

fn serve(place: &Place, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidelock"));
    command.arg("serve").arg("--state").arg(place.state()).args(args).output().unwrap()
}

fn refused(output: &Output, words: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    for word in words {
        assert!(said.contains(word), "no {word:?} in: {said}");
    }
    assert!(!said.contains("panicked"), "{said}");
    assert!(output.stdout.is_empty());
}

fn made(place: &Place) {
    drop(place.serve());
    assert!(place.state().exists());
}

fn sql(place: &Place, sql: &str) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open(place.state()).unwrap();
    connection.execute_batch(sql).unwrap();
    connection
}

/// G-22.
#[test]
fn a_state_file_that_is_not_there_is_not_made_unasked() {
    let place = Place::new();
    refused(&serve(&place, &["--listen", "127.0.0.1:0"]), &["--state", "does not exist", "--create"]);
    assert!(place.folder.path().read_dir().unwrap().next().is_none());
}

#[test]
fn a_server_without_an_address_is_told_how_to_give_one() {
    let place = Place::new();
    refused(&serve(&place, &["--create"]), &["--listen", "unix:PATH"]);
    refused(&serve(&place, &["--listen", "localhost"]), &["--listen", "HOST:PORT"]);
    assert!(!place.state().exists());
}

#[test]
fn a_place_that_cannot_be_had_leaves_no_state_file() {
    let place = Place::new();
    refused(&serve(&place, &["--create", "--listen", "nowhere.invalid:1"]), &["--listen", "look up"]);
    refused(
        &serve(&place, &["--create", "--listen", "127.0.0.1:0", "--admin", "/no/such/folder/a"]),
        &["--admin"],
    );
    assert!(!place.state().exists());
}

#[test]
fn plain_tcp_for_other_machines_has_to_be_allowed() {
    let place = Place::new();
    let words = ["--listen", "--tls-cert", "--allow-plain"];
    refused(&serve(&place, &["--create", "--listen", "0.0.0.0:0"]), &words);
}

#[test]
fn tls_wants_all_three_files_and_sound_ones() {
    let place = Place::new();
    refused(&serve(&place, &["--create", "--listen", "[::]:0", "--tls-cert", "a"]), &["--tls-key"]);
    let files = ["--tls-cert", "no.pem", "--tls-key", "no.key", "--tls-client-ca", "no.ca"];
    let args = [&["--create", "--listen", "[::]:0"], &files[..]].concat();
    refused(&serve(&place, &args), &["--tls-cert", "no.pem"]);
    assert!(!place.state().exists());
}

#[test]
fn a_lease_that_is_none_is_refused() {
    let place = Place::new();
    for lease in ["0", "-1", "1", "601", "long"] {
        refused(&serve(&place, &["--create", "--listen", "127.0.0.1:0", "--lease", lease]), &["--lease"]);
    }
    assert!(!place.state().exists());
}

/// G-23.
#[test]
fn a_state_file_of_a_newer_version_is_refused_and_left_as_it_is() {
    let place = Place::new();
    made(&place);
    drop(sql(&place, "UPDATE schema SET version = 1000, min_reader = 1000"));
    let before = fs::read(place.state()).unwrap();
    let words = ["--state", "version 1000", "use the Tidelock that wrote it"];
    refused(&serve(&place, &["--listen", "127.0.0.1:0"]), &words);
    refused(&place.ask(&["session", "ls"]), &words);
    assert_eq!(fs::read(place.state()).unwrap(), before);
}

#[test]
fn a_state_file_that_another_program_has_locked_is_waited_for_and_then_refused() {
    let place = Place::new();
    made(&place);
    let holder = sql(&place, "BEGIN EXCLUSIVE");
    refused(&serve(&place, &["--listen", "127.0.0.1:0"]), &["--state", "locks.db"]);
    drop(holder);
    drop(place.serve());
}

#[test]
fn what_is_no_socket_is_left_alone() {
    let place = Place::new();
    let path = place.folder.path().join("socket");
    fs::write(&path, "mine").unwrap();
    refused(&serve(&place, &["--create", "--listen", &place.socket().to_string()]), &["is no socket"]);
    assert_eq!(fs::read(&path).unwrap(), b"mine");
}

#[test]
fn questions_need_a_server_and_help_asks_nothing() {
    let place = Place::new();
    for args in [&["locks", "ls"][..], &["grace", "status"], &["top", "--once"], &["session", "show", "a"]] {
        refused(&place.ask(args), &["--state", "no lock server answers"]);
        let help = Command::new(env!("CARGO_BIN_EXE_tidelock")).args(args).arg("--help").output().unwrap();
        assert!(help.status.success());
        let said = String::from_utf8(help.stdout).unwrap();
        assert!(said.contains("Examples:") && said.contains("--admin"), "{said}");
        let nowhere = Command::new(env!("CARGO_BIN_EXE_tidelock")).args(args).output().unwrap();
        refused(&nowhere, &["--state", "--admin"]);
    }
    refused(&place.ask(&["session", "show", "xyz"]), &["CLIENT", "session ls"]);
    refused(&place.ask(&["locks", "ls", "--from", "xyz"]), &["--from", "hexadecimal"]);
    refused(&place.ask(&["top"]), &["no lock server answers"]);
}
