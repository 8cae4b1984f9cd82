//! `tidelock serve`: a lock server, from the state file to the last connection.
//!
//! Everything that can be wrong is looked at before this server leads, so that a start that fails costs the one that serves
//! nothing. Then it campaigns. Where another server leads, it lets go of its places, stands by, and takes them again when
//! that one has gone.

use std::io::Write;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tidelock_authority::{Authority, Campaign, Candidate, Leader, Leadership, OpenError, SqliteAuthority};
use tidelock_lock_server::admin::AdminServer;
use tidelock_lock_server::{
    Beginning, Daemon, DaemonOptions, Handle, ServerConfig, StopReason, Stopped, wait_to_lead,
};
use tidelock_net::transport::ListenError;

use super::args::ServeArgs;
use super::places::{Bound, Places, advice};
use super::plan;
use crate::error::CliError;

pub(crate) fn run(args: &ServeArgs) -> Result<ExitCode, CliError> {
    let plan = plan::of_lease(args.lease)?;
    let mut places = Places::new(args, &plan)?;
    tell(args.verbose);
    let bound = match places.bind() {
        Ok(bound) => Some(bound),
        // Perhaps by the server that leads.
        Err(ListenError::InUse { .. }) => None,
        Err(error) => return Err(CliError::input(advice(&error))),
    };
    let authority = open(args)?;
    let mut config = ServerConfig::new(authority.service().map_err(CliError::failed)?);
    config.plan = plan;
    let ending = Ending::default();
    ending.on_signal()?;
    let name = args.name.clone().unwrap_or_else(name);
    let candidate = Candidate::new(&name, places.addresses(None).join(", "));
    let Some((leader, bound)) = lead(&places, bound, &authority, &candidate, &ending)? else {
        return Ok(ExitCode::SUCCESS);
    };
    let addresses = places.addresses(Some(&bound));
    let Bound { mut listeners, admin } = bound;
    listeners.append(&mut places.inherited());
    let mut options = DaemonOptions::new(config);
    options.handover = Some(handover(args));
    options.spin_max = Duration::from_micros(args.spin);
    let daemon = Daemon::start(leader, &authority, listeners, options).map_err(CliError::failed)?;
    let admin = AdminServer::start(admin, &daemon, &config, &name, addresses.clone())?;
    let beginning = match daemon.beginning() {
        Beginning::Empty => "nobody has a session".into(),
        Beginning::TookOver => "going on where the last server stopped".into(),
        Beginning::Recovering { sessions } => format!("asking {sessions} sessions what they hold"),
    };
    say(&format!(
        "listening on {} (service {:016x}, term {}, {beginning})",
        addresses.join(", "),
        config.service.0,
        daemon.term()
    ));
    ending.served_by(daemon.handle(), admin);
    let stopped = daemon.wait();
    ending.is_over();
    Ok(farewell(&stopped))
}

