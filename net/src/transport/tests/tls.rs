//! Who is refused, and what both sides are told.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use rcgen::KeyPair;
use tempfile::TempDir;

use super::certificates::Authority;
use super::rig::{Kind, Place, hear, hear_out, until};
use crate::Principal;
use crate::transport::{
    Address, ClientTls, ConnectOptions, Link, LinkError, ListenOptions, Listener, ServerTls, TlsError,
    TlsFiles,
};

/// A server, and an authority that it trusts.
struct Scene {
    authority: Authority,
    folder: TempDir,
    listener: Listener,
}

impl Scene {
    fn new() -> Self {
        Self::with_server_name("localhost")
    }

    fn with_server_name(name: &str) -> Self {
        let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
        let tls = ServerTls::from_files(&authority.files(folder.path(), name)).unwrap();
        let options = ListenOptions { tls: Some(tls), ..ListenOptions::default() };
        let listener = Listener::bind(&Address::Tcp("127.0.0.1:0".into()), &options).unwrap();
        Self { authority, folder, listener }
    }

    fn client(&self, name: &str) -> ClientTls {
        ClientTls::from_files(&self.authority.files(self.folder.path(), name), "localhost").unwrap()
    }

    fn connect(&mut self, tls: Option<ClientTls>) -> (Link, Link) {
        let options = ConnectOptions { tls, ..ConnectOptions::default() };
        let client = Link::connect(&self.listener.local_address().unwrap(), &options, 1).unwrap();
        (client, until("connection", || self.listener.accept().unwrap()))
    }

    /// What the client and the server are told.
    fn refused(&mut self, tls: Option<ClientTls>) -> [String; 2] {
        let (mut client, mut server) = self.connect(tls);
        let (mut at_client, mut at_server) = (None, None);
        until("refusal", || {
            for (link, end) in [(&mut client, &mut at_client), (&mut server, &mut at_server)] {
                if end.is_none() {
                    let heard = link.flush().and_then(|_| hear(link, &mut Vec::new()));
                    *end = heard.err().map(|error| error.to_string());
                }
            }
            assert!(!server.is_open());
            (at_client.is_some() && at_server.is_some()).then_some(())
        });
        [at_client, at_server].map(Option::unwrap)
    }

    fn principal(&mut self, tls: ClientTls) -> Principal {
        let (mut client, mut server) = self.connect(Some(tls));
        until("open link", || {
            client.flush().unwrap();
            server.flush().unwrap();
            server.principal()
        })
    }
}

#[test]
fn a_client_without_a_certificate_is_refused() {
    let mut scene = Scene::new();
    let files = scene.authority.files(scene.folder.path(), "client");
    let [client, server] = scene.refused(Some(ClientTls::without_certificate(&files, "localhost").unwrap()));
    assert_eq!(server, "TLS failed: peer sent no certificates");
    assert!(client.contains("CertificateRequired"), "{client}");
}

#[test]
fn a_client_whom_nobody_vouches_for_is_refused() {
    let mut scene = Scene::new();
    let own = Authority::new().files(scene.folder.path(), "stranger");
    // It trusts the server, which does not trust it.
    let files = TlsFiles { roots: scene.authority.files(scene.folder.path(), "client").roots, ..own };
    let [client, server] = scene.refused(Some(ClientTls::from_files(&files, "localhost").unwrap()));
    assert!(server.contains("invalid peer certificate"), "{server}");
    assert!(client.contains("received fatal alert"), "{client}");
}

#[test]
fn a_server_whom_nobody_vouches_for_or_of_another_name_is_refused() {
    let mut scene = Scene::new();
    let files = scene.authority.files(scene.folder.path(), "client");
    let strangers = Authority::new().files(scene.folder.path(), "strangers").roots;
    let files = TlsFiles { roots: strangers, ..files };
    let [client, server] = scene.refused(Some(ClientTls::from_files(&files, "localhost").unwrap()));
    assert!(client.contains("invalid peer certificate"), "{client}");
    assert!(server.contains("received fatal alert"), "{server}");

    let mut scene = Scene::with_server_name("elsewhere");
    let tls = scene.client("client");
    let [client, _] = scene.refused(Some(tls));
    assert!(client.contains("not valid for name \"localhost\""), "{client}");
}

