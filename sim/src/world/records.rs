//! The authority, and what stands between it and a server: time, and faults.

use std::time::Duration;

use tidelock_authority::{
    Authority, AuthorityError, Campaign, Candidate, Change, Leader, MemAuthority, Outcome, Seat,
};
use tidelock_format::Term;
use tidelock_lock_server::{Handover, Records, Ticket};

use super::server::Work;
use super::{Event, NO_TERM, RecordViews, World};
use crate::Fault;
use crate::canary::Canary;
use crate::clock::Time;
use crate::facts::{Fact, RecordView};
use crate::random::Random;

/// Where a server's process may die.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CrashPoint {
    /// A change was handed over and is not made.
    BeforeApply,
    /// It was made, and the server is not told.
    AfterApply,
    /// The server was told, and has not said what follows.
    AfterApplied,
    /// It has said what follows.
    AfterFlush,
    /// It has won a campaign, and not begun the grace.
    AfterCampaign,
    /// It has begun the grace, and serves nobody.
    AfterGrace,
}

impl CrashPoint {
    pub(super) const ALL: [CrashPoint; 6] = [
        CrashPoint::BeforeApply,
        CrashPoint::AfterApply,
        CrashPoint::AfterApplied,
        CrashPoint::AfterFlush,
        CrashPoint::AfterCampaign,
        CrashPoint::AfterGrace,
    ];
}

/// A change on its way to the records.
pub(crate) struct Applying {
    pub(super) server: usize,
    pub(super) life: u64,
    pub(super) ticket: Ticket,
    pub(super) term: Term,
    pub(super) change: Change,
}

/// The authority.
#[derive(Debug)]
pub(super) struct Archive {
    authority: MemAuthority,
    pub(super) views: RecordViews,
    pub(super) newest_term: Term,
    pub(super) refuse_until: Time,
    pub(super) unknown_until: Time,
    pub(super) slow_until: Time,
    /// Where the next server that comes there dies.
    pub(super) armed: Option<CrashPoint>,
    /// What a leader that stopped has left for the next.
    pub(super) handover: Option<Handover>,
    pub(super) random: Random,
}

/// What came of a campaign.
pub(super) enum Begun {
    /// This server leads, and these are the records.
    Leading(Leader, Records),
    /// The same, and here is what the last one left.
    TakingOver(Leader, Records, Handover),
    /// It died on the way.
    Died,
    /// Try again.
    Failed,
}

impl Archive {
    pub(super) fn new(random: Random) -> Self {
        Self {
            authority: MemAuthority::new(),
            views: RecordViews::new(),
            newest_term: NO_TERM,
            refuse_until: Time::ZERO,
            unknown_until: Time::ZERO,
            slow_until: Time::ZERO,
            armed: None,
            handover: None,
            random,
        }
    }

    pub(super) fn heal(&mut self) {
        (self.refuse_until, self.unknown_until, self.slow_until) = (Time::ZERO, Time::ZERO, Time::ZERO);
        self.armed = None;
    }

    /// The server that has said last that it leads.
    pub(super) fn leader(&self) -> Option<usize> {
        self.authority.leadership().ok()??.address.parse().ok()
    }

    fn refresh(&mut self) {
        let records = self.authority.clients().expect("memory can be read");
        let view = |record: &tidelock_authority::ClientRecord| RecordView {
            incarnation: record.incarnation,
            fenced_to: record.fenced_to,
        };
        self.views = records.iter().map(|record| (record.client, view(record))).collect();
    }
}

