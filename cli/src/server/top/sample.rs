//! One look at a server, and how fast its counters rise.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::Serialize;
use tidelock_lock_server::admin::{
    About, AdminClient, CountersReport, LockRow, LocksReport, Question, Report, SessionRow,
};

use crate::error::CliError;
use crate::server::args::Target;
use crate::server::ask::unexpected;

/// Sessions that are asked for, and of those the ones that are shown.
const SESSIONS_ASKED: usize = 1000;
const SESSIONS_SHOWN: usize = 20;

/// Locks that are looked at for waiters each time: a server with many more has better things to do.
const LOCKS_LOOKED_AT: usize = 1 << 16;
const LOCKS_SHOWN: usize = 20;

/// What the server is at.
#[derive(Debug, Serialize)]
pub(super) struct Sample {
    pub(super) server: About,
    /// Events a second since the last look, by counter.
    pub(super) rates: BTreeMap<String, f64>,
    /// Those with the most locks.
    pub(super) sessions: Vec<SessionRow>,
    /// Those that somebody waits for, longest wait first.
    pub(super) waiting: Vec<LockRow>,
    /// Whether not all locks were looked at.
    pub(super) waiting_more: bool,
}

/// Looks at a server again and again.
pub(super) struct Sampler<'a> {
    target: &'a Target,
    server: AdminClient,
    before: CountersReport,
}

impl<'a> Sampler<'a> {
    pub(super) fn begin(target: &'a Target) -> Result<Self, CliError> {
        let mut server = target.connect()?;
        let before = counters(ask(target, &mut server, &Question::Counters {})?)?;
        Ok(Self { target, server, before })
    }

    pub(super) fn sample(&mut self) -> Result<Sample, CliError> {
        let Report::About(server) = self.ask(&Question::About {})? else { return Err(unexpected()) };
        let now = counters(self.ask(&Question::Counters {})?)?;
        let rates = rates(&self.before, &now);
        self.before = now;
        let LocksReport { mut locks, more } = self.waiting()?;
        locks.sort_by_key(|lock| Reverse(lock.waiters.first().map(|waiter| waiter.age_ms)));
        locks.truncate(LOCKS_SHOWN);
        Ok(Sample { server, rates, sessions: self.sessions()?, waiting: locks, waiting_more: more })
    }

    fn sessions(&mut self) -> Result<Vec<SessionRow>, CliError> {
        let question = Question::Sessions { limit: Some(SESSIONS_ASKED) };
        let Report::Sessions(mut report) = self.ask(&question)? else { return Err(unexpected()) };
        report.sessions.sort_by_key(|session| Reverse(session.locks));
        report.sessions.truncate(SESSIONS_SHOWN);
        Ok(report.sessions)
    }

    fn waiting(&mut self) -> Result<LocksReport, CliError> {
        let question =
            Question::Locks { from: None, waiting: true, limit: Some(1000), scan: Some(LOCKS_LOOKED_AT) };
        let Report::Locks(report) = self.ask(&question)? else { return Err(unexpected()) };
        Ok(report)
    }

    fn ask(&mut self, question: &Question) -> Result<Report, CliError> {
        ask(self.target, &mut self.server, question)
    }
}

fn ask(target: &Target, server: &mut AdminClient, question: &Question) -> Result<Report, CliError> {
    server.ask(question).map_err(|error| target.failed(&error))
}

fn counters(report: Report) -> Result<CountersReport, CliError> {
    let Report::Counters(counters) = report else { return Err(unexpected()) };
    Ok(counters)
}

fn rates(before: &CountersReport, now: &CountersReport) -> BTreeMap<String, f64> {
    let seconds = now.serving_ms.saturating_sub(before.serving_ms).max(1) as f64 / 1000.0;
    let of = |before: &BTreeMap<String, u64>, now: &BTreeMap<String, u64>| -> Vec<(String, f64)> {
        let rise = |(name, count): (&String, &u64)| {
            let rise = count.saturating_sub(before.get(name).copied().unwrap_or_default());
            (name.clone(), rise as f64 / seconds)
        };
        now.iter().map(rise).collect()
    };
    let server = of(&before.server, &now.server);
    server.into_iter().chain(of(&before.connections, &now.connections)).collect()
}
