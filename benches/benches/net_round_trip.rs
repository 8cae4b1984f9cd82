//! What does a round trip of a small message cost through two links, against bare writes and reads on the same kind of socket?
//!
//! Two threads play at ping-pong, in turns within one run: bare blocking calls; bare calls in event loops; links in event
//! loops; as a client and a server are, a link with a bell against one in an event loop; links with bells. Against the first, the ratio
//! has in it what waiting for events costs; against the second, only what links do.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use tidelock_benches::spread::{Spread, median};
use tidelock_net::transport::{
    Address, Bell, ConnectOptions, Heard, Link, LinkError, ListenOptions, Listener,
};
use tidelock_net::{FRAME_BYTES_MAX, Frame, Number};

/// Bytes of a message about a lock, and what stands before them.
const BYTES: usize = 128;

/// Many short turns: what else the machine does meets all alike.
const REPETITIONS: usize = 81;
const ROUND_TRIPS: u32 = 1000;

const CONTENDERS: [&str; 5] =
    ["bare", "bare, events", "links, events", "links, bell and events", "links, bells"];

/// One end. Whoever waits for the end gets `false`.
trait Player {
    fn send(&mut self);
    fn receive(&mut self) -> bool;
}

/// Blocking calls.
struct Bare<S>(S);

impl<S: Read + Write> Player for Bare<S> {
    fn send(&mut self) {
        self.0.write_all(&[7; BYTES]).expect("a connection");
    }

    fn receive(&mut self) -> bool {
        let mut bytes = [0; BYTES];
        self.0.read_exact(&mut bytes).is_ok()
    }
}

/// Waits for events.
struct Waiting {
    poll: Poll,
    events: Events,
}

impl Waiting {
    fn new() -> Self {
        Self { poll: Poll::new().expect("a poll"), events: Events::with_capacity(8) }
    }

    fn wait(&mut self) {
        // A signal is as good as an event.
        if let Err(error) = self.poll.poll(&mut self.events, None) {
            assert_eq!(error.kind(), ErrorKind::Interrupted);
        }
    }
}

/// Calls that do not block, in an event loop.
struct BareEvents<S> {
    socket: S,
    waiting: Waiting,
}

impl<S: Read + Write + AsRawFd> BareEvents<S> {
    /// The socket does not block.
    fn new(socket: S) -> Self {
        let waiting = Waiting::new();
        let both = Interest::READABLE | Interest::WRITABLE;
        let registry = waiting.poll.registry();
        registry.register(&mut SourceFd(&socket.as_raw_fd()), Token(0), both).expect("a socket");
        Self { socket, waiting }
    }
}

impl<S: Read + Write> Player for BareEvents<S> {
    fn send(&mut self) {
        self.socket.write_all(&[7; BYTES]).expect("a connection");
    }

    fn receive(&mut self) -> bool {
        let mut bytes = [0; 4 * BYTES];
        loop {
            self.waiting.wait();
            match self.socket.read(&mut bytes) {
                Ok(count) => return count == BYTES,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return false,
            }
        }
    }
}

/// Links in an event loop.
struct Linked {
    link: Link,
    waiting: Waiting,
}

impl Linked {
    fn new(mut link: Link) -> Self {
        let waiting = Waiting::new();
        link.register(waiting.poll.registry(), Token(0)).expect("a link");
        Self { link, waiting }
    }

    fn hear(&mut self) -> Result<bool, LinkError> {
        self.waiting.wait();
        for event in &self.waiting.events {
            self.link.ready(event);
        }
        while self.link.read()? == Heard::More {}
        takes_message(&mut self.link)
    }
}

impl Player for Linked {
    fn send(&mut self) {
        say(&mut self.link);
    }

    fn receive(&mut self) -> bool {
        loop {
            match self.hear() {
                Ok(true) => return true,
                Ok(false) => {}
                Err(_) => return false,
            }
        }
    }
}

/// A link that is waited for by a bell.
struct Belled {
    link: Link,
    bell: Bell,
}

impl Belled {
    fn new(link: Link) -> Self {
        Self { link, bell: Bell::new().expect("a file") }
    }

    fn hear(&mut self) -> Result<bool, LinkError> {
        self.bell.wait(Some(&self.link), None)?;
        let heard = self.link.read()?;
        assert_eq!(heard, Heard::All);
        takes_message(&mut self.link)
    }
}

impl Player for Belled {
    fn send(&mut self) {
        say(&mut self.link);
    }

    fn receive(&mut self) -> bool {
        loop {
            match self.hear() {
                Ok(true) => return true,
                Ok(false) => {}
                Err(_) => return false,
            }
        }
    }
}

