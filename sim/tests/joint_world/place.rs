//! One client: its machine, what the fast path would know of the lock, its users, and what is on its way.

use std::collections::VecDeque;

use tidelock_format::Term;
use tidelock_lock_client::{Effect, Holdings, LockId, Ticket};
use tidelock_lock_proto::{Mode, ToClient, ToServer};

use super::{Event, RANGE};

/// What goes to a server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Up {
    Say(ToServer),
    Farewell,
}

/// One client.
#[derive(Clone, Hash)]
pub(crate) struct Place {
    holdings: Holdings,
    /// As what the lock may be used, where it may be used.
    open: Option<Mode>,
    is_draining: bool,
    readers: u8,
    writers: u8,
    /// Who waits, first come first.
    waiting: Vec<(Ticket, Mode)>,
    tickets: u64,
    /// To what the lock comes down, while caches are being dropped.
    invalidating: Option<Mode>,
    is_cached: bool,
    whims: u8,
    pub(crate) is_alive: bool,
    pub(crate) is_closed: bool,
    pub(crate) has_left: bool,
    pub(crate) has_record: bool,
    /// The present server does not know what it holds.
    pub(crate) is_missing: bool,
    /// It has not found the present server yet: what it says is lost.
    is_lost: bool,
    pub(crate) to_server: VecDeque<Up>,
    pub(crate) to_client: VecDeque<ToClient>,
}

impl Place {
    pub(crate) fn new(whims: u8, term: Term) -> Self {
        let mut place = Self {
            holdings: Holdings::new(),
            open: None,
            is_draining: false,
            readers: 0,
            writers: 0,
            waiting: Vec::new(),
            tickets: 0,
            invalidating: None,
            is_cached: false,
            whims,
            is_alive: true,
            is_closed: false,
            has_left: false,
            has_record: true,
            is_missing: false,
            is_lost: false,
            to_server: VecDeque::new(),
            to_client: VecDeque::new(),
        };
        place.machine(|holdings, effects| holdings.opened(term, effects));
        place
    }

    /// What may happen here next.
    pub(crate) fn events(&self, i: usize, events: &mut Vec<Event>) {
        events.extend((!self.to_server.is_empty()).then_some(Event::HearClient(i)));
        if !self.is_alive {
            return events.extend(self.is_to_be_departed().then_some(Event::Depart(i)));
        }
        events.extend((!self.to_client.is_empty()).then_some(Event::HearServer(i)));
        events.extend(self.is_lost.then_some(Event::Recover(i)));
        events.extend((self.readers > 0).then_some(Event::LetGo(i, Mode::Read)));
        events.extend((self.writers > 0).then_some(Event::LetGo(i, Mode::Write)));
        events.extend((!self.waiting.is_empty()).then_some(Event::Cancel(i)));
        events.extend(self.invalidating.is_some().then_some(Event::Invalidated(i)));
        if self.is_closed {
            return events.extend((!self.has_left && !self.is_used()).then_some(Event::Farewell(i)));
        }
        if self.whims > 0 {
            events.extend([Mode::Read, Mode::Write, Mode::WriteOnly].map(|mode| Event::Take(i, mode)));
            events.extend(self.is_used().then_some(Event::Again(i)));
            events.extend((self.open.is_some() && !self.is_used()).then_some(Event::GiveBack(i)));
        }
    }

    fn is_used(&self) -> bool {
        self.readers + self.writers > 0
    }

    fn is_to_be_departed(&self) -> bool {
        self.has_record && self.to_server.is_empty()
    }

    // --- users ----------------------------------------------------------------------------------------------------------

    pub(crate) fn take(&mut self, mode: Mode) {
        self.whims -= 1;
        if self.open.is_some_and(|open| open.satisfies(mode)) {
            return self.enter(mode);
        }
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.waiting.push((ticket, mode));
        self.machine(|holdings, effects| holdings.want(RANGE, mode, ticket, effects));
    }

    fn enter(&mut self, mode: Mode) {
        match mode {
            Mode::Read => self.readers += 1,
            _ => self.writers += 1,
        }
        let reads = self.open.is_some_and(Mode::may_read);
        self.is_cached |= reads && !self.is_closed;
    }

    /// Beside a use that there is: whatever the lock is coming down to.
    pub(crate) fn again(&mut self) {
        self.whims -= 1;
        if self.readers > 0 {
            self.readers += 1;
        } else {
            self.writers += 1;
        }
    }

    pub(crate) fn let_go(&mut self, mode: Mode) {
        match mode {
            Mode::Read => self.readers -= 1,
            _ => self.writers -= 1,
        }
        self.report_if_drained();
    }

    fn in_the_way(&self) -> u8 {
        match self.open {
            None | Some(Mode::Null) => self.readers + self.writers,
            Some(Mode::Read) => self.writers,
            Some(Mode::Write | Mode::WriteOnly) => 0,
        }
    }

    fn report_if_drained(&mut self) {
        if self.is_draining && self.in_the_way() == 0 {
            let lock = self.lock();
            self.machine(|holdings, effects| holdings.drained(lock, effects));
        }
    }

    fn lock(&self) -> LockId {
        self.holdings.locks().next().expect("it is there").lock
    }

    pub(crate) fn cancel(&mut self) {
        let (ticket, _) = self.waiting.remove(0);
        let mut has_waited = false;
        self.machine(|holdings, effects| {
            has_waited = holdings.cancel(RANGE.start(), ticket, effects);
        });
        assert!(has_waited, "Z-9: who waits here waits there");
    }

    // --- the embedder ---------------------------------------------------------------------------------------------------

    pub(crate) fn give_back(&mut self) {
        self.whims -= 1;
        let lock = self.lock();
        self.machine(|holdings, effects| _ = holdings.give_back(lock, effects));
    }

