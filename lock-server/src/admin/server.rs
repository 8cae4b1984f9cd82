//! The side that answers: a thread that takes connections in, and one for each of a few connections.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with, sockopt};
use tidelock_format::Fsid;
use tidelock_net::transport::Listener;

use super::answer::Answerer;
use super::report::Answer;
use crate::{Daemon, ServerConfig};

/// Connections at a time.
const CONNECTIONS_MAX: usize = 16;

/// Bytes of a question.
const LINE_BYTES_MAX: u64 = 4096;

/// How long a connection may be silent, or not read its answer.
const SILENCE: Duration = Duration::from_secs(60);

/// How long to leave the socket alone when there are too many files.
const EXHAUSTED: Duration = Duration::from_millis(200);

/// Answers questions about a daemon until it is dropped.
#[derive(Debug)]
pub struct AdminServer {
    /// Closing it ends the thread.
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl AdminServer {
    /// Answers at `listener`, which has to be a Unix socket. `name` and `addresses` are passed on to whoever asks.
    ///
    /// # Errors
    /// If the system refuses a thread, or a file.
    pub fn start(
        listener: Listener,
        daemon: &Daemon,
        config: &ServerConfig,
        name: &str,
        addresses: Vec<String>,
    ) -> io::Result<Self> {
        let Fsid(service) = config.service;
        let answerer = Answerer {
            handle: daemon.handle(),
            name: name.into(),
            addresses,
            service: format!("{service:016x}"),
            lease: config.plan.lease,
            began: daemon.began(),
        };
        let (stop, is_stopped) = UnixStream::pair()?;
        let serve = move || take_in(&listener, &is_stopped, &answerer);
        let thread = thread::Builder::new().name("lock-admin".into()).spawn(serve)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for AdminServer {
    /// The socket is gone afterwards. Whoever is being answered gets the answer.
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // A panic of it was reported by then.
            let _ = thread.join();
        }
    }
}

fn take_in(listener: &Listener, is_stopped: &UnixStream, answerer: &Answerer) {
    let connections = Arc::new(AtomicUsize::new(0));
    loop {
        let mut polled = [PollFd::new(listener, PollFlags::IN), PollFd::new(is_stopped, PollFlags::IN)];
        match poll(&mut polled, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return tracing::error!(%error, "the admin socket cannot be polled"),
        }
        if !polled[1].revents().is_empty() {
            return;
        }
        match accept_with(listener, SocketFlags::CLOEXEC) {
            Ok(socket) => begin(socket, &connections, answerer),
            Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED) => {}
            Err(error) => {
                tracing::warn!(%error, "the admin socket");
                thread::sleep(EXHAUSTED);
            }
        }
    }
}

fn begin(socket: OwnedFd, connections: &Arc<AtomicUsize>, answerer: &Answerer) {
    // Relaxed: a bound on threads, and only this thread adds.
    if connections.load(Ordering::Relaxed) >= CONNECTIONS_MAX || !is_allowed(&socket) {
        return;
    }
    connections.fetch_add(1, Ordering::Relaxed);
    let seat = Seat(Arc::clone(connections));
    let answerer = answerer.clone();
    let serve = move || {
        let _seat = seat;
        // It ends when the other side does, or is silent for long: that concerns nobody.
        let _ = converse(&UnixStream::from(socket), &answerer);
    };
    if let Err(error) = thread::Builder::new().name("lock-admin-talk".into()).spawn(serve) {
        tracing::warn!(%error, "no thread to answer a question");
    }
}

/// One of the connections there may be.
struct Seat(Arc<AtomicUsize>);

impl Drop for Seat {
    fn drop(&mut self) {
        // Relaxed: see `begin`.
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether it is the server's own user, or root.
fn is_allowed(socket: &OwnedFd) -> bool {
    let ours = rustix::process::geteuid();
    sockopt::socket_peercred(socket).is_ok_and(|peer| peer.uid == ours || peer.uid.is_root())
}

fn converse(socket: &UnixStream, answerer: &Answerer) -> io::Result<()> {
    socket.set_read_timeout(Some(SILENCE))?;
    socket.set_write_timeout(Some(SILENCE))?;
    let mut reader = BufReader::new(socket);
    let mut line = Vec::new();
    loop {
        line.clear();
        let count = reader.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
        if count == 0 {
            return Ok(());
        }
        if count as u64 == LINE_BYTES_MAX && !line.ends_with(b"\n") {
            refuse(socket, &mut reader)?;
        } else {
            say(socket, &answerer.answer(&String::from_utf8_lossy(&line)))?;
        }
    }
}

/// Answers a question that is too long, and goes on behind it. Closing here would take the answer from an asker who is
/// still writing: what is left unread resets the connection.
fn refuse(socket: &UnixStream, reader: &mut impl BufRead) -> io::Result<()> {
    let why = format!("a question has at most {LINE_BYTES_MAX} bytes, its end of line included");
    say(socket, &Answer::Error(why))?;
    reader.skip_until(b'\n').map(drop)
}

fn say(mut socket: &UnixStream, answer: &Answer) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    socket.write_all(&line)
}
