//! Random changes, take-overs and crashes against a model, for both authorities: each call has to come to what the model
//! says, and what can be read afterwards has to be what the model holds.
//!
//! The model is one map of what is known of each client, and says only whether a change is refused, not why; both
//! authorities have to agree on that between them.
#![cfg(feature = "sqlite")]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{client, greeting, lead};
use proptest::prelude::*;
use tidelock_authority::{Authority, AuthorityError, ClientState, Leader, MemAuthority, SqliteAuthority};
use tidelock_format::{FenceEpoch, GraceEpoch, Incarnation, Term};

#[derive(Clone, Debug)]
enum Step {
    Open {
        who: u8,
        operation: u8,
    },
    Leave {
        who: u8,
        back: u8,
    },
    Close {
        who: u8,
        back: u8,
    },
    Expel {
        who: u8,
        back: u8,
    },
    Bury {
        who: u8,
        back: u8,
    },
    Fence {
        who: u8,
        back: u8,
    },
    Reclaimed {
        who: u8,
        back: u8,
    },
    Sweep {
        now_ms: u64,
    },
    BeginGrace,
    EndGrace,
    Resign,
    /// Somebody campaigns, while the last leader believes that it leads.
    TakeOver,
    /// All processes die, and one comes back.
    Crash,
    /// The leader before this one wakes up and tries to open a session.
    Stale {
        who: u8,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let who = 1..4_u8;
    // Which session is meant: mostly the present one, sometimes the one before.
    let back = prop_oneof![5 => Just(0_u8), 1 => Just(1)];
    let pair = (who.clone(), back);
    let step = prop_oneof![
        6 => (who.clone(), 0..6_u8).prop_map(|(who, operation)| Step::Open { who, operation }),
        1 => pair.clone().prop_map(|(who, back)| Step::Leave { who, back }),
        2 => pair.clone().prop_map(|(who, back)| Step::Close { who, back }),
        3 => pair.clone().prop_map(|(who, back)| Step::Expel { who, back }),
        3 => pair.clone().prop_map(|(who, back)| Step::Bury { who, back }),
        3 => pair.clone().prop_map(|(who, back)| Step::Fence { who, back }),
        4 => pair.prop_map(|(who, back)| Step::Reclaimed { who, back }),
        1 => (0..200_u64).prop_map(|now_ms| Step::Sweep { now_ms }),
        3 => Just(Step::BeginGrace),
        3 => Just(Step::EndGrace),
        1 => Just(Step::Resign),
        1 => Just(Step::TakeOver),
        1 => Just(Step::Crash),
        1 => who.prop_map(|who| Step::Stale { who }),
    ];
    prop::collection::vec(step, 1..60)
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Absent,
    Active,
    Leaving,
    Expelled,
}

#[derive(Debug)]
struct Known {
    incarnation: u64,
    fenced_to: u64,
    state: State,
    lists: BTreeSet<u64>,
    operations: BTreeMap<u8, u64>,
    tombstones: BTreeSet<u64>,
}

#[derive(Debug)]
struct Model {
    clients: BTreeMap<u8, Known>,
    term: u64,
    leads: bool,
    current: u64,
    recovering: Option<u64>,
    fence: u64,
}

/// What a call comes to: refused, or a number that tells the outcome.
type Answer = Option<u64>;

/// When a tombstone of this session expires.
fn expires_ms(incarnation: u64) -> u64 {
    incarnation * 20
}

impl Model {
    fn new() -> Self {
        let known = || Known {
            incarnation: 0,
            fenced_to: 0,
            state: State::Absent,
            lists: BTreeSet::new(),
            operations: BTreeMap::new(),
            tombstones: BTreeSet::new(),
        };
        let clients = (1..4).map(|who| (who, known())).collect();
        Self { clients, term: 1, leads: true, current: 1, recovering: None, fence: 0 }
    }

    /// The number of the session that a step means.
    fn meant(&self, who: u8, back: u8) -> u64 {
        self.clients[&who].incarnation.saturating_sub(back.into())
    }

