//! Where connections come in.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use listenfd::ListenFd;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketType, sockopt};

use super::socket::{FLAGS, Family, Socket};
use super::socket_file::{BACKLOG, SocketFile};
use super::tls::Channel;
use super::{AcceptError, Address, Link, ListenError, ServerTls};
use crate::TimeoutPlan;

/// Who may be able to reach a server over plain TCP, where nobody proves who it is
/// ([`Principal::Anonymous`](crate::Principal::Anonymous)): each of them can act for each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Exposure {
    /// Processes of this machine. Another address than a loopback address is refused.
    #[default]
    ThisMachine,
    /// Whoever can reach the address: they all trust each other.
    TrustedNetwork,
}

/// How connections are taken in.
#[derive(Clone, Debug)]
pub struct ListenOptions {
    /// TLS, if clients are to prove who they are by certificates.
    pub tls: Option<ServerTls>,
    /// Who may come without.
    pub exposure: Exposure,
    /// As [`ConnectOptions::silence`](super::ConnectOptions::silence), for the connections that are taken in.
    pub silence: Duration,
    /// Who may connect to a Unix socket, as the permission bits of its file: 0o600, the server's own user, by default.
    pub mode: u32,
}

impl Default for ListenOptions {
    fn default() -> Self {
        let silence = TimeoutPlan::DEFAULT.silence;
        Self { tls: None, exposure: Exposure::default(), silence, mode: 0o600 }
    }
}

/// Takes connections in. A Unix socket's file goes with it.
#[derive(Debug)]
pub struct Listener {
    // Before the socket, so that it is dropped before it: see `SocketFile`.
    _file: Option<SocketFile>,
    socket: OwnedFd,
    family: Family,
    tls: Option<ServerTls>,
    silence: Duration,
}

impl Listener {
    /// Listens at an address. A TCP port that a server has just left is taken at once; the file of a Unix socket is
    /// taken over if nobody serves there any more.
    ///
    /// # Errors
    /// If somebody listens there, the address cannot be had, or it is exposed to more than the options allow.
    pub fn bind(address: &Address, options: &ListenOptions) -> Result<Self, ListenError> {
        match address {
            Address::Unix(path) => {
                let (socket, file) = SocketFile::listen(path, options.mode)?;
                Ok(Self::new(Some(file), socket, Family::Unix, options))
            }
            Address::Tcp(_) => Self::bind_tcp(address, options),
        }
    }

    fn bind_tcp(address: &Address, options: &ListenOptions) -> Result<Self, ListenError> {
        let failed = |what| move |source| ListenError::Io { what, address: address.clone(), source };
        let found = address.resolve().map_err(failed("look up"))?;
        for place in &found {
            check_exposure(*place, options, address)?;
        }
        let mut last = None;
        for place in found {
            match listen_tcp(place) {
                Ok(socket) => return Ok(Self::new(None, socket, Family::Tcp, options)),
                Err(error) => last = Some(error),
            }
        }
        Err(match last {
            Some(error) if error.kind() == io::ErrorKind::AddrInUse => {
                ListenError::InUse { address: address.clone() }
            }
            Some(error) => failed("listen at")(error),
            None => failed("listen at")(io::ErrorKind::NotFound.into()),
        })
    }

    /// The sockets that a service manager opened for this process and told it of by `LISTEN_FDS` and `LISTEN_PID`; none if
    /// it did not. They are handed out once. It changes the environment, so it belongs to the beginning of a program, before
    /// there are threads.
    ///
    /// # Errors
    /// If one of them is no listening stream socket, or is exposed to more than the options allow.
    pub fn inherited(options: &ListenOptions) -> Result<Vec<Self>, ListenError> {
        let mut handed_over = ListenFd::from_env();
        (0..handed_over.len()).map(|place| Self::inherit(&mut handed_over, place, options)).collect()
    }

