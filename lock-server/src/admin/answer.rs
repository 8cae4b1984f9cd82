//! Answering: what is asked of the loop, a part at a time.

use std::time::Duration;

use tidelock_format::Key;

use super::Question;
use super::question::LIMIT;
use super::report::{
    About, Answer, CountersReport, GraceReport, LockRow, LocksReport, Report, SessionReport, SessionRow,
    SessionsReport,
};
use super::sift::{Prefix, age, lock_row, parse_key, phase, session_row};
use crate::{Handle, HasStopped, LockEntry, Look};

/// Locks that the loop is shown at a time: a millisecond or so.
const LOCKS_AT_ONCE: usize = 2048;

/// What the server does not know of itself.
#[derive(Clone, Debug)]
pub(super) struct Answerer {
    pub(super) handle: Handle,
    pub(super) name: String,
    pub(super) addresses: Vec<String>,
    pub(super) service: String,
    pub(super) lease: Duration,
    pub(super) began: Duration,
}

impl Answerer {
    /// The answer to a line.
    pub(super) fn answer(&self, line: &str) -> Answer {
        match serde_json::from_str(line) {
            Ok(question) => self.report(question).map_or_else(Answer::Error, Answer::Ok),
            Err(error) => Answer::Error(format!("this is no question: {error}")),
        }
    }

    fn report(&self, question: Question) -> Result<Report, String> {
        let report = match question {
            Question::About {} => self.about().map(Report::About),
            Question::Sessions { limit } => self.sessions(limit.unwrap_or(LIMIT)).map(Report::Sessions),
            Question::Session { client, limit } => {
                let no_name = "client: write the first digits of a client's name, as session ls shows it";
                let prefix = Prefix::parse(&client).ok_or(no_name)?;
                self.session(prefix, limit.unwrap_or(LIMIT)).map(Report::Session)
            }
            Question::Locks { from, waiting, limit, scan } => {
                let no_key = "from: write a key in at most 64 hexadecimal digits";
                let from = from.map_or(Some(Key::MIN), |text| parse_key(&text)).ok_or(no_key)?;
                let is_wanted = move |lock: &LockEntry| !waiting || !lock.waiters.is_empty();
                let bounds = (limit.unwrap_or(LIMIT), scan.unwrap_or(usize::MAX));
                self.locks(from, bounds, is_wanted).map(Report::Locks)
            }
            Question::Grace {} => self.handle.ask(grace).map(Report::Grace),
            Question::Counters {} => self.counters().map(Report::Counters),
        };
        report.map_err(|HasStopped| "the lock server stops".into())
    }

    fn about(&self) -> Result<About, HasStopped> {
        let mut about = self.handle.ask(about)?;
        about.name.clone_from(&self.name);
        about.addresses.clone_from(&self.addresses);
        about.service.clone_from(&self.service);
        about.lease_ms = self.lease.as_millis() as u64;
        about.serving_ms = age(self.began, Duration::from_millis(about.serving_ms));
        Ok(about)
    }

    fn sessions(&self, limit: usize) -> Result<SessionsReport, HasStopped> {
        self.handle.ask(move |look| {
            let mut views = look.server().sessions();
            let sessions = views.by_ref().take(limit).map(|view| session_row(&view, look.now())).collect();
            SessionsReport { sessions, more: views.next().is_some() }
        })
    }

    fn session(&self, prefix: Prefix, limit: usize) -> Result<SessionReport, HasStopped> {
        let sessions: Vec<SessionRow> = self.handle.ask(move |look| {
            let mine = look.server().sessions().filter(|view| prefix.is_of(view.party.client));
            mine.map(|view| session_row(&view, look.now())).collect()
        })?;
        let has_locks = sessions.iter().any(|session| session.locks > 0);
        let limit = if has_locks { limit } else { 0 };
        let is_wanted = move |lock: &LockEntry| {
            lock.holders.iter().any(|holder| prefix.is_of(holder.party.client))
                || lock.waiters.iter().any(|waiter| prefix.is_of(waiter.party.client))
        };
        let found = self.locks(Key::MIN, (limit, usize::MAX), is_wanted)?;
        Ok(SessionReport { sessions, locks: found.locks, more: has_locks && found.more })
    }

    fn locks(
        &self,
        from: Key,
        (limit, scan): (usize, usize),
        is_wanted: impl Fn(&LockEntry) -> bool + Clone + Send + 'static,
    ) -> Result<LocksReport, HasStopped> {
        let (mut rows, mut next, mut seen) = (Vec::new(), Some(from), 0);
        while let Some(from) = next.filter(|_| rows.len() < limit && seen < scan) {
            seen += LOCKS_AT_ONCE;
            let (room, is_wanted) = (limit - rows.len(), is_wanted.clone());
            let (more, then) = self.handle.ask(move |look| some_locks(look, from, room, is_wanted))?;
            rows.extend(more);
            next = then;
        }
        Ok(LocksReport { locks: rows, more: next.is_some() })
    }

    fn counters(&self) -> Result<CountersReport, HasStopped> {
        let (now, server, tally) =
            self.handle.ask(|look| (look.now(), *look.server().counters(), *look.tally()))?;
        let by_name =
            |named: &[(&'static str, u64)]| named.iter().map(|(name, it)| ((*name).into(), *it)).collect();
        Ok(CountersReport {
            serving_ms: age(self.began, now),
            server: by_name(&server.named()),
            connections: by_name(&tally.named()),
        })
    }
}

/// What the machine knows of itself. In place of how long it has served it tells the time.
fn about(look: &Look<'_>) -> About {
    let server = look.server();
    let (connections, strangers) = server.connections();
    About {
        name: String::new(),
        addresses: Vec::new(),
        service: String::new(),
        term: server.term().0,
        barrier: server.barrier().0,
        phase: phase(server.phase()).into(),
        serving_ms: look.now().as_millis() as u64,
        lease_ms: 0,
        sessions: server.sessions().count(),
        locks: server.locks(),
        connections,
        strangers,
        changes_pending: server.changes_pending(),
        tombstones: server.tombstones(),
    }
}

fn grace(look: &Look<'_>) -> GraceReport {
    let (server, now) = (look.server(), look.now());
    let view = server.grace();
    let is_missing = |party| view.missing.iter().any(|missing| missing.party == party);
    let missing = if view.missing.is_empty() {
        Vec::new()
    } else {
        server.sessions().filter(|view| is_missing(view.party)).map(|view| session_row(&view, now)).collect()
    };
    let ends_in = view.deadline.map(|deadline| deadline.saturating_sub(now).as_millis() as u64);
    GraceReport { phase: phase(view.phase).into(), ends_in_ms: ends_in, missing }
}

/// Some of the locks from a key on, and where to go on.
fn some_locks(
    look: &Look<'_>,
    from: Key,
    room: usize,
    is_wanted: impl Fn(&LockEntry) -> bool,
) -> (Vec<LockRow>, Option<Key>) {
    let mut rows = Vec::new();
    for (place, lock) in look.server().locks_from(from).enumerate() {
        if place == LOCKS_AT_ONCE || rows.len() == room {
            return (rows, Some(lock.range.start()));
        }
        if is_wanted(&lock) {
            rows.push(lock_row(&lock, look.now()));
        }
    }
    (rows, None)
}