    fn step(&mut self, step: &Step) -> Answer {
        match step {
            Step::TakeOver | Step::Crash => {
                self.term += 1;
                self.leads = true;
                return Some(self.term);
            }
            Step::Stale { .. } => return None,
            _ if !self.leads => return None,
            _ => {}
        }
        match *step {
            Step::Open { who, operation } => self.open(who, operation),
            Step::Leave { who, back } => {
                let known = self.session(who, back)?;
                (known.state != State::Expelled).then(|| known.state = State::Leaving)?;
                Some(0)
            }
            Step::Close { who, back } => match self.session(who, back) {
                Some(known) if known.state == State::Expelled => None,
                Some(known) => {
                    known.state = State::Absent;
                    known.lists.clear();
                    Some(0)
                }
                None => Some(0),
            },
            Step::Expel { who, back } => {
                let known = self.session(who, back)?;
                known.state = State::Expelled;
                known.lists.clear();
                Some(0)
            }
            Step::Bury { who, back } => self.bury(who, back),
            Step::Fence { who, back } => {
                let to = self.meant(who, back);
                let known = self.clients.get_mut(&who).unwrap();
                if to > known.fenced_to {
                    known.fenced_to = to;
                    self.fence += 1;
                }
                Some(self.fence)
            }
            Step::Reclaimed { who, back } => {
                let (current, recovering) = (self.current, self.recovering?);
                let known = self.session(who, back)?;
                known.lists.contains(&recovering).then(|| known.lists.insert(current))?;
                Some(0)
            }
            Step::Sweep { now_ms } => Some(self.sweep(now_ms)),
            Step::BeginGrace => Some(self.begin_grace()),
            Step::EndGrace => self.end_grace(),
            Step::Resign => {
                self.leads = false;
                Some(0)
            }
            Step::TakeOver | Step::Crash | Step::Stale { .. } => unreachable!(),
        }
    }

    /// The client's present session, if it is the one that is meant.
    fn session(&mut self, who: u8, back: u8) -> Option<&mut Known> {
        let meant = self.meant(who, back);
        self.clients.get_mut(&who).filter(|known| known.state != State::Absent && known.incarnation == meant)
    }

    fn open(&mut self, who: u8, operation: u8) -> Answer {
        let known = self.clients.get_mut(&who).unwrap();
        if known.state == State::Expelled {
            return None;
        }
        if let Some(incarnation) = known.operations.get(&operation) {
            let lives = known.state != State::Absent && *incarnation == known.incarnation;
            return (lives && !known.lists.is_empty()).then_some(*incarnation);
        }
        known.incarnation += 1;
        known.operations.insert(operation, known.incarnation);
        known.state = State::Active;
        known.lists = BTreeSet::from([self.current]);
        Some(known.incarnation)
    }

    fn bury(&mut self, who: u8, back: u8) -> Answer {
        let meant = self.meant(who, back);
        if self.clients[&who].tombstones.contains(&meant) {
            return Some(0);
        }
        let known = self.session(who, back)?;
        if known.state != State::Expelled || known.fenced_to < meant {
            return None;
        }
        known.state = State::Absent;
        known.tombstones.insert(meant);
        Some(0)
    }

    fn sweep(&mut self, now_ms: u64) -> u64 {
        let mut swept = 0;
        for known in self.clients.values_mut() {
            let before = known.tombstones.len();
            known.tombstones.retain(|incarnation| expires_ms(*incarnation) > now_ms);
            swept += before - known.tombstones.len();
        }
        swept as u64
    }

    /// How many may reclaim.
    fn begin_grace(&mut self) -> u64 {
        if self.recovering.is_none() {
            self.recovering = Some(self.current);
            self.current += 1;
        }
        let (current, recovering) = (self.current, self.recovering.unwrap());
        for known in self.clients.values_mut() {
            known.lists.remove(&current);
        }
        self.clients.values().filter(|known| known.lists.contains(&recovering)).count() as u64
    }

    fn end_grace(&mut self) -> Answer {
        let Some(recovering) = self.recovering else { return Some(0) };
        let current = self.current;
        let is_settled = |known: &Known| {
            matches!(known.state, State::Absent | State::Expelled) || known.lists.contains(&current)
        };
        if !self.clients.values().all(is_settled) {
            return None;
        }
        for known in self.clients.values_mut() {
            known.lists.remove(&recovering);
        }
        self.recovering = None;
        Some(0)
    }

    fn check(&self, authority: &dyn Authority) {
        let meta = authority.meta().unwrap();
        assert_eq!((meta.term, meta.leader.is_some()), (Term(self.term), self.leads));
        let recovering = self.recovering.map(GraceEpoch);
        assert_eq!((meta.current, meta.recovering), (GraceEpoch(self.current), recovering));
        assert_eq!(meta.fence, FenceEpoch(self.fence));
        for (who, known) in &self.clients {
            let record = authority.client(client((*who).into())).unwrap();
            let Some(record) = record else {
                assert_eq!(known.state, State::Absent, "client {who}");
                continue;
            };
            let state = match record.state {
                ClientState::Active => State::Active,
                ClientState::Leaving => State::Leaving,
                ClientState::Expelled { .. } => State::Expelled,
            };
            assert_eq!((state, record.incarnation.0), (known.state, known.incarnation), "client {who}");
            assert_eq!(record.fenced_to.0, known.fenced_to, "client {who}");
            let lists: BTreeSet<u64> = record.grace.iter().map(|epoch| epoch.0).collect();
            assert_eq!(lists, known.lists, "client {who}");
        }
        let tombstones = self.clients.values().map(|known| known.tombstones.len()).sum();
        assert_eq!(authority.tombstones().unwrap().len(), tombstones);
    }
}

/// An authority with its leader, and a way to crash both.
struct Service<'a> {
    authority: Box<dyn Authority>,
    leader: Option<Leader>,
    stale: Option<Leader>,
    restart: Restart<'a>,
}

