//! A daemon with real sockets: what its clients get, and what becomes of those that are none.
#![cfg(feature = "daemon")]

mod common;

use std::time::Duration;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Instant;

use common::client::Client;
use common::{Place, quick, range, until};
use tidelock_authority::{Authority, Campaign, Candidate, ClientState};
use tidelock_lock_proto::Mode;
use tidelock_lock_server::{Beginning, Counters, Daemon, StopReason, Tally};
use tidelock_net::transport::Address;

#[test]
fn two_clients_take_one_lock_in_turn() {
    let place = Place::new();
    let (daemon, port) = place.serve();
    for address in [place.socket(), port] {
        let (mut one, mut other) = (Client::new(&address, 1), Client::new(&address, 2));
        one.take(range(7), Mode::Write);
        one.is_stubborn = true;
        other.want(range(7), Mode::Write);
        one.until("call to come down", |client| !client.revoked.is_empty());
        other.go_on(Duration::from_millis(20));
        assert!(!other.has(range(7), Mode::Write), "K1");
        one.give_in();
        other.until("grant", |client| client.has(range(7), Mode::Write));
        one.leave();
        other.leave();
    }
    let stopped = daemon.stop();
    assert_eq!(stopped.reason, StopReason::Asked);
    assert!(stopped.has_handed_over);
}

fn tally(daemon: &Daemon) -> Tally {
    daemon.handle().ask(|look| *look.tally()).unwrap()
}

fn counters(daemon: &Daemon) -> Counters {
    daemon.handle().ask(|look| *look.server().counters()).unwrap()
}

/// A stranger who says these bytes.
fn stranger(port: &Address, bytes: &[u8]) -> TcpStream {
    let mut stranger = TcpStream::connect(port.to_string()).unwrap();
    stranger.write_all(bytes).unwrap();
    stranger
}

fn is_closed(stranger: &mut impl Read) -> bool {
    // Whether it is told the end or an error depends on what was left unread.
    matches!(stranger.read(&mut [0; 64]), Ok(0) | Err(_))
}

/// Somebody is served: takes a lock and gives it back.
fn is_served(client: &mut Client) {
    client.take(range(1), Mode::Write);
    client.release(range(1));
}

/// From a wish to its grant: nothing else happens, in whatever way the client is connected.
#[test]
fn a_grant_costs_the_server_a_poll_a_read_and_a_write() {
    let place = Place::new();
    let (daemon, port) = place.serve();
    for address in [place.socket(), port] {
        let mut client = Client::new(&address, 1);
        client.take(range(0), Mode::Read);
        let (before, writes) = (tally(&daemon), counters(&daemon).writes);
        (1..=200).for_each(|number| client.take(range(number), Mode::Read));
        let (after, writes) = (tally(&daemon), counters(&daemon).writes - writes);
        // The client's own reports, and these questions, are a few.
        assert!((200..230).contains(&writes), "{writes} writes");
        assert!((200..230).contains(&(after.reads - before.reads)), "{before:?} {after:?}");
        assert!((200..240).contains(&(after.turns - before.turns)), "{before:?} {after:?}");
        client.leave();
    }
}

// --- those who are no clients --------------------------------------------------------------------------------------------

