//! Where everything is decided that is not on the fast path: one session, what is held under it, and who waits.
//!
//! The desk is behind one mutex. Whoever has it tells what happened, lets [`settle`](Desk::settle) carry out what follows, and
//! wakes whoever is to be woken after letting go of the mutex. Nothing here waits.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tidelock_format::{Incarnation, KeyRange, Term};
use tidelock_lock_proto::{Change, ENTRIES_MAX, Envelope, Mode, ToClient, ToServer};
use tidelock_net::{ClientSession, Connection, Delivery, Frame, Standing};

use crate::carrier::Carrier;
use crate::counters::Counters;
use crate::front::Front;
use crate::holdings::Refusal;
use crate::seat::{Answer, Seat};
use crate::shared::Shared;
use crate::{Cause, Config, Effect, Holdings, Invalidation, LockError, LockId, Loss, Ticket};

/// Slots that are looked at for one that is idle, each time a lock is taken anew beyond the limit.
const IDLE_PROBES: u32 = 32;

/// Locks that are given back for each that is taken anew beyond the limit. Two, so that a lowered limit is reached.
const GIVEN_BACK_MAX: usize = 2;

/// How far a client's life has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    Open,
    /// The embedder is being told that everything is lost.
    Losing,
    /// No locks are taken any more.
    Closed,
    /// The session is over for good.
    Over,
    /// The server is not ours to talk to.
    Mismatched(Box<str>),
}

/// An invalidation that the embedder has been told of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Invalidating {
    pub(crate) range: KeyRange,
    pub(crate) since: Duration,
    /// When to say that it takes long.
    warn_at: Duration,
}

pub(crate) struct Desk {
    pub(crate) config: Config,
    pub(crate) session: ClientSession,
    pub(crate) holdings: Holdings,
    pub(crate) life: Life,
    /// Whether farewell was said.
    is_leaving: bool,
    pub(crate) counters: Counters,
    pub(crate) carrier: Box<dyn Carrier>,
    /// Locks whose caches are being dropped, and since when.
    pub(crate) invalidating: HashMap<LockId, Invalidating>,
    shared: Weak<Shared>,
    front: Arc<Front>,
    seats: HashMap<Ticket, (Arc<Seat>, Mode)>,
    tickets: u64,
    /// What the server is to be told as soon as there is room.
    backlog: VecDeque<ToServer>,
    envelope: Envelope,
    /// Where the last look for idle locks ended.
    hand: u32,
    /// The greatest place that a lock has had.
    last_place: u32,
    /// What is to be done at this desk.
    effects: VecDeque<Effect>,
    session_effects: VecDeque<tidelock_net::Effect>,
    /// Who is to be told when the mutex is free.
    told: Vec<(Arc<Seat>, Mode, Answer)>,
}

impl Desk {
    pub(crate) fn new(
        config: Config,
        shared: Weak<Shared>,
        front: Arc<Front>,
        mut carrier: Box<dyn Carrier>,
        now: Duration,
    ) -> Self {
        let session = ClientSession::new(config.session, carrier.draw(), now);
        Self {
            config,
            session,
            holdings: Holdings::new(),
            life: Life::Open,
            is_leaving: false,
            counters: Counters::default(),
            carrier,
            invalidating: HashMap::new(),
            shared,
            front,
            seats: HashMap::new(),
            tickets: 0,
            backlog: VecDeque::new(),
            envelope: Envelope::default(),
            hand: 0,
            last_place: 0,
            effects: VecDeque::new(),
            session_effects: VecDeque::new(),
            told: Vec::new(),
        }
    }

    // --- what happens ------------------------------------------------------------------------------------------------

    /// Somebody wants a lock.
    pub(crate) fn want(
        &mut self,
        range: KeyRange,
        mode: Mode,
        seat: &Arc<Seat>,
    ) -> Result<Ticket, LockError> {
        match &self.life {
            Life::Open | Life::Losing => {}
            Life::Closed if cfg!(tidelock_weaken = "closed_unnoticed") => {}
            Life::Closed | Life::Over => return Err(LockError::Closed),
            Life::Mismatched(why) => return Err(LockError::Mismatch(why.clone())),
        }
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.seats.insert(ticket, (seat.clone(), mode));
        self.counters.wants += 1;
        self.hold(|holdings, effects| holdings.want(range, mode, ticket, effects));
        Ok(ticket)
    }

    /// Somebody waits no longer. If it was too late, the seat has an answer.
    pub(crate) fn cancel(&mut self, range: KeyRange, ticket: Ticket) {
        self.counters.wants_cancelled += 1;
        self.seats.remove(&ticket);
        self.hold(|holdings, effects| {
            holdings.cancel(range.start(), ticket, effects);
        });
    }