    pub(crate) fn invalidated(&mut self) {
        let to = self.invalidating.take().expect("it is under way");
        self.is_cached &= to.may_read();
        let lock = self.lock();
        self.machine(|holdings, effects| holdings.invalidated(lock, effects));
    }

    pub(crate) fn close(&mut self) {
        self.is_closed = true;
        // Who closes has dropped its caches.
        self.is_cached = false;
        self.machine(|holdings, effects| holdings.close(effects));
        assert!(self.waiting.is_empty(), "Z-9: who waits is refused");
    }

    pub(crate) fn say_farewell(&mut self) {
        self.has_left = true;
        self.to_client.clear();
        if !self.is_lost {
            self.to_server.push_back(Up::Farewell);
        }
    }

    // --- the server -----------------------------------------------------------------------------------------------------

    pub(crate) fn hear(&mut self) {
        let message = self.to_client.pop_front().expect("something is on its way");
        self.machine(|holdings, effects| {
            holdings.hear(message, effects).expect("Z-15: the server follows the protocol");
        });
    }

    pub(crate) fn die(&mut self) {
        self.is_alive = false;
        self.to_client.clear();
        (self.readers, self.writers, self.is_draining, self.open) = (0, 0, false, None);
        (self.is_cached, self.invalidating) = (false, None);
        self.waiting.clear();
    }

    pub(crate) fn lose_server(&mut self) {
        self.to_server.clear();
        self.to_client.clear();
        self.is_missing = self.has_record;
        self.is_lost = self.is_alive && self.has_record;
    }

    pub(crate) fn recover(&mut self, term: Term) {
        self.is_lost = false;
        if self.has_left {
            return self.to_server.push_back(Up::Farewell);
        }
        self.machine(|holdings, effects| holdings.recovering(term, effects));
        while let Some(part) = self.holdings.next_part(16) {
            self.to_server.push_back(Up::Say(ToServer::Snapshot(part)));
        }
    }

    // --- the machine ----------------------------------------------------------------------------------------------------

    fn machine(&mut self, step: impl FnOnce(&mut Holdings, &mut Vec<Effect>)) {
        let mut effects = Vec::new();
        step(&mut self.holdings, &mut effects);
        for effect in effects {
            self.carry_out(effect);
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Send(message) => self.say(message),
            Effect::Open(open) => (self.open, self.is_draining) = (Some(open.mode), false),
            Effect::Narrow { to, .. } => {
                (self.open, self.is_draining) = (Some(to), true);
                self.report_if_drained();
            }
            Effect::Invalidate { change, .. } => {
                assert_eq!(self.in_the_way(), 0, "Z-11: somebody uses what is being invalidated");
                self.invalidating = Some(change.to);
            }
            Effect::Admit { ticket, mode, .. } => {
                let open = self.open.expect("admitted to a lock that is not open");
                assert!(open.satisfies(mode), "admitted to {mode} of what is open as {open}");
                self.answer(ticket);
                self.enter(mode);
            }
            Effect::Refuse(ticket, _) => {
                assert!(self.is_closed, "nothing is refused but by who is closed");
                self.answer(ticket);
            }
            Effect::Forget(_) => {
                assert!(!self.is_used() && !self.is_cached, "Z-11: forgotten while it is used or cached");
                (self.open, self.is_draining) = (None, false);
            }
            Effect::Uncover(_) => {}
            Effect::Discard { .. } | Effect::Void(_) => panic!("nothing is lost here"),
        }
    }

    fn answer(&mut self, ticket: Ticket) {
        let before = self.waiting.len();
        self.waiting.retain(|(waiting, _)| *waiting != ticket);
        assert_eq!(self.waiting.len() + 1, before, "Z-9: who waits is answered once");
    }

    fn say(&mut self, message: ToServer) {
        if let ToServer::Ceded(descent) | ToServer::Release(descent) = &message {
            let to = descent.change.to;
            assert!(to.may_read() || !self.is_cached, "Z-11: {message:?}, and it is cached");
        }
        if !self.is_lost {
            self.to_server.push_back(Up::Say(message));
        }
    }

    // --- looking --------------------------------------------------------------------------------------------------------

    /// As what it believes to hold the lock. One that comes down counts as before.
    pub(crate) fn believes(&self) -> Mode {
        let is_there = self.is_alive && !self.has_left;
        let held = self.holdings.locks().next().map_or(Mode::Null, |lock| lock.held);
        if is_there { held } else { Mode::Null }
    }

    pub(crate) fn waits(&self) -> bool {
        self.is_alive && !self.waiting.is_empty()
    }

    /// Whether nothing happens here any more unless somebody begins something.
    pub(crate) fn is_quiet(&self) -> bool {
        let is_moving = self.is_used() || self.invalidating.is_some() || self.is_lost || self.is_missing;
        let is_ending = !self.is_alive && self.has_record;
        self.to_server.is_empty() && self.to_client.is_empty() && !is_moving && !is_ending
    }

    pub(crate) fn check(&self) {
        if self.is_alive && !self.has_left {
            self.holdings.check();
            let waiters = self.holdings.locks().next().map_or(0, |lock| lock.waiters);
            assert_eq!(waiters, self.waiting.len(), "Z-9: who waits here waits there");
        }
        let questions = |up: &&Up| matches!(up, Up::Say(ToServer::Acquire(_)));
        assert!(self.to_server.iter().filter(questions).count() <= 1, "Z-3: two questions at a time");
        let calls = |message: &&ToClient| matches!(message, ToClient::Revoke(_));
        assert!(self.to_client.iter().filter(calls).count() <= 1, "Z-3: two calls to come down at a time");
    }
}