fn farewell(stopped: &Stopped) -> ExitCode {
    match &stopped.reason {
        StopReason::Asked if stopped.has_handed_over => {
            say("stopped, and left all that the next server needs")
        }
        StopReason::Asked => say("stopped; the next server asks the clients what they hold"),
        reason => {
            eprintln!("error: the lock server stopped: {reason}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

// --- before it serves ------------------------------------------------------------------------------------------------------

fn open(args: &ServeArgs) -> Result<SqliteAuthority, CliError> {
    let opened = match SqliteAuthority::open(&args.state) {
        Err(OpenError::Missing(_) | OpenError::Empty(_)) if args.create => {
            match SqliteAuthority::create(&args.state) {
                // Another server made it meanwhile.
                Err(OpenError::Exists(path)) => SqliteAuthority::open(path),
                created => created,
            }
        }
        opened => opened,
    };
    opened.map_err(|error| {
        let advice = match error {
            OpenError::Missing(_) | OpenError::Empty(_) => " (--create makes it)",
            _ => "",
        };
        CliError::input(format!("--state: {error}{advice}"))
    })
}

/// Leads and listens; `None` if it was told to end before.
fn lead(
    places: &Places,
    bound: Option<Bound>,
    authority: &SqliteAuthority,
    candidate: &Candidate,
    ending: &Ending,
) -> Result<Option<(Leader, Bound)>, CliError> {
    let campaign = authority.campaign(candidate);
    let leader = match campaign.map_err(|error| CliError::input(format!("--state: {error}")))? {
        Campaign::Won(leader) => leader,
        Campaign::Lost(other) => {
            // Nobody is to wait at a place where nobody is served.
            drop(bound);
            return stand_by(places, authority, candidate, ending, other.as_ref());
        }
    };
    match bound {
        Some(bound) => Ok(Some((leader, bound))),
        None => listen_again(places, leader).map(Some),
    }
}

fn stand_by(
    places: &Places,
    authority: &SqliteAuthority,
    candidate: &Candidate,
    ending: &Ending,
    other: Option<&Leadership>,
) -> Result<Option<(Leader, Bound)>, CliError> {
    let who = other.map_or_else(
        || "another server leads".into(),
        |other| format!("{} leads in term {} at {}", other.name, other.term, other.address),
    );
    say(&format!("standing by: {who}"));
    let leader = wait_to_lead(authority, candidate, ending.is_called_off());
    match leader.map_err(CliError::failed)? {
        Some(leader) => listen_again(places, leader).map(Some),
        None => Ok(None),
    }
}

fn listen_again(places: &Places, leader: Leader) -> Result<(Leader, Bound), CliError> {
    match places.bind_after() {
        Ok(bound) => Ok((leader, bound)),
        Err(error) => {
            // Whoever stands by may have more luck.
            if let Err(error) = leader.resign() {
                tracing::warn!(%error, "this server leads and cannot listen");
            }
            Err(CliError::failed(advice(&error)))
        }
    }
}

/// What one server leaves to the next, beside the records.
fn handover(args: &ServeArgs) -> std::path::PathBuf {
    let mut path = args.state.as_os_str().to_owned();
    path.push(".handover");
    path.into()
}

fn name() -> String {
    let machine = rustix::system::uname();
    format!("{} {}", machine.nodename().to_string_lossy(), std::process::id())
}

// --- what it says ----------------------------------------------------------------------------------------------------------

fn tell(is_verbose: bool) {
    let level = if is_verbose { tracing::Level::DEBUG } else { tracing::Level::WARN };
    tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).with_target(false).init();
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // Whoever does not listen does not have to.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

// --- how it ends -----------------------------------------------------------------------------------------------------------

/// What a signal ends: waiting to lead, or serving.
#[derive(Clone, Default)]
struct Ending(Arc<EndingState>);

#[derive(Default)]
struct EndingState {
    is_called_off: AtomicBool,
    serving: Mutex<Option<(Handle, AdminServer)>>,
}

impl Ending {
    fn on_signal(&self) -> Result<(), CliError> {
        let ending = self.clone();
        ctrlc::set_handler(move || ending.end()).map_err(CliError::failed)
    }

    fn is_called_off(&self) -> &AtomicBool {
        &self.0.is_called_off
    }

    fn served_by(&self, handle: Handle, admin: AdminServer) {
        *self.0.serving.lock().unwrap_or_else(PoisonError::into_inner) = Some((handle, admin));
        // Relaxed: the mutex puts this after a signal that came before, or the signal finds what is served by.
        if self.0.is_called_off.load(Ordering::Relaxed) {
            self.end();
        }
    }

    fn end(&self) {
        // Relaxed: see `served_by`.
        self.0.is_called_off.store(true, Ordering::Relaxed);
        let serving = self.0.serving.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((handle, admin)) = serving {
            // First, so that the next server finds the place free.
            drop(admin);
            handle.stop();
        }
    }

    /// It has stopped, by itself perhaps.
    fn is_over(&self) {
        self.0.serving.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}
