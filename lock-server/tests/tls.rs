//! A daemon that takes clients in by their certificates.
#![cfg(feature = "daemon")]

mod common;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use common::client::Client;
use common::{Place, range, until};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tidelock_authority::{Authority, Campaign, Candidate};
use tidelock_lock_proto::Mode;
use tidelock_lock_server::{Daemon, Tally};
use tidelock_net::transport::{
    Address, ClientTls, ConnectOptions, ListenOptions, Listener, ServerTls, TlsFiles,
};

/// Certificates for both sides, in `folder`.
fn files(folder: &Path) -> [TlsFiles; 2] {
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let root = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    ["localhost", "client"].map(|name| {
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
        let write = |what: &str, text: &str| -> PathBuf {
            let path = folder.join(format!("{name}-{what}.pem"));
            fs::write(&path, text).unwrap();
            path
        };
        TlsFiles {
            chain: write("chain", &certificate.pem()),
            key: write("key", &key.serialize_pem()),
            roots: write("roots", &root),
        }
    })
}

struct Secured {
    place: Place,
    daemon: Daemon,
    address: Address,
    connect: ConnectOptions,
}

fn secured() -> Secured {
    let place = Place::new();
    let [server, client] = files(place.folder.path());
    let tls = Some(ServerTls::from_files(&server).unwrap());
    let options = ListenOptions { tls, ..ListenOptions::default() };
    let listener = Listener::bind(&Address::Tcp("127.0.0.1:0".into()), &options).unwrap();
    let address = listener.local_address().unwrap();
    let authority = place.authority();
    let Campaign::Won(leader) = authority.campaign(&Candidate::new("test", "here")).unwrap() else {
        panic!("nobody else is there");
    };
    let options = place.options(&*authority);
    let daemon = Daemon::start(leader, &*authority, vec![listener], options).unwrap();
    let tls = Some(ClientTls::from_files(&client, "localhost").unwrap());
    Secured { place, daemon, address, connect: ConnectOptions { tls, ..ConnectOptions::default() } }
}

fn tally(daemon: &Daemon) -> Tally {
    daemon.handle().ask(|look| *look.tally()).unwrap()
}

/// a client is whom its key makes it.
#[test]
fn clients_with_certificates_take_locks() {
    let Secured { place, daemon, address, connect } = secured();
    let mut one = Client::with(&address, 1, connect.clone());
    let mut other = Client::with(&address, 2, connect);
    (0..50).for_each(|number| one.take(range(number), Mode::Write));
    other.want(range(7), Mode::Read);
    while !other.has(range(7), Mode::Read) {
        one.turn(std::time::Duration::from_millis(1));
        other.turn(std::time::Duration::from_millis(1));
    }
    let records = place.authority().clients().unwrap();
    assert!(records.iter().all(|record| record.label.contains(", key ")), "{records:?}");
    drop(daemon);
}

///
#[test]
fn a_handshake_that_does_not_finish_costs_its_place_for_a_short_while() {
    let Secured { place: _place, daemon, address, connect } = secured();
    let mute: Vec<TcpStream> = (0..100).map(|_| TcpStream::connect(address.to_string()).unwrap()).collect();
    let mut garbage = TcpStream::connect(address.to_string()).unwrap();
    garbage.write_all(&[0xff; 64]).unwrap();
    Client::with(&address, 1, connect).take(range(1), Mode::Write);
    until("all cut off", || tally(&daemon).handshakes_late == 100);
    assert_eq!(tally(&daemon).handshakes_failed, 1);
    let _ = garbage.read(&mut [0; 64]);
    drop(mute);
}
