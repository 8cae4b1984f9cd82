//! What takes a process of its own: sockets that are handed over, and a limit of open files.
//!
//! Each test here runs itself again as a child, by way of a shell that sets the stage.

use std::env;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};

use super::rig::{Kind, Place, until};
use crate::transport::{AcceptError, Address, ConnectOptions, Link, ListenError, ListenOptions, Listener};

/// Set for a child.
const CHILD: &str = "TIDELOCK_TEST_CHILD";

/// Runs `test` again behind `stage`, with `socket` as its standard input; what it says is `false` in a child itself.
fn is_parent_of(test: &str, stage: &str, socket: Option<OwnedFd>) -> bool {
    if env::var_os(CHILD).is_some() {
        return false;
    }
    let status = Command::new("sh")
        .args(["-c", &format!("{stage}; exec \"$0\" \"$@\"")])
        .arg(env::current_exe().expect("a test"))
        .args(["--exact", "--nocapture", &format!("transport::tests::children::{test}")])
        .env(CHILD, "1")
        .stdin(socket.map_or_else(Stdio::null, Stdio::from))
        .status();
    assert!(status.expect("a shell").success(), "the child failed: see above");
    true
}

const HAND_OVER: &str = "exec 3<&0; export LISTEN_FDS=1 LISTEN_PID=$$";

fn inherit() -> Result<Vec<Listener>, ListenError> {
    Listener::inherited(&ListenOptions::default())
}

fn talks(listener: &mut Listener) {
    let address = listener.local_address().unwrap();
    let _client = Link::connect(&address, &ConnectOptions::default(), 1).unwrap();
    until("connection", || listener.accept().unwrap());
    assert!(inherit().unwrap().is_empty(), "they are handed out once");
}

#[test]
fn a_unix_socket_is_handed_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let socket = UnixListener::bind(&path).unwrap();
    if is_parent_of("a_unix_socket_is_handed_over", HAND_OVER, Some(socket.into())) {
        assert!(path.exists(), "its file is whose who made it");
        return;
    }
    talks(&mut inherit().unwrap()[0]);
}

#[test]
fn a_tcp_socket_is_handed_over() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    if !is_parent_of("a_tcp_socket_is_handed_over", HAND_OVER, Some(socket.into())) {
        talks(&mut inherit().unwrap()[0]);
    }
}

/// Who opened it does not matter: whoever can reach it is anybody.
#[test]
fn a_socket_that_is_handed_over_is_not_exposed_unasked_either() {
    let socket = TcpListener::bind("0.0.0.0:0").unwrap();
    let name = "a_socket_that_is_handed_over_is_not_exposed_unasked_either";
    if !is_parent_of(name, HAND_OVER, Some(socket.into())) {
        let error = inherit().unwrap_err();
        assert!(matches!(error, ListenError::Exposed { address: Address::Tcp(_) }), "{error:?}");
    }
}

#[test]
fn something_else_that_is_handed_over_is_refused() {
    if !is_parent_of("something_else_that_is_handed_over_is_refused", HAND_OVER, None) {
        let error = inherit().unwrap_err();
        assert!(matches!(error, ListenError::Inherited { place: 0, .. }), "{error:?}");
    }
}

#[test]
fn what_was_handed_to_another_process_is_not_taken() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let stage = "exec 3<&0; export LISTEN_FDS=1 LISTEN_PID=1";
    if !is_parent_of("what_was_handed_to_another_process_is_not_taken", stage, Some(socket.into())) {
        assert!(inherit().unwrap().is_empty());
    }
}

#[test]
fn a_server_that_has_no_more_files_goes_on_when_it_has() {
    if is_parent_of("a_server_that_has_no_more_files_goes_on_when_it_has", "ulimit -n 40", None) {
        return;
    }
    let mut place = Place::new(Kind::Unix);
    let (mut clients, mut servers) = (Vec::new(), Vec::new());
    let address = place.address();
    // As many as there can be.
    while let Ok(client) = Link::connect(&address, &ConnectOptions::default(), 1) {
        clients.push(client);
    }
    let error = loop {
        match place.listener.accept() {
            Ok(link) => servers.push(link.expect("one waits")),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, AcceptError::Exhausted(_)), "{error:?}");
    clients.pop();
    assert!(place.listener.accept().unwrap().is_some());
}
