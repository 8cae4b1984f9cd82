//! How a daemon begins, and what it does last.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use mio::Poll;
use tidelock_authority::{Authority, AuthorityError, Leader};
use tidelock_net::transport::{Listener, Spin};
use zerocopy::IntoBytes;

use super::driver::{Driver, MAIL};
use super::mailbox::Mailbox;
use super::scribe::Scribe;
use super::{Daemon, DaemonOptions, Handle, Stopped, clock, handover_file};
use crate::{Records, Server, ServerConfig, StopReason};

/// How a daemon began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// Nobody had a session: it grants at once.
    Empty,
    /// It went on where the last server stopped: it grants at once.
    TookOver,
    /// It asks the clients of the last server what they hold, and grants when it knows.
    Recovering {
        /// How many there are.
        sessions: usize,
    },
}

/// Why a daemon cannot start. The leader is gone with it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The records.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The system.
    #[error("the lock server cannot start: {0}")]
    Io(#[from] io::Error),
}

impl Daemon {
    /// Serves at these listeners, as this leader of this authority.
    ///
    /// # Errors
    /// If the records cannot be read or written, or the system refuses a poll or a thread.
    pub fn start(
        leader: Leader,
        authority: &dyn Authority,
        listeners: Vec<Listener>,
        options: DaemonOptions,
    ) -> Result<Self, StartError> {
        let DaemonOptions { server: mut config, bounds, spin_max, handover } = options;
        if config.seeds.is_none() {
            config.seeds = Some(draw_seeds()?);
        }
        let (term, began) = (leader.term(), clock::now());
        let (server, beginning) = begin(&leader, authority, config, handover.as_deref())?;
        let poll = Poll::new()?;
        let mailbox = Arc::new(Mailbox::new(poll.registry(), MAIL)?);
        // they listen by now.
        leader.set_ready()?;
        let scribe = Scribe::start(leader, Arc::clone(&mailbox))?;
        let bounds = (bounds, config.plan.greeting);
        let driver =
            Driver::new(poll, Arc::clone(&mailbox), listeners, server, scribe, bounds, Spin::new(spin_max))?;
        let closing = Closing(Arc::clone(&mailbox));
        let serve = move || {
            let (driver, reason) = driver.run();
            drop(closing);
            end(driver, reason, handover.as_deref())
        };
        let thread = thread::Builder::new().name("lock-server".into()).spawn(serve)?;
        Ok(Self { handle: Handle { mailbox }, term, began, beginning, thread: Some(thread) })
    }
}

/// Seeds that no client knows.
fn draw_seeds() -> io::Result<[u64; 4]> {
    let mut seeds = [0; 4];
    getrandom::fill(seeds.as_mut_bytes())?;
    Ok(seeds)
}

/// Closes the mailbox, also when the loop panics: nobody is to wait for an answer then.
struct Closing(Arc<Mailbox>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// The server, from what was handed over to it if there is such a thing, or else as after a crash.
fn begin(
    leader: &Leader,
    authority: &dyn Authority,
    config: ServerConfig,
    handover: Option<&Path>,
) -> Result<(Server, Beginning), AuthorityError> {
    let now = clock::now();
    if let Some(path) = handover
        && let Some(server) = take_over(leader, authority, config, path)?
    {
        return Ok((server, Beginning::TookOver));
    }
    leader.begin_grace()?;
    let records = Records::read(authority)?;
    let beginning = match records.clients.len() {
        0 => Beginning::Empty,
        sessions => Beginning::Recovering { sessions },
    };
    Ok((Server::new(config, leader.term(), records, now), beginning))
}

fn take_over(
    leader: &Leader,
    authority: &dyn Authority,
    config: ServerConfig,
    path: &Path,
) -> Result<Option<Server>, AuthorityError> {
    let path_shown = path.display();
    let now = clock::now();
    let handover = match handover_file::take(path, now, config.plan.lease) {
        Ok(None) => return Ok(None),
        Ok(Some(handover)) => handover,
        Err(error) => {
            tracing::warn!(path = %path_shown, %error, "what the last server left is not used");
            return Ok(None);
        }
    };
    match Server::taking_over(config, leader.term(), Records::read(authority)?, &handover, now) {
        Ok(server) => Ok(Some(server)),
        Err(error) => {
            tracing::warn!(path = %path_shown, %error, "what the last server left is not used");
            Ok(None)
        }
    }
}

/// What the next server needs is there before it can lead; and it can lead before clients lose their connections and seek it,
/// for who seeks in vain seeks less often. Nothing is said to them any more (Y10).
fn end(driver: Driver, reason: StopReason, handover: Option<&Path>) -> Stopped {
    let is_asked = reason == StopReason::Asked;
    let has_handed_over = is_asked && handover.is_some_and(|path| leave(&driver.server, path));
    let Driver { server, scribe, lines, .. } = driver;
    // Where there is nothing to find, nobody is kept waiting for the records.
    let lines = has_handed_over.then_some(lines);
    let leader = scribe.finish();
    if is_asked && let Err(error) = leader.resign() {
        tracing::warn!(%error, "the lock server could not say that it leads no longer");
    }
    drop(lines);
    // Last, for everybody waits, and it is large.
    drop(server);
    Stopped { reason, has_handed_over }
}

/// Leaves what the next server needs. Whether that came about.
fn leave(server: &Server, path: &Path) -> bool {
    let Some(handover) = server.hand_over() else { return false };
    let written = handover_file::write(path, &handover, clock::now());
    if let Err(error) = &written {
        tracing::warn!(path = %path.display(), %error, "the next server has to recover");
    }
    written.is_ok()
}
