//! What people see of a server: sessions, locks, recovery, counters.

mod serving;

use serving::{PATIENCE, Place, range};
use tidelock_lock_proto::Mode;

#[test]
fn sessions_locks_and_waiters_are_shown() {
    let place = Place::new();
    let _server = place.serve();
    let (one, other) = (place.client(1), place.client(2));
    let (mine, theirs) = (one.locks(), other.locks());
    let guard = mine.lock(range(0xa0), Mode::Write).wait().unwrap();
    drop(theirs.lock(range(0xb0), Mode::Read).wait().unwrap());
    let waiting = theirs.lock(range(0xa0), Mode::Read);
    let waits = || place.told_json(&["locks", "ls", "--waiting"]);
    let since = std::time::Instant::now();
    while waits()["locks"].as_array().unwrap().is_empty() {
        assert!(since.elapsed() < PATIENCE);
    }

    let sessions = place.told_json(&["session", "ls"]);
    let sessions = sessions["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 2);
    assert!(sessions.iter().all(|session| session["standing"] == "live" && session["is_connected"] == true));
    let waits = waits();
    let lock = &waits["locks"][0];
    assert_eq!((&lock["start"], &lock["end"]), (&"a0".into(), &"a0".into()));
    assert_eq!(lock["waiters"][0]["behind"][0], lock["holders"][0]["client"]);
    assert_eq!(lock["holders"][0]["mode"], "write");
    assert_eq!(place.told_json(&["locks", "ls"])["locks"].as_array().unwrap().len(), 2);
    assert_eq!(place.told_json(&["locks", "ls", "--from", "a1"])["locks"][0]["start"], "b0");
    let few = place.told_json(&["locks", "ls", "--limit", "1"]);
    assert_eq!((few["locks"].as_array().unwrap().len(), &few["more"]), (1, &true.into()));

    let holder = lock["holders"][0]["client"].as_str().unwrap();
    let shown = place.told(&["session", "show", &holder[..8]]);
    assert!(shown.contains("waits for") && shown.contains(&holder[..8]), "{shown}");
    let table = place.told(&["session", "ls"]);
    assert!(table.contains("STANDING") && table.contains("2 sessions"), "{table}");
    let table = place.told(&["locks", "ls", "--waiting"]);
    assert!(table.contains("was told to come down to"), "{table}");
    assert!(place.told(&["grace", "status"]).contains("serving"));
    let top = place.told(&["top", "--once", "--interval", "0.05"]);
    assert!(top.contains("2 sessions, 2 locks") && top.contains("a second:"), "{top}");
    let top = place.told_json(&["top", "--once", "--interval", "0.05"]);
    assert!(top["rates"]["grants_told"].is_number() && top["waiting"][0]["start"] == "a0", "{top}");
    drop(guard);
    drop(waiting.wait().unwrap());
    drop((one, other));
}

#[test]
fn the_state_file_alone_tells_who_had_a_session() {
    let place = Place::new();
    let mut server = place.serve();
    let client = place.client(1);
    drop(client.locks().lock(range(1), Mode::Write).wait().unwrap());
    server.terminate();
    assert!(server.wait().success());
    let told = place.told(&["session", "ls"]);
    assert!(told.contains("1 sessions, as the state file has them") && told.contains("active"), "{told}");
    let told = place.told_json(&["session", "ls"]);
    assert_eq!((&told["from"], &told["sessions"][0]["state"]), (&"file".into(), &"active".into()));
    drop(client);
}

#[test]
fn a_recovery_is_shown_while_it_lasts() {
    let place = Place::new();
    let server = place.serve();
    let client = place.client(1);
    drop(client.locks().lock(range(1), Mode::Write).wait().unwrap());
    server.kill();
    // It never comes back: as if its machine had gone with the server's.
    drop(client);
    let server = place.serve();
    let status = place.ask(&["grace", "status"]);
    assert_eq!(status.status.code(), Some(1));
    let told = String::from_utf8(status.stdout).unwrap();
    assert!(told.contains("recovering: 1 sessions") && told.contains("unheard"), "{told}");
    drop(server);
}

#[test]
fn only_questions_are_answered() {
    use std::io::{BufRead, BufReader, Write};
    let place = Place::new();
    let _server = place.serve();
    let admin = place.folder.path().join("locks.db.admin");
    let socket = std::os::unix::net::UnixStream::connect(&admin).unwrap();
    let mut lines = BufReader::new(&socket).lines();
    for (line, word) in [
        ("hello", "no question"),
        (r#"{"ask":"stop"}"#, "unknown variant"),
        (r#"{"ask":"grace","force":true}"#, "unknown field"),
        (r#"{"ask":"locks","from":"x"}"#, "hexadecimal"),
        (r#"{"ask":"counters"}"#, "sessions_opened"),
    ] {
        writeln!(&socket, "{line}").unwrap();
        let answer = lines.next().unwrap().unwrap();
        assert!(answer.contains(word), "{line}: {answer}");
    }
    // Refused as soon as it is too long. Whoever is still writing it then is heard out, and may ask again.
    (&socket).write_all(&[b'x'; 4096]).unwrap();
    assert!(lines.next().unwrap().unwrap().contains("at most 4096 bytes"));
    (&socket).write_all(b"the rest of it\n\xff\n").unwrap();
    assert!(lines.next().unwrap().unwrap().contains("no question"));
    writeln!(&socket, r#"{{"ask":"counters"}}"#).unwrap();
    assert!(lines.next().unwrap().unwrap().contains("sessions_opened"));
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(admin).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}
