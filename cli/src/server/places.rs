//! Where a server listens: for clients, and for questions.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use tidelock_net::TimeoutPlan;
use tidelock_net::transport::{Address, Exposure, ListenError, ListenOptions, Listener, ServerTls, TlsFiles};

use super::args::ServeArgs;
use crate::error::CliError;

/// How long a place may still be taken by a server that has just ended.
const LINGER: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(5);

/// Where a server is to listen.
pub(super) struct Places {
    listen: Vec<Address>,
    admin: PathBuf,
    options: ListenOptions,
    /// Opened by a service manager: they stay open while the server stands by.
    inherited: Vec<Listener>,
}

/// A server that listens.
pub(super) struct Bound {
    pub(super) listeners: Vec<Listener>,
    pub(super) admin: Listener,
}

impl Places {
    /// Before any thread is there: the sockets of a service manager are taken out of the environment.
    pub(super) fn new(args: &ServeArgs, plan: &TimeoutPlan) -> Result<Self, CliError> {
        let exposure = if args.allow_plain { Exposure::TrustedNetwork } else { Exposure::ThisMachine };
        let options =
            ListenOptions { tls: tls(args)?, exposure, silence: plan.silence, mode: args.socket_mode };
        let inherited = Listener::inherited(&options).map_err(|error| CliError::input(advice(&error)))?;
        if inherited.is_empty() && args.listen.is_empty() {
            return Err(CliError::input(
                "--listen: nowhere to listen: give an address, as in --listen 127.0.0.1:7400 or --listen unix:PATH",
            ));
        }
        let admin = args.admin.clone().unwrap_or_else(|| super::ask::beside(&args.state));
        Ok(Self { listen: args.listen.clone(), admin, options, inherited })
    }

    /// Listens everywhere, or nowhere.
    pub(super) fn bind(&self) -> Result<Bound, ListenError> {
        let listeners: Result<Vec<_>, _> =
            self.listen.iter().map(|address| Listener::bind(address, &self.options)).collect();
        let options = ListenOptions { mode: 0o600, ..ListenOptions::default() };
        Ok(Bound {
            listeners: listeners?,
            admin: Listener::bind(&Address::Unix(self.admin.clone()), &options)?,
        })
    }

    /// As [`bind`](Self::bind), for whoever knows that the server before has ended.
    pub(super) fn bind_after(&self) -> Result<Bound, ListenError> {
        let since = Instant::now();
        loop {
            match self.bind() {
                Err(ListenError::InUse { .. }) if since.elapsed() < LINGER => thread::sleep(PAUSE),
                done => return done,
            }
        }
    }

    /// The listeners of a service manager: once.
    pub(super) fn inherited(&mut self) -> Vec<Listener> {
        std::mem::take(&mut self.inherited)
    }

    /// Where clients connect, for people.
    pub(super) fn addresses(&self, bound: Option<&Bound>) -> Vec<String> {
        let of = |listeners: &[Listener]| -> Vec<String> {
            listeners.iter().filter_map(|it| it.local_address().ok()).map(|it| it.to_string()).collect()
        };
        let own = match bound {
            Some(bound) => of(&bound.listeners),
            None => self.listen.iter().map(ToString::to_string).collect(),
        };
        own.into_iter().chain(of(&self.inherited)).collect()
    }
}

fn tls(args: &ServeArgs) -> Result<Option<ServerTls>, CliError> {
    let (Some(chain), Some(key), Some(roots)) = (&args.tls_cert, &args.tls_key, &args.tls_client_ca) else {
        return Ok(None);
    };
    let files = TlsFiles { chain: chain.clone(), key: key.clone(), roots: roots.clone() };
    let tls = ServerTls::from_files(&files);
    tls.map(Some).map_err(|error| CliError::input(format!("--tls-cert, --tls-key, --tls-client-ca: {error}")))
}

/// What to do about it, with the flags.
pub(super) fn advice(error: &ListenError) -> String {
    match error {
        ListenError::Exposed { address } => format!(
            "--listen: {address} can be reached from other machines, and without TLS nobody there proves who it is: \
             give --tls-cert, --tls-key and --tls-client-ca, listen on 127.0.0.1 or [::1], or give --allow-plain"
        ),
        error => format!("--listen, --admin: {error}"),
    }
}
