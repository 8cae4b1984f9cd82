//! What can be asked for on the command line about lock servers.

use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;
use tidelock_net::transport::Address;

use crate::quantity;

const SERVE_EXAMPLES: &str = "\
Examples:
  tidelock serve --state locks.db --create --listen unix:/run/tidelock.sock     a new cluster, on one machine
  tidelock serve --state locks.db --listen [::]:7400 --tls-cert server.pem --tls-key server.key --tls-client-ca ca.pem
  tidelock serve --state locks.db --listen 127.0.0.1:7400 --listen unix:/run/tidelock.sock --verbose

It prints \"listening on\" when clients are served. A second server with the same --state stands by, and takes over within
a moment when the first stops or dies. SIGTERM and SIGINT hand over: the next server that starts within the lease goes on
where this one stopped, and its clients wait for nothing. After a crash it first asks them what they hold.

Under systemd, leave --listen out and let a socket unit open the sockets.

Exit code: 0 when it was told to stop, 1 if it had to, 2 if it could not begin: nothing was touched then.";

#[derive(Debug, clap::Args)]
#[command(after_help = SERVE_EXAMPLES)]
pub(crate) struct ServeArgs {
    /// The file with what has to outlive every server: who leads, who has a session; on a local disk
    #[arg(long, value_name = "FILE")]
    pub(crate) state: PathBuf,

    /// Make the file if it is not there: this is a new cluster
    #[arg(long)]
    pub(crate) create: bool,

    /// Where clients connect: HOST:PORT, or unix:PATH; may be repeated [default: what a service manager handed over]
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Vec<Address>,

    /// The server's certificate, and those that lead to a root of its clients, as PEM: every client needs one, too
    #[arg(long, value_name = "FILE", requires_all = ["tls_key", "tls_client_ca"])]
    pub(crate) tls_cert: Option<PathBuf>,

    /// The certificate's private key, as PEM
    #[arg(long, value_name = "FILE", requires_all = ["tls_cert", "tls_client_ca"])]
    pub(crate) tls_key: Option<PathBuf>,

    /// Who vouches for clients: certificates, as PEM
    #[arg(long, value_name = "FILE", requires_all = ["tls_cert", "tls_key"])]
    pub(crate) tls_client_ca: Option<PathBuf>,

    /// Listen without TLS where other machines can connect: whoever can reach the port can act for any client
    #[arg(long, conflicts_with = "tls_cert")]
    pub(crate) allow_plain: bool,

    /// Who may connect to a Unix socket, as the permission bits of its file
    #[arg(long, value_name = "OCTAL", value_parser = mode, default_value = "600")]
    pub(crate) socket_mode: u32,

    /// What the server is called, for people [default: the machine's name and the process]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,

    /// How long a client may use its locks when it hears nothing from the server, and how long a client that died is waited
    /// for; the other time limits follow from it, and every client has to be given the same
    #[arg(long, value_name = "SECONDS", value_parser = quantity::seconds, default_value = "30", allow_negative_numbers = true)]
    pub(crate) lease: Duration,

    /// Where `tidelock session`, `locks`, `grace` and `top` ask: unix:PATH, or PATH [default: the state file's name and
    /// .admin]
    #[arg(long, value_name = "PATH", value_parser = socket)]
    pub(crate) admin: Option<PathBuf>,

    /// How long the server may look for the next message before it sleeps, in microseconds: it does so while there is traffic and
    /// that makes answers quicker; 0 never, which saves processor time
    #[arg(long, value_name = "US", default_value_t = 200, value_parser = clap::value_parser!(u64).range(..=10_000))]
    pub(crate) spin: u64,

    /// Tell on standard error what goes on, and not only what is wrong
    #[arg(long, short)]
    pub(crate) verbose: bool,
}

/// Which server is asked.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = true)]
pub(crate) struct Target {
    /// The server's state file: its admin socket is beside it
    #[arg(long, value_name = "FILE")]
    pub(crate) state: Option<PathBuf>,

    /// The server's admin socket: unix:PATH, or PATH
    #[arg(long, value_name = "PATH", value_parser = socket)]
    pub(crate) admin: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Session {
    /// List the clients that have a session
    Ls(SessionLsArgs),
    /// Show a client's sessions, what it holds, and who waits for it
    Show(SessionShowArgs),
}

const SESSION_LS_EXAMPLES: &str = "\
Examples:
  tidelock session ls --state locks.db
  tidelock session ls --admin unix:/run/tidelock.admin --json

When no server runs, --state shows what the file knows: who had a session when the last server stopped.

