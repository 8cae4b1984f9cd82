//! A connected socket, or one that is about to be: system calls, and what they mean here.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{
    self, AddressFamily, RecvFlags, SendFlags, Shutdown, SocketAddrUnix, SocketFlags, SocketType, sockopt,
};

use crate::Principal;

/// How sockets are made: no call on them waits, and no child process gets them.
pub(super) const FLAGS: SocketFlags = SocketFlags::NONBLOCK.union(SocketFlags::CLOEXEC);

/// Less than this cannot be told to the system, ...
const SILENCE_MIN: Duration = Duration::from_secs(1);
/// ... and not more either.
const SILENCE_MAX: Duration = Duration::from_secs(32_767);

#[derive(Debug)]
pub(super) struct Socket {
    fd: OwnedFd,
    family: Family,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Unix,
    Tcp,
}

impl Socket {
    /// Connects to a Unix socket: at once, or not at all.
    pub(super) fn connect_unix(path: &Path) -> io::Result<Self> {
        let fd = net::socket_with(AddressFamily::UNIX, SocketType::STREAM, FLAGS, None)?;
        match net::connect(&fd, &SocketAddrUnix::new(path)?) {
            Ok(()) => Ok(Self { fd, family: Family::Unix }),
            Err(Errno::AGAIN) => Err(io::Error::new(
                io::ErrorKind::ConnectionRefused,
                format!("more clients wait at {} than it has room for: try again later", path.display()),
            )),
            Err(error) => Err(error.into()),
        }
    }

    /// Begins to connect: see [`is_connected`](Self::is_connected).
    pub(super) fn connect_tcp(address: SocketAddr, silence: Duration) -> io::Result<Self> {
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let fd = net::socket_with(family, SocketType::STREAM, FLAGS, None)?;
        let socket = Self { fd, family: Family::Tcp };
        socket.notice_silence(silence)?;
        match net::connect(&socket.fd, &address) {
            Ok(()) | Err(Errno::INPROGRESS | Errno::INTR) => Ok(socket),
            Err(error) => Err(error.into()),
        }
    }

    /// One that a listener took in.
    pub(super) fn accepted(fd: OwnedFd, family: Family, silence: Duration) -> io::Result<Self> {
        let socket = Self { fd, family };
        if family == Family::Tcp {
            socket.notice_silence(silence)?;
        }
        Ok(socket)
    }

    pub(super) fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = net::socketpair(AddressFamily::UNIX, SocketType::STREAM, FLAGS, None)?;
        let socket = |fd| Self { fd, family: Family::Unix };
        Ok((socket(one), socket(other)))
    }

    /// Nothing waits to be sent together with more, and a peer that is not there any more is noticed.
    ///
    /// keepalive alone says nothing while there is data that was not acknowledged, the user timeout alone nothing
    /// while there is none.
    fn notice_silence(&self, silence: Duration) -> io::Result<()> {
        let silence = silence.clamp(SILENCE_MIN, SILENCE_MAX);
        sockopt::set_tcp_nodelay(&self.fd, true)?;
        sockopt::set_socket_keepalive(&self.fd, true)?;
        // A half of it idle and two probes of a quarter each: the whole of it, in whole seconds.
        sockopt::set_tcp_keepidle(&self.fd, whole_seconds(silence / 2))?;
        sockopt::set_tcp_keepintvl(&self.fd, whole_seconds(silence / 4))?;
        sockopt::set_tcp_keepcnt(&self.fd, 2)?;
        sockopt::set_tcp_user_timeout(&self.fd, silence.as_millis() as u32)?;
        Ok(())
    }

    /// Whether the connection was made; an error if it cannot be.
    pub(super) fn is_connected(&self) -> io::Result<bool> {
        sockopt::socket_error(&self.fd)??;
        let there = match net::getpeername(&self.fd) {
            Ok(there) => there,
            Err(Errno::NOTCONN) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        // Where nobody listens at a port that the system hands out itself, a socket may come to be connected to itself.
        if self.family == Family::Tcp && there == Some(net::getsockname(&self.fd)?) {
            return Err(Errno::CONNREFUSED.into());
        }
        Ok(true)
    }

    /// Who the socket itself proves to be there.
    pub(super) fn principal(&self) -> io::Result<Principal> {
        match self.family {
            Family::Unix => Ok(Principal::User(sockopt::socket_peercred(&self.fd)?.uid.as_raw())),
            Family::Tcp => Ok(Principal::Anonymous),
        }
    }

    /// Where the other end is, if it has an address.
    pub(super) fn peer_address(&self) -> Option<SocketAddr> {
        SocketAddr::try_from(net::getpeername(&self.fd).ok()??).ok()
    }

    /// Reads what is there: `None` if there is nothing at present, zero if there will be nothing any more.
    pub(super) fn recv(&self, space: &mut [u8]) -> io::Result<Option<usize>> {
        unless_blocked(|| net::recv(&self.fd, &mut *space, RecvFlags::empty()).map(|(count, _)| count))
    }

    /// Writes as much as goes: `None` if nothing does at present.
    pub(super) fn send(&self, bytes: &[u8]) -> io::Result<Option<usize>> {
        // NOSIGNAL: a peer that is gone is an error, and not a signal that ends the process of who embeds us.
        unless_blocked(|| net::send(&self.fd, bytes, SendFlags::NOSIGNAL))
    }

    /// Nothing more will be written: the other end reads the end behind what was.
    pub(super) fn shut_down_writing(&self) -> io::Result<()> {
        Ok(net::shutdown(&self.fd, Shutdown::Write)?)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn whole_seconds(time: Duration) -> Duration {
    Duration::from_secs((time.as_millis() as u64).div_ceil(1000))
}

fn unless_blocked(mut call: impl FnMut() -> Result<usize, Errno>) -> io::Result<Option<usize>> {
    loop {
        match call() {
            Ok(count) => return Ok(Some(count)),
            Err(Errno::AGAIN) => return Ok(None),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
