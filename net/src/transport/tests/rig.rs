//! Two ends and what connects them.

use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::certificates::Authority;
use crate::transport::{
    Address, ClientTls, ConnectOptions, Heard, Link, LinkError, ListenOptions, Listener, ServerTls,
};
use crate::{FRAME_BYTES_MAX, Frame, Number};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// How two ends may be connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Pair,
    Unix,
    Tcp,
    UnixTls,
    TcpTls,
}

pub(super) const KINDS: [Kind; 5] = [Kind::Pair, Kind::Unix, Kind::Tcp, Kind::UnixTls, Kind::TcpTls];

impl Kind {
    pub(super) fn is_tls(self) -> bool {
        matches!(self, Kind::UnixTls | Kind::TcpTls)
    }

    fn address(self, folder: &TempDir) -> Address {
        match self {
            Kind::Pair | Kind::Unix | Kind::UnixTls => Address::Unix(folder.path().join("socket")),
            Kind::Tcp | Kind::TcpTls => Address::Tcp("127.0.0.1:0".into()),
        }
    }
}

/// A server's place, and what it takes to get there.
pub(super) struct Place {
    pub(super) listener: Listener,
    pub(super) connect: ConnectOptions,
    pub(super) folder: TempDir,
}

impl Place {
    pub(super) fn new(kind: Kind) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut listen, mut connect) = (ListenOptions::default(), ConnectOptions::default());
        if kind.is_tls() {
            let authority = Authority::new();
            let server = authority.files(folder.path(), "localhost");
            let client = authority.files(folder.path(), "client");
            listen.tls = Some(ServerTls::from_files(&server).expect("sound files"));
            connect.tls = Some(ClientTls::from_files(&client, "localhost").expect("sound files"));
        }
        let listener = Listener::bind(&kind.address(&folder), &listen).expect("a free address");
        Self { listener, connect, folder }
    }

    pub(super) fn address(&self) -> Address {
        self.listener.local_address().expect("it listens")
    }

    pub(super) fn connect(&self) -> Link {
        Link::connect(&self.address(), &self.connect, 1).expect("it listens")
    }

    pub(super) fn accept(&mut self) -> Link {
        until("a connection", || self.listener.accept().expect("a sound listener"))
    }
}

/// Two ends, open: the client's and the server's.
pub(super) fn ends(kind: Kind) -> (Link, Link, Option<Place>) {
    if kind == Kind::Pair {
        let (one, other) = Link::pair().expect("two files");
        return (one, other, None);
    }
    let mut place = Place::new(kind);
    let mut client = place.connect();
    let mut server = place.accept();
    until("an open link", || {
        for link in [&mut client, &mut server] {
            link.flush().expect("a sound connection");
        }
        (client.is_open() && server.is_open()).then_some(())
    });
    (client, server, Some(place))
}

/// Waits until it is there.
pub(super) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(since.elapsed() < PATIENCE, "still no {what}");
        thread::sleep(Duration::from_micros(50));
    }
}

/// Reads until the connection ends: the frames before, and the end.
pub(super) fn hear_out(link: &mut Link) -> (Vec<Vec<u8>>, LinkError) {
    let mut frames = Vec::new();
    let end = until("end", || hear(link, &mut frames).err());
    (frames, end)
}

/// Reads once, and takes what became whole.
pub(super) fn hear(link: &mut Link, frames: &mut Vec<Vec<u8>>) -> Result<Heard, LinkError> {
    let heard = link.read()?;
    while let Some(frame) = link.next_frame(FRAME_BYTES_MAX)? {
        frames.push(frame.to_vec());
    }
    Ok(heard)
}

/// Reads until there are so many frames.
pub(super) fn hear_frames(link: &mut Link, count: usize) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    until("frame", || {
        let _ = hear(link, &mut frames).expect("a sound connection");
        (frames.len() >= count).then_some(())
    });
    frames
}

/// A frame with so many bytes in it.
pub(super) fn message(number: u64, len: usize) -> Vec<u8> {
    let content: Vec<u8> = (0..len).map(|place| (place as u64 ^ number) as u8).collect();
    let mut bytes = Vec::new();
    Frame::Message { number: Number(number), done: Number(0), content: &content }.encode(&mut bytes);
    bytes
}