    fn inherit(from: &mut ListenFd, place: usize, options: &ListenOptions) -> Result<Self, ListenError> {
        let mut take = || -> io::Result<(OwnedFd, Family)> {
            let (socket, family) = match from.take_unix_listener(place) {
                Ok(found) => (found.map(OwnedFd::from), Family::Unix),
                Err(_) => (from.take_tcp_listener(place)?.map(OwnedFd::from), Family::Tcp),
            };
            let socket = socket.ok_or(io::ErrorKind::NotFound)?;
            if !sockopt::socket_acceptconn(&socket)? {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "it does not listen"));
            }
            rustix::io::ioctl_fionbio(&socket, true)?;
            Ok((socket, family))
        };
        let (socket, family) = take().map_err(|source| ListenError::Inherited { place, source })?;
        let listener = Self::new(None, socket, family, options);
        let failed = |source| ListenError::Inherited { place, source };
        if let Some(found) = listener.tcp_address().map_err(failed)? {
            check_exposure(found, options, &Address::Tcp(found.to_string()))?;
        }
        Ok(listener)
    }

    fn new(file: Option<SocketFile>, socket: OwnedFd, family: Family, options: &ListenOptions) -> Self {
        Self { _file: file, socket, family, tls: options.tls.clone(), silence: options.silence }
    }

    /// Where it listens. The port is the real one where 0 was asked for.
    ///
    /// # Errors
    /// If the system does not tell.
    pub fn local_address(&self) -> io::Result<Address> {
        if let Some(found) = self.tcp_address()? {
            return Ok(Address::Tcp(found.to_string()));
        }
        let found = SocketAddrUnix::try_from(net::getsockname(&self.socket)?)?;
        let path = found.path_bytes().ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(Address::Unix(PathBuf::from(std::ffi::OsStr::from_bytes(path))))
    }

    fn tcp_address(&self) -> io::Result<Option<SocketAddr>> {
        match self.family {
            Family::Unix => Ok(None),
            Family::Tcp => Ok(Some(SocketAddr::try_from(net::getsockname(&self.socket)?)?)),
        }
    }

    /// Has connections that come in told under `token`, until it is dropped.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut SourceFd(&self.socket.as_raw_fd()), token, Interest::READABLE)
    }

    /// Takes one connection in; `None` if there is none at present, and an event will tell of the next. After an event it
    /// is to be called until then.
    ///
    /// What comes in is nobody yet: count such links, and drop those that do not open and greet in time.
    ///
    /// # Errors
    /// [`AcceptError::Exhausted`] says that it may succeed later, anything else that it will not.
    pub fn accept(&mut self) -> Result<Option<Link>, AcceptError> {
        loop {
            match net::accept_with(&self.socket, FLAGS) {
                // One that broke already is passed over.
                Ok(socket) => match self.take_in(socket) {
                    Ok(link) => return Ok(Some(link)),
                    Err(_) => continue,
                },
                Err(Errno::AGAIN) => return Ok(None),
                Err(error) if is_of_one_connection(error) => {}
                Err(error @ (Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)) => {
                    return Err(AcceptError::Exhausted(error.into()));
                }
                Err(error) => return Err(AcceptError::Broken(error.into())),
            }
        }
    }

    fn take_in(&self, socket: OwnedFd) -> io::Result<Link> {
        let socket = Socket::accepted(socket, self.family, self.silence)?;
        let tls = self.tls.as_ref().map(Channel::server).transpose()?;
        Link::connected(socket, tls)
    }
}

/// For those who wait in another way than with `mio`.
impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Linux hands errors that a connection has already to whoever takes it in: see accept(2).
fn is_of_one_connection(error: Errno) -> bool {
    let of_one = [
        Errno::INTR,
        Errno::CONNABORTED,
        Errno::PROTO,
        Errno::NOPROTOOPT,
        Errno::OPNOTSUPP,
        Errno::PERM,
        Errno::NETDOWN,
        Errno::NETUNREACH,
        Errno::HOSTDOWN,
        Errno::HOSTUNREACH,
        Errno::NONET,
    ];
    of_one.contains(&error)
}

fn check_exposure(place: SocketAddr, options: &ListenOptions, address: &Address) -> Result<(), ListenError> {
    let is_guarded = options.tls.is_some()
        || options.exposure == Exposure::TrustedNetwork
        || place.ip().to_canonical().is_loopback();
    if is_guarded { Ok(()) } else { Err(ListenError::Exposed { address: address.clone() }) }
}

fn listen_tcp(place: SocketAddr) -> io::Result<OwnedFd> {
    let family = if place.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = net::socket_with(family, SocketType::STREAM, FLAGS, None)?;
    // connections of the last server that linger do not keep the next one from its port.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    net::bind(&socket, &place)?;
    net::listen(&socket, BACKLOG)?;
    Ok(socket)
}