impl World<'_> {
    /// Whether the server's process dies here.
    pub(super) fn dies_at(&mut self, server: usize, point: CrashPoint) -> bool {
        let is_armed = self.records.armed == Some(point);
        if is_armed {
            self.records.armed = None;
            self.faults.count(Fault::CrashPoint);
            self.log.line(self.now, format_args!("s{server} has come to {point:?}"));
            self.kill_server(server, true);
        }
        is_armed
    }

    /// A server wants a record changed.
    pub(super) fn ask_for_change(&mut self, applying: Applying) {
        if self.dies_at(applying.server, CrashPoint::BeforeApply) {
            return;
        }
        let time = self.records_time();
        self.queue.push(self.now + time, Event::Apply(applying));
    }

    fn records_time(&mut self) -> Duration {
        let is_slow = self.now < self.records.slow_until;
        let most = if is_slow { self.plan.timeouts.lease } else { Duration::from_millis(20) };
        self.records.random.short_time(Duration::from_micros(100), most)
    }

    /// Has the next write fail, perhaps.
    fn spoil(&mut self) {
        if self.now < self.records.refuse_until && self.records.random.permille(400) {
            self.faults.count(Fault::RecordsRefuse);
            self.records.authority.refuse_next_write();
        } else if self.now < self.records.unknown_until && self.records.random.permille(400) {
            self.faults.count(Fault::RecordsUnknown);
            self.records.authority.lose_next_answer();
        }
    }

    pub(super) fn apply(&mut self, applying: Applying) {
        let Applying { server, life, ticket, term, change } = applying;
        // Who asked is dead: the question had left its process, or had not.
        if !self.servers[server].lives(life) && self.records.random.permille(500) {
            return;
        }
        let change = self.tamper_change(change);
        let result = self.make_change(term, &change);
        self.log.line(self.now, format_args!("records: t{term} {change:?}: {result:?}"));
        self.judge(&Fact::Changed { term, change: &change, result: &result });
        if self.servers[server].lives(life) && !self.dies_at(server, CrashPoint::AfterApply) {
            let time = self.records_time();
            self.queue.push(self.now + time, Event::Server(server, life, Work::Applied(ticket, result)));
        }
    }

    fn make_change(&mut self, term: Term, change: &Change) -> Result<Outcome, AuthorityError> {
        self.spoil();
        let mut result = self.records.authority.apply(term, change.clone());
        if self.has(Canary::DeposedWrites) && matches!(result, Err(AuthorityError::Deposed { .. })) {
            result = self.records.authority.apply(self.records.newest_term, change.clone());
        }
        if self.has(Canary::ForgottenClient)
            && *change == Change::EndGrace
            && matches!(result, Err(AuthorityError::StillRecovering { .. }))
        {
            result = Ok(Outcome::Done);
        }
        if let (true, Change::OpenSession(wish), Ok(Outcome::Opened(incarnation))) =
            (self.has(Canary::RecordGone), change, &result)
        {
            let gone = Change::CloseSession { client: wish.client, incarnation: *incarnation };
            let _ = self.records.authority.apply(term, gone);
        }
        self.records.refresh();
        result
    }

    /// A server wants to lead.
    pub(super) fn campaign(&mut self, server: usize) -> Begun {
        self.spoil();
        let candidate = Candidate::new(format!("s{server}"), server.to_string());
        let leader = match self.records.authority.campaign(&candidate) {
            Ok(Campaign::Won(leader)) => leader,
            // Whether it was won or not: it is won anew.
            Ok(Campaign::Lost(_)) | Err(_) => {
                self.note_term();
                return Begun::Failed;
            }
        };
        self.note_term();
        self.counts.terms += 1;
        self.log.line(self.now, format_args!("s{server} leads in term {}", leader.term()));
        if self.dies_at(server, CrashPoint::AfterCampaign) {
            return Begun::Died;
        }
        if let Some(handover) = self.records.handover.take() {
            let records = Records::read(&self.records.authority).expect("memory can be read");
            return Begun::TakingOver(leader, records, handover);
        }
        self.begin_grace(server, leader)
    }

    /// The server that leads has no table, and begins to recover.
    pub(super) fn begin_grace(&mut self, server: usize, leader: Leader) -> Begun {
        self.spoil();
        let begun = leader.begin_grace().and_then(|_| Records::read(&self.records.authority));
        self.records.refresh();
        match begun {
            Ok(_) if self.dies_at(server, CrashPoint::AfterGrace) => Begun::Died,
            Ok(records) => {
                let _ = leader.set_ready();
                Begun::Leading(leader, self.tamper_records(records))
            }
            Err(_) => Begun::Failed,
        }
    }

    fn note_term(&mut self) {
        let meta = self.records.authority.meta().expect("memory can be read");
        self.records.newest_term = meta.term;
    }
}