    /// Somebody was perhaps the last that a lock waited for (J3).
    pub(crate) fn drained(&mut self, id: LockId) {
        if self.front.is_drained(id) {
            self.hold(|holdings, effects| holdings.drained(id, effects));
        }
    }

    pub(crate) fn invalidated(&mut self, id: LockId) {
        if self.invalidating.remove(&id).is_some() {
            self.counters.invalidations_done += 1;
            self.hold(|holdings, effects| holdings.invalidated(id, effects));
        }
    }

    pub(crate) fn connected(&mut self, connection: Connection, now: Duration) {
        self.talk(|session, effects| session.connected(connection, now, effects));
    }

    pub(crate) fn disconnected(&mut self, connection: Connection, now: Duration) {
        self.talk(|session, effects| session.disconnected(connection, now, effects));
    }

    pub(crate) fn heard(&mut self, connection: Connection, frame: &Frame<'_>, now: Duration) {
        self.talk(|session, effects| session.heard(connection, frame, now, effects));
    }

    pub(crate) fn tick(&mut self, now: Duration) {
        self.talk(|session, effects| session.tick(now, effects));
        let pause = self.config.invalidation_slow;
        for invalidating in self.invalidating.values_mut().filter(|it| now >= it.warn_at) {
            let Invalidating { range, since, .. } = *invalidating;
            let seconds = (now - since).as_secs_f64();
            tracing::warn!(%range, seconds, "an invalidation takes long, and others wait for the lock");
            self.counters.invalidations_slow += 1;
            invalidating.warn_at = now + pause;
        }
    }

    /// When to [tick](Self::tick) next.
    pub(crate) fn next_tick(&self) -> Option<Duration> {
        let warn = self.invalidating.values().map(|invalidating| invalidating.warn_at).min();
        [self.session.next_tick(), warn].into_iter().flatten().min()
    }

    /// The embedder knows that everything is lost: a new session is opened, unless no locks are taken any more.
    pub(crate) fn loss_handled(&mut self, now: Duration) {
        if self.life == Life::Losing {
            self.life = Life::Open;
            self.session = ClientSession::new(self.config.session, self.carrier.draw(), now);
            self.tick(now);
        }
    }

    /// No locks are taken any more.
    pub(crate) fn close(&mut self) {
        if matches!(self.life, Life::Open | Life::Losing) {
            self.life = Life::Closed;
        }
        self.hold(|holdings, effects| holdings.close(effects));
    }

    /// Says farewell, and takes no more part in anything. The server gives away what is held as soon as it hears that, which
    /// is before this client hears of it: so nothing may be used from here on.
    pub(crate) fn leave(&mut self) {
        self.is_leaving = true;
        self.close();
        self.talk(ClientSession::leave);
    }

    /// Until when what is held may be used.
    pub(crate) fn lease_ends(&self) -> Option<Duration> {
        self.session.lease().ends().filter(|_| !self.is_leaving)
    }

    /// Ends the session without a word. While a loss is handled there is none to end, and no other is opened then.
    pub(crate) fn abandon(&mut self) {
        if self.life == Life::Losing {
            self.life = Life::Over;
            self.close();
        }
        self.talk(ClientSession::abandon);
    }

    // --- what follows ------------------------------------------------------------------------------------------------

    /// Carries out everything that follows from what happened.
    pub(crate) fn settle(&mut self, now: Duration) {
        loop {
            self.look_at_lease(now);
            // What follows for locks comes first: when the session goes on, nothing is left of what it said before.
            if let Some(effect) = self.effects.pop_front() {
                self.carry_out(effect, now);
            } else if let Some(effect) = self.session_effects.pop_front() {
                self.carry_out_session(effect, now);
            } else if !self.pump() {
                break;
            }
        }
        self.carrier.flush();
        self.carrier.set_timer(self.next_tick());
    }

    /// Nobody is admitted to anything while the lease is over.
    pub(crate) fn look_at_lease(&mut self, now: Duration) {
        let is_valid = self.lease_ends().is_some_and(|ends| now < ends);
        self.hold(|holdings, effects| holdings.suspend(!is_valid, effects));
    }

    /// Guards that there are.
    pub(crate) fn guards(&self) -> u64 {
        let users = |id| {
            let (readers, writers) = self.front.users_of(id);
            readers + writers
        };
        (0..=self.last_place).map(|place| users(LockId(place))).sum()
    }

