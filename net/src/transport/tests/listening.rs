//! Beginning to listen, beside others who do or did.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Barrier;
use std::thread;

use super::certificates::Authority;
use super::rig::{Kind, Place, ends, until};
use crate::transport::{
    Address, ConnectOptions, Exposure, Link, ListenError, ListenOptions, Listener, ServerTls,
};

fn bind(address: &Address) -> Result<Listener, ListenError> {
    Listener::bind(address, &ListenOptions::default())
}

fn is_served(address: &Address) -> bool {
    Link::connect(address, &ConnectOptions::default(), 1).is_ok()
}

/// the server ends its connections first, so they linger on its side, on its port.
#[test]
fn a_server_that_starts_again_binds_at_once() {
    for kind in [Kind::Tcp, Kind::Unix] {
        let (client, server, place) = ends(kind);
        let address = place.as_ref().unwrap().address();
        drop(server);
        drop(client);
        drop(place.map(|place| {
            drop(place.listener);
            place.folder
        }));
        if let Address::Unix(path) = &address {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
        }
        bind(&address).unwrap();
    }
}

#[test]
fn the_file_of_a_dead_server_is_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "it leaves its file behind");
    let address = Address::Unix(path.clone());
    let listener = bind(&address).unwrap();
    assert!(is_served(&address));
    drop(listener);
    assert!(!path.exists(), "ours goes with us");
}

#[test]
fn a_socket_that_somebody_serves_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let address = Address::Unix(folder.path().join("socket"));
    let first = bind(&address).unwrap();
    let error = bind(&address).unwrap_err();
    assert!(matches!(error, ListenError::InUse { .. }), "{error:?}");
    assert!(is_served(&address));
    drop(first);
    let first = bind(&Address::Tcp("127.0.0.1:0".into())).unwrap();
    let error = bind(&first.local_address().unwrap()).unwrap_err();
    assert!(matches!(error, ListenError::InUse { .. }), "{error:?}");
}

#[test]
fn a_file_that_is_no_socket_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("precious");
    fs::write(&path, "data").unwrap();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    for path in [&path, &link] {
        let error = bind(&Address::Unix(path.clone())).unwrap_err();
        assert!(matches!(error, ListenError::NotASocket { .. }), "{error:?}");
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), "data");
}

#[test]
fn a_file_that_is_another_servers_by_now_is_not_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let ours = bind(&Address::Unix(path.clone())).unwrap();
    fs::remove_file(&path).unwrap();
    let theirs = bind(&Address::Unix(path.clone())).unwrap();
    drop(ours);
    assert!(is_served(&Address::Unix(path)));
    drop(theirs);
}

/// Of many who find the same stale file at a time, one takes its place, and keeps it.
#[test]
fn of_servers_that_start_at_a_time_one_listens() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..20 {
        let path = folder.path().join(format!("socket-{round}"));
        drop(UnixListener::bind(&path).unwrap());
        let address = Address::Unix(path);
        let (start, stop) = (Barrier::new(4), Barrier::new(4));
        let compete = || {
            start.wait();
            let listener = bind(&address);
            stop.wait();
            listener.map(|_| ()).map_err(|error| matches!(error, ListenError::InUse { .. }))
        };
        let results: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(compete)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
        assert_eq!(results.iter().filter(|result| **result == Err(true)).count(), 3, "{results:?}");
    }
}

#[test]
fn only_its_own_user_may_connect_unless_others_are_let_in() {
    let mode = |path: &Path| fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let address = Address::Unix(path.clone());
    let listener = bind(&address).unwrap();
    assert_eq!(mode(&path), 0o600);
    drop(listener);
    let _listener = Listener::bind(&address, &ListenOptions { mode: 0o666, ..ListenOptions::default() });
    assert_eq!(mode(&path), 0o666);
}

#[test]
fn a_path_that_cannot_be_is_told_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let long = folder.path().join("x".repeat(120));
    for path in [folder.path().join("none/socket"), long] {
        let error = bind(&Address::Unix(path.clone())).unwrap_err();
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }
}

/// over plain TCP nobody proves anything, so it stays within the machine unless that is asked for.
#[test]
fn plain_tcp_is_not_exposed_unasked() {
    let everywhere = Address::Tcp("0.0.0.0:0".into());
    let error = bind(&everywhere).unwrap_err();
    assert!(matches!(error, ListenError::Exposed { .. }), "{error:?}");
    assert!(error.to_string().contains("Exposure::TrustedNetwork"), "{error}");
    let trusting = ListenOptions { exposure: Exposure::TrustedNetwork, ..ListenOptions::default() };
    Listener::bind(&everywhere, &trusting).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let tls = ServerTls::from_files(&Authority::new().files(folder.path(), "localhost")).unwrap();
    let proving = ListenOptions { tls: Some(tls), ..ListenOptions::default() };
    Listener::bind(&everywhere, &proving).unwrap();
    for loopback in ["127.0.0.1:0", "127.3.2.1:0", "localhost:0"] {
        bind(&Address::Tcp(loopback.into())).unwrap();
    }
}

#[test]
fn connections_that_broke_meanwhile_do_not_end_listening() {
    let mut place = Place::new(Kind::Tcp);
    for _ in 0..3 {
        drop(place.connect());
    }
    let mut last = place.connect();
    let server = until("connection", || {
        let link = place.listener.accept().expect("a sound listener")?;
        (link.peer_address().is_some() && link.is_open()).then_some(link)
    });
    last.flush().unwrap();
    drop(server);
}