///
#[test]
fn a_port_scan_is_turned_away_and_counted() {
    let place = Place::new();
    let (daemon, port) = place.serve();
    let mut client = Client::new(&port, 1);
    for bytes in
        [b"GET / HTTP/1.1\r\n\r\n".as_slice(), b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", &[0; 40]]
    {
        assert!(is_closed(&mut stranger(&port, bytes)));
    }
    drop(TcpStream::connect(port.to_string()).unwrap());
    until("gone", || tally(&daemon).strangers_gone == 1);
    let tally = tally(&daemon);
    assert_eq!(tally.frames_unsound + tally.frames_oversized, 3, "{tally:?}");
    assert!(tally.frames_unsound > 0);
    is_served(&mut client);
    assert_eq!(counters(&daemon).sessions_opened, 1, "no stranger is a client");
}

///
#[test]
fn an_oversized_frame_is_refused_before_it_gets_memory() {
    let place = Place::new();
    let (daemon, port) = place.serve();
    let mut client = Client::new(&port, 1);
    let mut head = [0u8; 8];
    head[..4].copy_from_slice(&60_000u32.to_le_bytes());
    head[4..6].copy_from_slice(&[1, 3]);
    assert!(is_closed(&mut stranger(&port, &head)));
    assert_eq!(tally(&daemon).frames_oversized, 1);
    is_served(&mut client);
}

/// bytes that dribble in do not keep a place for longer than a greeting may take.
#[test]
fn a_slow_loris_is_cut_off_and_counted() {
    let place = Place::new();
    let (daemon, port) = place.serve();
    let mut client = Client::new(&port, 1);
    let mut slow = TcpStream::connect(port.to_string()).unwrap();
    let since = Instant::now();
    // The length of a hello, and then a byte now and then.
    for byte in [88u8, 0, 0, 0, 1, 1].into_iter().chain([0; 100]) {
        client.go_on(Duration::from_millis(20));
        if slow.write_all(&[byte]).is_err() {
            break;
        }
    }
    assert!(since.elapsed() < quick().greeting * 4, "it was cut off after {:?}", since.elapsed());
    until("cut off", || tally(&daemon).strangers_slow == 1);
    is_served(&mut client);
}

/// a thousand who say nothing.
#[test]
fn a_thousand_half_open_connections_keep_nobody_from_being_served() {
    let place = Place::new();
    let (daemon, port) = place.serve();
    let mut client = Client::new(&port, 1);
    let mute: Vec<TcpStream> = (0..1000).map(|_| TcpStream::connect(port.to_string()).unwrap()).collect();
    for number in 2..6 {
        is_served(&mut client);
        is_served(&mut Client::new(&port, number));
    }
    until("all cut off", || tally(&daemon).strangers_mute == 1000);
    assert_eq!(counters(&daemon).strangers_silent, 1000);
    drop(mute);
    is_served(&mut client);
}

#[test]
fn whoever_does_not_read_is_cut_off_and_others_are_served() {
    let place = Place::new();
    let (daemon, _) = place.serve_with(|options| options.bounds.outbox_bytes_max = 2000);
    let socket = place.socket();
    let mut client = Client::new(&socket, 1);
    let Address::Unix(path) = &socket else { panic!("{socket}") };
    let mut deaf = UnixStream::connect(path).unwrap();
    let mut bytes = Vec::new();
    let hello = tidelock_net::Hello {
        versions: (1, 1),
        service: tidelock_net::ANY_SERVICE,
        instance: 99,
        incarnation: tidelock_format::Incarnation(0),
        term: tidelock_format::Term(0),
        is_leaving: false,
    };
    tidelock_net::Frame::Hello { hello, done: tidelock_net::Number(0), attempt: 1 }.encode(&mut bytes);
    deaf.write_all(&bytes).unwrap();
    deaf.read_exact(&mut [0; 40]).unwrap();
    // Each is answered, and none of the answers is read.
    bytes.clear();
    (0..1000).for_each(|number| tidelock_net::Frame::Ping(number).encode(&mut bytes));
    deaf.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
    while deaf.write_all(&bytes).is_ok() {
        client.go_on(Duration::from_millis(1));
    }
    until("cut off", || tally(&daemon).outboxes_full == 1);
    is_served(&mut client);
}

// --- one busy client, many at once ---------------------------------------------------------------------------------------

#[test]
fn a_client_that_says_much_starves_nobody() {
    let place = Place::new();
    let (daemon, port) = place.serve();
    let mut busy = Client::new(&place.socket(), 1);
    let mut other = Client::new(&port, 2);
    let handle = daemon.handle();
    let flood = std::thread::spawn(move || {
        for round in 0..200u64 {
            (0..200).for_each(|number| busy.want(range(1000 + number), Mode::Read));
            let last = range(1000 + 199);
            busy.until("answers", |client| client.has(last, Mode::Read));
            (0..200).for_each(|number| busy.release(range(1000 + number)));
            let _ = round;
        }
        handle.ask(|look| look.server().counters().messages_heard).unwrap()
    });
    let mut longest = Duration::ZERO;
    let mut rounds = 0;
    while !flood.is_finished() {
        let since = Instant::now();
        is_served(&mut other);
        longest = longest.max(since.elapsed());
        rounds += 1;
    }
    assert!(flood.join().unwrap() >= 200 * 400);
    assert!(rounds > 10 && longest < Duration::from_secs(2), "{rounds} rounds, one of {longest:?}");
}

/// G-25: changes that wait at a time share one commit.
#[test]
fn sessions_that_open_at_once_share_their_commits() {
    let place = Place::new();
    let authority = place.authority();
    let (daemon, _) = place.serve_at(&authority, |_| {});
    let before = authority.commits();
    let mut clients: Vec<Client> =
        (1..=100).map(|number| Client::unconnected(&place.socket(), number)).collect();
    let mut missing = clients.len();
    let since = Instant::now();
    while missing > 0 {
        clients.iter_mut().for_each(|client| client.turn(Duration::ZERO));
        missing = clients.iter().filter(|client| client.standings.is_empty()).count();
        assert!(since.elapsed() < common::PATIENCE, "{missing} have no session");
    }
    let commits = authority.commits() - before;
    assert!(commits < 100, "{commits} commits for 100 sessions");
    drop(daemon);
}

// --- one server after another --------------------------------------------------------------------------------------------

/// Y9: what was held is held, and what was wanted is waited for, with nobody waiting for anybody.
#[test]
fn a_server_that_stops_leaves_its_table_to_the_next() {
    let place = Place::new();
    let (daemon, _) = place.serve();
    let (mut one, mut other) = (Client::new(&place.socket(), 1), Client::new(&place.socket(), 2));
    (0..300).for_each(|number| one.take(range(number), Mode::Write));
    assert!(daemon.stop().has_handed_over);
    assert!(place.handover().exists());
    let (daemon, _) = place.serve();
    assert_eq!(daemon.beginning(), Beginning::TookOver);
    assert!(!place.handover().exists(), "it is good once");
    other.until("the next server", |client| client.standings.len() > 1);
    let since = Instant::now();
    other.take(range(1000), Mode::Write);
    assert!(since.elapsed() < Duration::from_millis(500), "nobody is waited for: {:?}", since.elapsed());
    other.want(range(5), Mode::Write);
    let since = Instant::now();
    while !other.has(range(5), Mode::Write) {
        assert!(since.elapsed() < common::PATIENCE);
        one.go_on(Duration::from_millis(2));
        other.go_on(Duration::from_millis(2));
    }
    assert!(one.lost.is_empty() && !one.has(range(5), Mode::Write));
    assert!(one.has(range(299), Mode::Write));
}

/// K5.
#[test]
fn a_server_that_finds_nothing_handed_over_recovers() {
    let place = Place::new();
    let (daemon, _) = place.serve();
    let (mut one, mut other) = (Client::new(&place.socket(), 1), Client::new(&place.socket(), 2));
    one.take(range(1), Mode::Write);
    daemon.stop();
    std::fs::remove_file(place.handover()).unwrap();
    let (daemon, _) = place.serve();
    assert_eq!(daemon.beginning(), Beginning::Recovering { sessions: 2 });
    one.is_stubborn = true;
    other.want(range(2), Mode::Write);
    other.go_on(Duration::from_millis(500));
    assert!(!other.has(range(2), Mode::Write), "one has not come");
    let since = Instant::now();
    while !other.has(range(2), Mode::Write) {
        assert!(since.elapsed() < common::PATIENCE);
        one.go_on(Duration::from_millis(2));
        other.go_on(Duration::from_millis(2));
    }
    assert!(one.has(range(1), Mode::Write));
    assert_eq!(counters(&daemon).sessions_recovered, 2);
}

/// What is in the file is of no use: each time the server recovers, and the file is gone.
#[test]
fn a_handover_that_is_not_the_last_servers_is_not_used() {
    let place = Place::new();
    let stop = |daemon: Daemon| assert!(daemon.stop().has_handed_over);
    let (daemon, _) = place.serve();
    let mut client = Client::new(&place.socket(), 1);
    client.take(range(1), Mode::Write);
    stop(daemon);
    let good = std::fs::read(place.handover()).unwrap();
    let change = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    // Its checksum, its boot, its time, the table in it, and only a part of it.
    let bad = [change(0), change(20), change(35), change(60), good[..good.len() - 1].to_vec(), vec![]];
    for bytes in bad.into_iter().chain([good]) {
        std::fs::write(place.handover(), &bytes).unwrap();
        let (daemon, _) = place.serve();
        // The good one as well: it is of a term long ago.
        assert_eq!(daemon.beginning(), Beginning::Recovering { sessions: 1 });
        assert!(!place.handover().exists());
        drop(daemon);
    }
}

#[test]
fn a_handover_that_others_could_have_written_is_not_used() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let (daemon, _) = place.serve();
    let _client = Client::new(&place.socket(), 1);
    assert!(daemon.stop().has_handed_over);
    std::fs::set_permissions(place.handover(), std::fs::Permissions::from_mode(0o666)).unwrap();
    let (daemon, _) = place.serve();
    assert_eq!(daemon.beginning(), Beginning::Recovering { sessions: 1 });
}