    /// Who is to be told of what, when the mutex is free.
    pub(crate) fn take_told(&mut self) -> Vec<(Arc<Seat>, Mode, Answer)> {
        std::mem::take(&mut self.told)
    }

    /// Lets the holdings do something, and notes what follows.
    fn hold(&mut self, step: impl FnOnce(&mut Holdings, &mut Vec<Effect>)) {
        let mut effects = Vec::new();
        step(&mut self.holdings, &mut effects);
        self.effects.extend(effects);
    }

    /// Lets the session do something, and notes what follows.
    fn talk(&mut self, step: impl FnOnce(&mut ClientSession, &mut Vec<tidelock_net::Effect>)) {
        let mut effects = Vec::new();
        step(&mut self.session, &mut effects);
        self.session_effects.extend(effects);
    }

    fn carry_out(&mut self, effect: Effect, now: Duration) {
        match effect {
            Effect::Send(message) => self.backlog.push_back(message),
            Effect::Open(open) => {
                self.last_place = self.last_place.max(open.lock.0);
                if self.front.open(&open) {
                    self.give_back_idle();
                }
            }
            Effect::Narrow { lock, to } => {
                self.front.narrow(lock, to);
                self.drained(lock);
            }
            Effect::Invalidate { lock, range, change } => self.invalidate(lock, range, change, false, now),
            Effect::Discard { lock, range, from } => {
                self.invalidate(lock, range, Change { from, to: Mode::Null }, true, now);
            }
            Effect::Uncover(lock) => self.front.uncover(lock),
            Effect::Admit { lock, ticket, mode } => {
                // Who has cancelled is not admitted: `Holdings::cancel` said so, under the same mutex.
                self.front.hand_out(lock, mode);
                self.tell(ticket, Ok(lock));
            }
            Effect::Refuse(ticket, refusal) => self.refuse(ticket, refusal),
            Effect::Void(lock) => {
                self.counters.locks_lost += 1;
                self.front.void(lock);
                self.drained(lock);
            }
            Effect::Forget(lock) => self.front.forget(lock),
        }
    }

    /// Has the embedder drop what it cached.
    fn invalidate(&mut self, lock: LockId, range: KeyRange, change: Change, is_lost: bool, now: Duration) {
        let stamp = self.front.take_stamp(lock);
        self.counters.invalidations += 1;
        let warn_at = now + self.config.invalidation_slow;
        self.invalidating.insert(lock, Invalidating { range, since: now, warn_at });
        let shared = self.shared.clone();
        self.carrier.invalidate(Invalidation { shared, lock, range, change, stamp, since: now, is_lost });
    }

    fn carry_out_session(&mut self, effect: tidelock_net::Effect, now: Duration) {
        use tidelock_net::Effect as Session;
        match effect {
            Session::Connect(connection) => self.carrier.connect(connection),
            Session::Write(connection, bytes) => self.carrier.write(connection, &bytes),
            Session::Close(connection) => self.carrier.close(connection),
            Session::Deliver(delivery, bytes) => self.deliver(delivery, &bytes, now),
            Session::Stands(standing) => self.stands(standing),
            _ => unreachable!("every effect of a session is known here"),
        }
    }

    fn deliver(&mut self, delivery: Delivery, bytes: &[u8], now: Duration) {
        let message = match ToClient::decode(bytes) {
            Ok((envelope, message)) if self.is_ours(&envelope) => {
                self.envelope.barrier = self.envelope.barrier.max(envelope.barrier);
                message
            }
            Ok(_) => {
                // Of another life of ours, or of the server's: the state that it speaks of is gone.
                self.counters.messages_stale += 1;
                return self.talk(|session, effects| session.handled(delivery, now, effects));
            }
            Err(error) => return self.break_off(&error),
        };
        self.counters.count(&message);
        let mut effects = Vec::new();
        match self.holdings.hear(message, &mut effects) {
            Ok(()) => {
                self.effects.extend(effects);
                self.talk(|session, effects| session.handled(delivery, now, effects));
            }
            Err(violation) => self.break_off(&violation),
        }
    }

    fn is_ours(&self, envelope: &Envelope) -> bool {
        (envelope.incarnation, envelope.term) == (self.envelope.incarnation, self.envelope.term)
    }