/// From what crashed to what comes back.
type Restart<'a> = Box<dyn Fn(Box<dyn Authority>) -> Box<dyn Authority> + 'a>;

impl Service<'_> {
    fn step(&mut self, step: &Step, model: &Model) -> Result<u64, AuthorityError> {
        let leader = self.leader.as_ref().unwrap();
        let meant = |who: u8, back| (client(who.into()), Incarnation(model.meant(who, back)));
        match *step {
            Step::Open { who, operation } => {
                leader.open_session(greeting(who.into(), operation.into())).map(|incarnation| incarnation.0)
            }
            Step::Leave { who, back } => {
                let (client, incarnation) = meant(who, back);
                leader.leave_session(client, incarnation).map(|()| 0)
            }
            Step::Close { who, back } => {
                let (client, incarnation) = meant(who, back);
                leader.close_session(client, incarnation).map(|()| 0)
            }
            Step::Expel { who, back } => {
                let (client, incarnation) = meant(who, back);
                leader.expel(client, incarnation, "late").map(|()| 0)
            }
            Step::Bury { who, back } => {
                let (client, incarnation) = meant(who, back);
                leader.bury(client, incarnation, expires_ms(incarnation.0)).map(|()| 0)
            }
            Step::Fence { who, back } => {
                let (client, to) = meant(who, back);
                leader.raise_fence(client, to).map(|epoch| epoch.0)
            }
            Step::Reclaimed { who, back } => {
                let (client, incarnation) = meant(who, back);
                leader.reclaimed(client, incarnation).map(|()| 0)
            }
            Step::Sweep { now_ms } => leader.sweep_tombstones(now_ms),
            Step::BeginGrace => leader.begin_grace().map(|clients| clients.len() as u64),
            Step::EndGrace => leader.end_grace().map(|()| 0),
            Step::Resign => leader.resign().map(|()| 0),
            Step::TakeOver => {
                let next = lead(&*self.authority);
                self.stale = self.leader.replace(next);
                Ok(self.leader.as_ref().unwrap().term().0)
            }
            Step::Crash => Ok(self.crash()),
            Step::Stale { who } => match &self.stale {
                Some(stale) => stale.open_session(greeting(who.into(), 99)).map(|incarnation| incarnation.0),
                None => Err(AuthorityError::Deposed { by: Term(model.term) }),
            },
        }
    }

    fn crash(&mut self) -> u64 {
        (self.leader, self.stale) = (None, None);
        let dead = std::mem::replace(&mut self.authority, Box::new(MemAuthority::new()));
        self.authority = (self.restart)(dead);
        self.leader.insert(lead(&*self.authority)).term().0
    }
}

fn service<'a>(
    authority: Box<dyn Authority>,
    restart: impl Fn(Box<dyn Authority>) -> Box<dyn Authority> + 'a,
) -> Service<'a> {
    let leader = Some(lead(&*authority));
    Service { authority, leader, stale: None, restart: Box::new(restart) }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn every_authority_does_what_the_model_says(steps in steps()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("authority.db");
        let mut sqlite = service(Box::new(SqliteAuthority::create(&path).unwrap()), |dead| {
            drop(dead);
            Box::new(SqliteAuthority::open(&path).unwrap())
        });
        let store = std::cell::RefCell::new(MemAuthority::new());
        let first = Box::new(store.borrow().clone());
        let mut mem = service(first, |_| {
            let copy = MemAuthority::from_storage(store.borrow().storage());
            *store.borrow_mut() = copy.clone();
            Box::new(copy)
        });
        let mut model = Model::new();
        for step in &steps {
            let answers = (mem.step(step, &model), sqlite.step(step, &model));
            prop_assert_eq!(&answers.0, &answers.1, "{:?}: in memory, in SQLite", step);
            let expected = model.step(step);
            prop_assert_eq!(answers.0.ok(), expected, "{:?}", step);
            model.check(&*mem.authority);
            model.check(&*sqlite.authority);
        }
    }
}