  STANDING    live: in use; unheard, doubted, telling, told: on its way back after a change of servers; leaving: it said
              farewell; expelled, superseded: its lease is waited for; taken back: its locks are given free
  SILENT      since it was heard last; when that gets longer than the lease, the session is expelled";

#[derive(Debug, clap::Args)]
#[command(after_help = SESSION_LS_EXAMPLES)]
pub(crate) struct SessionLsArgs {
    #[command(flatten)]
    pub(crate) target: Target,

    /// How many at the most
    #[arg(long, value_name = "N", default_value_t = LIMIT)]
    pub(crate) limit: NonZero<usize>,

    /// A JSON object instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

const SESSION_SHOW_EXAMPLES: &str = "\
Examples:
  tidelock session show a31f --state locks.db        the clients whose names begin so

Exit code: 0, 1 if there is no such client, 2 if it cannot be looked for.";

#[derive(Debug, clap::Args)]
#[command(after_help = SESSION_SHOW_EXAMPLES)]
pub(crate) struct SessionShowArgs {
    /// The client's name, or its first digits, as `session ls` shows it
    #[arg(value_name = "CLIENT")]
    pub(crate) client: String,

    #[command(flatten)]
    pub(crate) target: Target,

    /// How many locks at the most
    #[arg(long, value_name = "N", default_value_t = LIMIT)]
    pub(crate) limit: NonZero<usize>,

    /// A JSON object instead of tables
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Locks {
    /// List locks, who holds them, and who waits
    Ls(LocksLsArgs),
}

const LOCKS_LS_EXAMPLES: &str = "\
Examples:
  tidelock locks ls --state locks.db --waiting       who waits, for how long, and for whom
  tidelock locks ls --state locks.db --from a0 --limit 20

A lock covers all keys from its first to its last; keys are hexadecimal numbers. A holder that comes down was told to, and
has not answered yet.";

#[derive(Debug, clap::Args)]
#[command(after_help = LOCKS_LS_EXAMPLES)]
pub(crate) struct LocksLsArgs {
    #[command(flatten)]
    pub(crate) target: Target,

    /// Only locks that somebody waits for
    #[arg(long)]
    pub(crate) waiting: bool,

    /// Begin with the lock whose first key this is, or the next one
    #[arg(long, value_name = "KEY", value_parser = key)]
    pub(crate) from: Option<String>,

    /// How many at the most
    #[arg(long, value_name = "N", default_value_t = LIMIT)]
    pub(crate) limit: NonZero<usize>,

    /// A JSON object instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Grace {
    /// Show whether the server still asks the last one's clients what they hold, and whom it waits for
    Status(GraceStatusArgs),
}

const GRACE_STATUS_EXAMPLES: &str = "\
Examples:
  tidelock grace status --state locks.db
  until tidelock grace status --state locks.db >/dev/null; do sleep 1; done

Exit code: 0 when locks are granted, 1 while they are not, 2 if the server cannot be asked.";

#[derive(Debug, clap::Args)]
#[command(after_help = GRACE_STATUS_EXAMPLES)]
pub(crate) struct GraceStatusArgs {
    #[command(flatten)]
    pub(crate) target: Target,

    /// A JSON object instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

const TOP_EXAMPLES: &str = "\
Examples:
  tidelock top --state locks.db                      until q or Ctrl-C
  tidelock top --state locks.db --once
  tidelock top --state locks.db --json | jq .rates   a line each second";

#[derive(Debug, clap::Args)]
#[command(after_help = TOP_EXAMPLES)]
pub(crate) struct TopArgs {
    #[command(flatten)]
    pub(crate) target: Target,

    /// How long between two looks; rates are over this time
    #[arg(long, value_name = "SECONDS", value_parser = quantity::seconds, default_value = "1", allow_negative_numbers = true)]
    pub(crate) interval: Duration,

    /// Look once, print, and end: needs no terminal
    #[arg(long)]
    pub(crate) once: bool,

    /// A JSON object a look, one a line, instead of a screen
    #[arg(long)]
    pub(crate) json: bool,
}

const LIMIT: NonZero<usize> = NonZero::new(1000).expect("more than zero");

fn mode(text: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777);
    mode.ok_or_else(|| "write permission bits in octal, as in 660".into())
}

fn socket(text: &str) -> Result<PathBuf, String> {
    let path = text.strip_prefix("unix:").unwrap_or(text);
    if path.is_empty() { Err("write the path of a Unix socket".into()) } else { Ok(path.into()) }
}

fn key(text: &str) -> Result<String, String> {
    let is_key = tidelock_lock_server::admin::parse_key(text).is_some();
    if is_key { Ok(text.into()) } else { Err("write a key in at most 64 hexadecimal digits".into()) }
}