fn say(link: &mut Link) {
    let content = [7; BYTES - 24];
    link.queue_frame(&Frame::Message { number: Number(1), done: Number(0), content: &content });
    link.flush().expect("a connection");
}

fn takes_message(link: &mut Link) -> Result<bool, LinkError> {
    let mut is_there = false;
    while let Some(bytes) = link.next_frame(FRAME_BYTES_MAX)? {
        is_there |= matches!(Frame::decode(bytes), Ok(Frame::Message { .. }));
    }
    Ok(is_there)
}

/// Who begins; the other one answers in a thread of its own until the connection ends.
fn game(one: impl Player + 'static, mut other: impl Player + Send + 'static) -> Box<dyn Player> {
    thread::spawn(move || {
        while other.receive() {
            other.send();
        }
    });
    Box::new(one)
}

fn time(player: &mut dyn Player, round_trips: u32) -> Duration {
    let since = Instant::now();
    for _ in 0..round_trips {
        player.send();
        assert!(player.receive(), "the other end answers");
    }
    since.elapsed() / round_trips
}

fn unix() -> [Box<dyn Player>; 5] {
    let [bare, events] = [(); 2].map(|()| UnixStream::pair().expect("two sockets"));
    for socket in [&events.0, &events.1] {
        socket.set_nonblocking(true).expect("a socket");
    }
    let [links, belled, both] = [(); 3].map(|()| Link::pair().expect("two sockets"));
    [
        game(Bare(bare.0), Bare(bare.1)),
        game(BareEvents::new(events.0), BareEvents::new(events.1)),
        game(Linked::new(links.0), Linked::new(links.1)),
        game(Belled::new(belled.0), Linked::new(belled.1)),
        game(Belled::new(both.0), Belled::new(both.1)),
    ]
}

fn tcp() -> [Box<dyn Player>; 5] {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let [bare, events] = [(); 2].map(|()| {
        let one = TcpStream::connect(listener.local_addr().expect("a port")).expect("a connection");
        let other = listener.accept().expect("a connection").0;
        for socket in [&one, &other] {
            socket.set_nodelay(true).expect("a socket");
        }
        (one, other)
    });
    for socket in [&events.0, &events.1] {
        socket.set_nonblocking(true).expect("a socket");
    }
    let [links, belled, both] = [(); 3].map(|()| tcp_links());
    [
        game(Bare(bare.0), Bare(bare.1)),
        game(BareEvents::new(events.0), BareEvents::new(events.1)),
        game(Linked::new(links.0), Linked::new(links.1)),
        game(Belled::new(belled.0), Linked::new(belled.1)),
        game(Belled::new(both.0), Belled::new(both.1)),
    ]
}

fn tcp_links() -> (Link, Link) {
    let anywhere = Address::Tcp("127.0.0.1:0".into());
    let mut listener = Listener::bind(&anywhere, &ListenOptions::default()).expect("a port");
    let address = listener.local_address().expect("a port");
    let mut client = Link::connect(&address, &ConnectOptions::default(), 0).expect("a connection");
    loop {
        client.flush().expect("a connection");
        if let Some(server) = listener.accept().expect("a listener") {
            client.flush().expect("a connection");
            return (client, server);
        }
    }
}

fn measure(name: &str, mut players: [Box<dyn Player>; 5], repetitions: usize, round_trips: u32) {
    let mut turns = Vec::new();
    // The first turn warms everything up.
    for repetition in 0..=repetitions {
        let turn = players.each_mut().map(|player| time(&mut **player, round_trips).as_secs_f64());
        turns.extend((repetition > 0).then_some(turn));
    }
    let micros = |which: usize| median(turns.iter().map(|turn| turn[which] * 1e6));
    println!("{name}: {BYTES} bytes there and back; medians of {repetitions} turns of {round_trips}");
    for (place, contender) in CONTENDERS.into_iter().enumerate() {
        let ratio = |peer: usize| Spread::of(turns.iter().map(|turn| turn[place] / turn[peer]));
        let [bare, events] =
            [0, 1].map(ratio).map(|it| format!("{:.2} ({:.2} to {:.2})", it.median, it.min, it.max));
        println!("  {contender:<28} {:>6.1} us   / bare {bare:<24} / bare, events {events}", micros(place));
    }
}

fn main() {
    // As a test, without `--bench`, it only shows that it runs.
    let is_bench = std::env::args().any(|word| word == "--bench");
    let (repetitions, round_trips) = if is_bench { (REPETITIONS, ROUND_TRIPS) } else { (1, 10) };
    measure("unix", unix(), repetitions, round_trips);
    measure("tcp", tcp(), repetitions, round_trips);
}
