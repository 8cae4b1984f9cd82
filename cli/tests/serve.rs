//! Lock servers as processes: they begin, are killed, hand over, and say what is wrong.

mod serving;

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serving::{PATIENCE, Place, Serving, client, range};
use tidelock_lock_client::LockClient;
use tidelock_lock_proto::Mode;
use tidelock_net::transport::Address;

/// The address that a server says it listens at.
fn port(line: &str) -> Address {
    let rest = line.strip_prefix("listening on ").unwrap();
    rest.split([',', ' ']).next().unwrap().parse().unwrap()
}

fn take(client: &LockClient, number: u64) {
    let locks = client.locks();
    let taken = locks.lock(range(number), Mode::Write).wait_timeout(PATIENCE);
    drop(taken.expect("in time").expect("a lock"));
}

#[test]
fn two_clients_of_a_server_take_one_lock_in_turn() {
    let place = Place::new();
    let server =
        place.begin(&["--create", "--listen", "127.0.0.1:0", "--listen", &place.socket().to_string()]);
    let line = server.expect("listening on 127.0.0.1:");
    assert!(line.contains(&place.socket().to_string()) && line.contains("term 1"), "{line}");
    let clients = [client(&port(&line), 1), place.client(2)];
    let locks = clients.each_ref().map(LockClient::locks);
    for _ in 0..20 {
        for locks in &locks {
            let guard = locks.lock(range(7), Mode::Write).wait().expect("a lock");
            assert!(guard.is_valid());
        }
    }
    for client in clients {
        assert!(client.shutdown(PATIENCE).destroy(PATIENCE).has_left);
    }
}

/// K5, Q5: every client is back with all that it held, and nobody waits for a lease.
#[test]
fn clients_recover_within_seconds_when_the_server_is_killed_and_started_again() {
    const CLIENTS: u64 = 8;
    const LOCKS: u64 = 2000;
    let place = Place::new();
    let server = place.serve();
    let clients: Vec<LockClient> = (0..CLIENTS).map(|number| place.client(number.into())).collect();
    thread::scope(|scope| {
        for (number, client) in clients.iter().enumerate() {
            scope.spawn(move || (0..LOCKS).for_each(|lock| take(client, number as u64 * LOCKS + lock)));
        }
    });
    server.kill();
    let since = Instant::now();
    let server = place.begin(&["--listen", &place.socket().to_string()]);
    assert!(server.expect("listening on ").contains("asking 8 sessions"));
    thread::scope(|scope| {
        for (number, client) in clients.iter().enumerate() {
            // A new lock of its own, which is granted when all have told what they held.
            scope.spawn(move || take(client, CLIENTS * LOCKS + number as u64));
        }
    });
    let took = since.elapsed();
    assert!(took < Duration::from_secs(15), "{took:?}: less than the lease");
    let about = place.told_json(&["top", "--once", "--interval", "0.1"]);
    assert_eq!(about["server"]["locks"], CLIENTS * LOCKS + CLIENTS);
    for client in &clients {
        assert_eq!(client.locks().counters().losses, 0);
    }
    // What was held is still exclusive, and given up when asked for.
    take(&clients[0], LOCKS);
    println!("{CLIENTS} clients with {LOCKS} locks each were back after {took:?}");
}

/// How long the longest wait of a client was while `change` happened.
fn longest_wait(place: &Place, change: impl FnOnce()) -> Duration {
    let client = place.client(77);
    take(&client, 0);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let waits = scope.spawn(|| {
            let (mut longest, mut number) = (Duration::ZERO, 0);
            while !is_over.load(Ordering::Relaxed) {
                number += 1;
                let since = Instant::now();
                take(&client, number);
                longest = longest.max(since.elapsed());
            }
            longest
        });
        thread::sleep(Duration::from_millis(100));
        change();
        thread::sleep(Duration::from_millis(300));
        is_over.store(true, Ordering::Relaxed);
        waits.join().unwrap()
    })
}

/// Y9. A machine that is busy with other tests may be late once; one that is always late is wrong.
#[test]
fn a_server_that_is_told_to_end_hands_over_to_the_one_that_stands_by() {
    let place = Place::new();
    let mut serving = place.serve();
    let mut waits = Vec::new();
    for _ in 0..5 {
        let standby = place.begin(&["--listen", &place.socket().to_string()]);
        let line = standby.expect("standing by: ");
        assert!(line.contains("leads in term"), "{line}");
        waits.push(longest_wait(&place, || {
            serving.terminate();
            standby.expect("listening on ").contains("going on").then_some(()).expect("it takes over");
            assert!(serving.wait().success());
            serving.expect("stopped, and left all");
        }));
        serving = standby;
        if waits.iter().any(|wait| *wait < Duration::from_millis(200)) {
            println!("waits: {waits:?}");
            return;
        }
    }
    panic!("each time somebody waited for long: {waits:?}");
}

#[test]
fn a_server_that_stands_by_takes_over_from_one_that_was_killed() {
    let place = Place::new();
    let server = place.serve();
    let client = place.client(1);
    take(&client, 1);
    let standby = place.begin(&["--listen", &place.socket().to_string()]);
    standby.expect("standing by: ");
    server.kill();
    assert!(standby.expect("listening on ").contains("asking 1 sessions"));
    take(&client, 2);
    assert_eq!(client.locks().counters().losses, 0);
}

#[test]
fn a_server_that_stands_by_ends_when_it_is_told_to() {
    let place = Place::new();
    let _server = place.serve();
    let mut standby = place.begin(&["--listen", &place.socket().to_string()]);
    standby.expect("standing by: ");
    standby.terminate();
    assert!(standby.wait().success());
    take(&place.client(1), 1);
}

/// at the same port, with its old connections still there.
#[test]
fn a_server_that_is_started_again_listens_at_once_and_goes_on() {
    let place = Place::new();
    let mut server = place.begin(&["--create", "--listen", "127.0.0.1:0"]);
    let address = port(&server.expect("listening on "));
    let client = client(&address, 1);
    for number in 0..3 {
        take(&client, number);
        server.terminate();
        assert!(server.wait().success());
        server = place.begin(&["--listen", &address.to_string()]);
        assert!(server.expect("listening on ").contains("going on where"));
    }
    take(&client, 9);
    assert_eq!(client.locks().counters().losses, 0);
}

/// Under a service manager: it opened the socket, and says so in the environment.
#[test]
fn a_server_takes_the_sockets_that_a_service_manager_opened() {
    let place = Place::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address: Address = listener.local_addr().unwrap().to_string().parse().unwrap();
    let mut command = Command::new("sh");
    let script = "exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\" serve --create --state \"$1\"";
    command.args(["-c", script, env!("CARGO_BIN_EXE_tidelock")]).arg(place.state());
    command.stdin(std::os::fd::OwnedFd::from(listener));
    let server = Serving::start(command);
    let line = server.expect("listening on ");
    assert_eq!(port(&line), address);
    take(&client(&address, 1), 1);
}