#[test]
fn a_plain_client_at_a_tls_port_is_refused_and_the_other_way_round() {
    let mut scene = Scene::new();
    let (mut client, mut server) = scene.connect(None);
    client.queue(&super::rig::message(1, 100));
    until("write", || (client.flush().unwrap() == crate::transport::Flushed::All).then_some(()));
    let error = until("refusal", || server.read().err());
    assert!(error.to_string().contains("is the other end set up for TLS too?"), "{error}");

    let mut place = Place::new(Kind::Tcp);
    place.connect.tls = Some(scene.client("client"));
    let (mut client, mut server) = (place.connect(), place.accept());
    let error = until("refusal", || {
        client.flush().unwrap();
        hear(&mut server, &mut Vec::new()).err()
    });
    assert!(matches!(error, LinkError::Frame(_)), "{error:?}");
}

/// whatever a stranger sends, the server is told of an error, and the stranger nothing but an alert.
#[test]
fn garbage_instead_of_a_greeting_is_refused() {
    let mut scene = Scene::new();
    let Address::Tcp(address) = scene.listener.local_address().unwrap() else { panic!("it is TCP") };
    let garbage: [&[u8]; 4] =
        [b"GET / HTTP/1.1\r\n\r\n", &[0; 5000], &[0xff; 5000], b"\x16\x03\x01\x00\x05hello"];
    for garbage in garbage {
        let mut stranger = TcpStream::connect(&address).unwrap();
        let mut server = until("connection", || scene.listener.accept().unwrap());
        stranger.write_all(garbage).unwrap();
        let error = until("refusal", || server.read().err());
        assert!(matches!(error, LinkError::Tls(_)), "{error:?}");
        drop(server);
        let mut answer = Vec::new();
        // It may be reset, with bytes of its own unread.
        let _ = stranger.read_to_end(&mut answer);
        assert!(answer.len() < 16, "{answer:?}");
    }
    // One that says nothing and goes.
    drop(TcpStream::connect(&address).unwrap());
    let mut server = until("connection", || scene.listener.accept().unwrap());
    assert!(matches!(hear_out(&mut server), (_, LinkError::Closed { rest: 0 })));
}

/// it is the key that counts. A new certificate for it changes nothing, a certificate of the same name does not help.
#[test]
fn a_client_remains_itself_when_its_certificate_is_renewed() {
    let mut scene = Scene::new();
    let keys = [KeyPair::generate().unwrap(), KeyPair::generate().unwrap()];
    let [first, renewed, other] = [&keys[0], &keys[0], &keys[1]].map(|key| {
        let files = scene.authority.files_for(scene.folder.path(), "client", key);
        let tls = ClientTls::from_files(&files, "localhost").unwrap();
        scene.principal(tls)
    });
    assert_eq!(first, renewed);
    assert_eq!(first.client_id(7), renewed.client_id(7));
    assert_ne!(first, other);
}

fn set_up(files: &TlsFiles) -> String {
    let client = ClientTls::from_files(files, "localhost").expect_err("it cannot be used").to_string();
    let server = ServerTls::from_files(files).expect_err("it cannot be used").to_string();
    assert_eq!(client, server);
    client
}

#[test]
fn what_is_wrong_with_a_file_is_told_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let sound = authority.files(folder.path(), "localhost");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let names = |text: &str, path: &Path| text.contains(path.to_str().unwrap());

    let missing = folder.path().join("missing.pem");
    let empty = file("empty.pem", "");
    let damaged = file("damaged.pem", "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n");
    let nonsense = file("nonsense.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    for (path, what) in [
        (&missing, "cannot read"),
        (&empty, "BEGIN CERTIFICATE"),
        (&damaged, "no sound PEM file"),
        (&nonsense, "cannot be used"),
    ] {
        for files in [
            TlsFiles { chain: path.clone(), ..sound.clone() },
            TlsFiles { roots: path.clone(), ..sound.clone() },
        ] {
            let text = set_up(&files);
            assert!(names(&text, path) && text.contains(what), "{text}");
        }
    }
    let text = set_up(&TlsFiles { key: sound.chain.clone(), ..sound.clone() });
    assert!(names(&text, &sound.chain) && text.contains("BEGIN PRIVATE KEY"), "{text}");
    let other = authority.files(folder.path(), "other");
    let text = set_up(&TlsFiles { key: other.key.clone(), ..sound.clone() });
    assert!(names(&text, &other.key) && names(&text, &sound.chain), "{text}");

    let error = ClientTls::from_files(&sound, "no name").unwrap_err();
    assert!(matches!(error, TlsError::ServerName { .. }));
    assert!(error.to_string().contains("give a DNS name or an IP address"));
    let shown =
        format!("{:?} {:?}", ServerTls::from_files(&sound), ClientTls::from_files(&sound, "a.example"));
    assert!(shown.contains("a.example") && !shown.contains("PrivateKey"), "{shown}");
}