    /// The server says what it cannot mean. Nothing that it says can be relied on.
    fn break_off(&mut self, why: &(dyn std::error::Error + 'static)) {
        tracing::error!(why, "the lock server does not follow the protocol: the session is given up");
        self.counters.violations += 1;
        self.lose(Cause::Broken);
        self.talk(ClientSession::abandon);
    }

    fn stands(&mut self, standing: Standing) {
        match standing {
            Standing::New { incarnation, term } => {
                self.counters.sessions += 1;
                self.greeted(incarnation, term);
                self.hold(|holdings, effects| holdings.opened(term, effects));
            }
            Standing::Recover { term } => {
                self.counters.recoveries += 1;
                self.greeted(self.session.incarnation(), term);
                self.hold(|holdings, effects| holdings.recovering(term, effects));
            }
            Standing::Resumed => self.counters.resumptions += 1,
            Standing::Cut => self.counters.cuts += 1,
            Standing::Expelled => self.lose(Cause::Expelled),
            Standing::Mismatch(welcome) => self.mismatch(format!("{welcome:?}").into()),
            Standing::Left => self.left(),
            _ => unreachable!("every standing of a session is known here"),
        }
    }

    fn greeted(&mut self, incarnation: Incarnation, term: Term) {
        // What was to be said to another server, or in another life.
        self.backlog.clear();
        self.envelope = Envelope { incarnation, term, ..self.envelope };
    }

    /// The session is over, and everything with it. The embedder is told, and then another is opened.
    fn lose(&mut self, why: Cause) {
        let is_new = self.life == Life::Open;
        // Once for each session: who handles an old loss must not open the next session before a new one is handled.
        if is_new {
            self.life = Life::Losing;
        } else if self.life != Life::Losing {
            self.life = Life::Over;
        }
        self.drop_everything();
        if is_new {
            self.carrier.lose(Loss { shared: self.shared.clone(), why });
        }
    }

    /// There will be no session with this server.
    fn mismatch(&mut self, why: Box<str>) {
        tracing::error!(%why, "the lock server cannot be talked to");
        self.life = Life::Mismatched(why);
        self.drop_everything();
        self.close();
        self.carrier.lose(Loss { shared: self.shared.clone(), why: Cause::Mismatched });
    }

    fn left(&mut self) {
        // A session that is abandoned to be opened anew is not left for good.
        if self.life != Life::Losing {
            self.life = Life::Over;
            self.drop_everything();
            self.close();
        }
    }

    fn drop_everything(&mut self) {
        self.backlog.clear();
        self.counters.losses += u64::from(self.holdings.held() > 0);
        self.hold(Holdings::lose);
    }

    // --- talking -----------------------------------------------------------------------------------------------------

    /// Says what there is to say, as far as there is room. Tells whether there was anything.
    fn pump(&mut self) -> bool {
        let mut has_said = false;
        while self.session.room() > 0 {
            let next = self.backlog.pop_front();
            let next = next.or_else(|| self.holdings.next_part(ENTRIES_MAX).map(ToServer::Snapshot));
            let Some(message) = next else { break };
            let mut bytes = Vec::new();
            message.encode(self.envelope, &mut bytes);
            self.talk(|session, effects| {
                session.send(bytes, effects).expect("there was room for it");
            });
            has_said = true;
        }
        has_said
    }

    // --- idle locks --------------------------------------------------------------------------------------------------

    /// Gives locks back that were not used for a while, if there are too many: a hand goes round, and passes over those that were
    /// used since it came by last. Bounded work for each lock that is taken.
    fn give_back_idle(&mut self) {
        let mut given = 0;
        for _ in 0..IDLE_PROBES {
            let on_their_way = self.invalidating.len() + given;
            if self.holdings.held() <= self.config.idle_locks_max + on_their_way || given == GIVEN_BACK_MAX {
                return;
            }
            self.hand = if self.hand >= self.last_place { 0 } else { self.hand + 1 };
            let id = LockId(self.hand);
            if self.front.take_was_used(id) {
                continue;
            }
            let mut is_given = false;
            self.hold(|holdings, effects| is_given = holdings.give_back(id, effects));
            given += usize::from(is_given);
            self.counters.given_back += u64::from(is_given);
        }
    }

    // --- telling -----------------------------------------------------------------------------------------------------

    fn refuse(&mut self, ticket: Ticket, refusal: Refusal) {
        let error = match refusal {
            Refusal::Overlaps(range) => LockError::Overlaps { range: range.into() },
            Refusal::TooMany => LockError::TooMany,
            Refusal::Closed => match &self.life {
                Life::Mismatched(why) => LockError::Mismatch(why.clone()),
                _ => LockError::Closed,
            },
        };
        self.tell(ticket, Err(error));
    }

    fn tell(&mut self, ticket: Ticket, answer: Answer) {
        match self.seats.remove(&ticket) {
            Some((seat, mode)) => self.told.push((seat, mode, answer)),
            None => unreachable!("H5: who waits has a seat"),
        }
    }
}