#[test]
fn a_handover_is_good_for_a_lease_and_no_longer() {
    let place = Place::new();
    let (daemon, _) = place.serve();
    let _client = Client::new(&place.socket(), 1);
    assert!(daemon.stop().has_handed_over);
    std::thread::sleep(quick().lease + Duration::from_millis(50));
    let (daemon, _) = place.serve();
    assert_eq!(daemon.beginning(), Beginning::Recovering { sessions: 1 });
}

/// R2: another leads at the same records.
#[test]
fn a_server_that_was_deposed_stops_and_says_so() {
    let place = Place::new();
    let authority = place.authority();
    let (daemon, _) = place.serve_at(&authority, |_| {});
    let Campaign::Won(_other) = authority.campaign(&Candidate::new("other", "there")).unwrap() else {
        panic!("a leader got from the same authority is deposed in any case");
    };
    // It learns that from its next change.
    let mut late = Client::unconnected(&place.socket(), 1);
    late.go_on(Duration::from_millis(100));
    let stopped = daemon.wait();
    assert!(matches!(stopped.reason, StopReason::Deposed(_)), "{stopped:?}");
    assert!(!stopped.has_handed_over);
}

// --- what others ask -----------------------------------------------------------------------------------------------------

#[test]
fn whoever_asks_a_daemon_that_has_stopped_is_told() {
    let place = Place::new();
    let (daemon, _) = place.serve();
    let handle = daemon.handle();
    assert_eq!(handle.ask(|look| look.server().locks()), Ok(0));
    daemon.stop();
    assert!(handle.ask(|look| look.server().locks()).is_err());
}

/// G-21, R3: what the records say is what the clients were told.
#[test]
fn a_session_is_in_the_records_before_its_client_hears_of_it() {
    let place = Place::new();
    let authority = place.authority();
    let (daemon, _) = place.serve_at(&authority, |_| {});
    let client = Client::new(&place.socket(), 1);
    let records = authority.clients().unwrap();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].state, ClientState::Active);
    assert!(records[0].label.starts_with("user "), "{}", records[0].label);
    client.leave();
    until("no record", || authority.clients().unwrap().is_empty());
    drop(daemon);
}
