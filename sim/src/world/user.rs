//! Those who use locks: they take one or several, read and write registers under them, pause, and let go.
//!
//! Before each access they ask their guard whether it is still good. What they do in between is drawn, and whatever they wait
//! for they wait for as a task does: they are polled when they were woken, and not before.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tidelock_lock_client::{Coverage, Guard, LockError};
use tidelock_lock_proto::Mode;
use tidelock_sync::Op;

use super::client::{Leaving, Status, Stimulus};
use super::embedder::Cached;
use super::store::{Answer, StoreCall, Write};
use super::{Event, Part, World, lock_no, range};
use crate::Fault;
use crate::canary::Canary;
use crate::clock::Time;
use crate::facts::{Fact, LockNo};
use crate::properties::{Call, Property};
use crate::random::Random;

/// What a user waits for.
type Wanted<'a> = Op<'a, Result<Vec<Guard<'a>>, LockError>>;

/// What a user is at.
enum Doing<'a> {
    Nothing,
    Waiting {
        op: Wanted<'a>,
        /// When it stops to wait, whatever comes.
        patience: Option<Time>,
    },
    Using {
        guards: Vec<Guard<'a>>,
        /// Things that it will still do.
        left: u64,
    },
    Calling {
        guards: Vec<Guard<'a>>,
        left: u64,
        place: usize,
        began: Time,
        then: Then,
    },
    /// It wants nothing any more.
    Retired,
}

/// What a call to the store is for.
#[derive(Clone, Copy, Debug)]
enum Then {
    Read,
    /// To be followed by a write that is computed from it.
    Update,
    Write(u64),
}

/// Somebody who uses locks.
pub(super) struct User<'a> {
    doing: Doing<'a>,
    random: Random,
    /// What it was told to go on with last: anything older has been overtaken.
    turn: u64,
    calls: u64,
    /// The locks that it is still to use once when nothing goes wrong any more.
    rounds: Option<usize>,
    remembered: Option<(LockNo, Coverage)>,
}

impl<'a> User<'a> {
    pub(super) fn new(random: Random) -> Self {
        Self { doing: Doing::Nothing, random, turn: 0, calls: 0, rounds: None, remembered: None }
    }

    /// Its process dies. How many operations die with it.
    pub(super) fn die(&mut self) -> usize {
        let is_waiting = self.waits();
        self.doing = Doing::Retired;
        usize::from(is_waiting)
    }

    pub(super) fn waits(&self) -> bool {
        matches!(self.doing, Doing::Waiting { .. })
    }

    /// Whether it has, or is about to have, a lock.
    pub(super) fn holds(&self) -> bool {
        matches!(self.doing, Doing::Using { .. } | Doing::Calling { .. })
    }

    /// Whether something of it is on its way to the store.
    pub(super) fn calls(&self) -> bool {
        matches!(self.doing, Doing::Calling { .. })
    }

    pub(super) fn is_retired(&self) -> bool {
        matches!(self.doing, Doing::Retired)
    }

    pub(super) fn says(&self) -> &'static str {
        match self.doing {
            Doing::Nothing => "does nothing",
            Doing::Waiting { .. } => "waits",
            Doing::Using { .. } => "uses locks",
            Doing::Calling { .. } => "talks to the store",
            Doing::Retired => "is done",
        }
    }
}

/// Who was woken, of the users of one client.
#[derive(Clone, Debug)]
pub(super) struct Bells {
    rung: Arc<Mutex<Vec<usize>>>,
    wakers: Vec<Waker>,
}

struct Bell {
    user: usize,
    rung: Arc<Mutex<Vec<usize>>>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.rung.lock().expect("there is one thread").push(self.user);
    }
}

impl Bells {
    pub(super) fn new(users: usize) -> Self {
        let rung = Arc::new(Mutex::new(Vec::new()));
        let bell = |user| Waker::from(Arc::new(Bell { user, rung: rung.clone() }));
        Self { wakers: (0..users).map(bell).collect(), rung }
    }

    fn take(&self) -> Vec<usize> {
        std::mem::take(&mut *self.rung.lock().expect("there is one thread"))
    }
}

impl<'a> World<'a> {
    /// A user is to go on after a pause.
    pub(super) fn user_goes_on(&mut self, client: usize, user: usize, pause: Duration) {
        let it = &mut self.clients[client].users[user];
        it.turn += 1;
        let stimulus = Stimulus::User(user, it.turn);
        self.queue.push(self.now + pause, Event::Client(client, stimulus));
    }

    pub(super) fn wake_users(&mut self, client: usize) {
        for user in self.clients[client].bells.take() {
            if self.has(Canary::NotWoken) && self.clients[client].random.permille(30) {
                continue;
            }
            let it = &mut self.clients[client].users[user];
            if it.waits() {
                let pause = it.random.short_time(Duration::ZERO, Duration::from_millis(5));
                self.user_goes_on(client, user, pause);
            }
        }
    }

    pub(super) fn user_turn(&mut self, client: usize, user: usize, turn: u64) {
        let it = &mut self.clients[client].users[user];
        if it.turn != turn {
            return;
        }
        match std::mem::replace(&mut it.doing, Doing::Nothing) {
            Doing::Nothing => self.begin_something(client, user),
            Doing::Waiting { op, patience } => self.look_whether_granted(client, user, op, patience),
            Doing::Using { guards, left } => self.use_locks(client, user, guards, left),
            other @ (Doing::Calling { .. } | Doing::Retired) => {
                self.clients[client].users[user].doing = other
            }
        }
    }

    // --- taking ---------------------------------------------------------------------------------------------------------

    fn begin_something(&mut self, client: usize, user: usize) {
        if self.clients[client].leaving != Leaving::No || self.part >= Part::Farewell {
            return self.retire(client, user);
        }
        if self.part == Part::Calm {
            return self.begin_round(client, user);
        }
        let locks = self.plan.locks;
        let random = &mut self.clients[client].users[user].random;
        let (lock, mode) = (random.index(locks), draw_mode(random));
        match random.below(100) {
            0..8 => self.peek(client, user),
            8..20 => self.try_lock(client, user, lock, mode),
            20..35 => {
                let count = random.among(2, 3);
                // Each lock once: one that is wanted for reading and for writing only would be waited for for ever.
                let wanted: BTreeMap<_, _> =
                    (0..count).map(|_| (random.index(locks), draw_mode(random))).collect();
                let wanted = wanted.into_iter().rev().collect();
                self.lock(client, user, wanted);
            }
            _ => self.lock(client, user, vec![(lock, mode)]),
        }
    }

    /// When nothing goes wrong any more, everybody writes under each lock once.
    fn begin_round(&mut self, client: usize, user: usize) {
        let locks = self.plan.locks;
        let left = self.clients[client].users[user].rounds.get_or_insert(locks);
        match left.checked_sub(1) {
            None => self.retire(client, user),
            Some(next) => {
                *left = next;
                self.lock(client, user, vec![(next, Mode::Write)]);
            }
        }
    }

    fn retire(&mut self, client: usize, user: usize) {
        self.clients[client].users[user].doing = Doing::Retired;
        self.close_if_idle(client);
    }

    fn try_lock(&mut self, client: usize, user: usize, lock: LockNo, mode: Mode) {
        self.counts.operations += 1;
        match self.clients[client].locks.try_lock(&range(lock), mode) {
            Some(guard) => self.got(client, user, vec![guard]),
            None => self.rest(client, user),
        }
    }

    fn lock(&mut self, client: usize, user: usize, wanted: Vec<(LockNo, Mode)>) {
        self.log.line(self.now, format_args!("c{client}.u{user} wants {}", Wants(&wanted)));
        self.counts.operations += 1;
        self.judge(&Fact::Began);
        let locks = self.clients[client].locks;
        let op = match wanted[..] {
            [(lock, mode)] => locks.lock(range(lock), mode).map(|result| result.map(|guard| vec![guard])),
            _ => locks.lock_all(wanted.into_iter().map(|(lock, mode)| (range(lock), mode))),
        };
        let patience = self.draw_patience(client, user);
        self.look_whether_granted(client, user, op, patience);
    }

    fn draw_patience(&mut self, client: usize, user: usize) -> Option<Time> {
        let lease = self.plan.timeouts.lease;
        let is_impatient = self.plan.faults.has(Fault::Impatience) && self.part == Part::Chaos;
        let random = &mut self.clients[client].users[user].random;
        let is_short = is_impatient && random.permille(250);
        is_short.then(|| self.now + random.short_time(Duration::ZERO, lease))
    }

    fn look_whether_granted(
        &mut self,
        client: usize,
        user: usize,
        mut op: Wanted<'a>,
        patience: Option<Time>,
    ) {
        let bell = &self.clients[client].bells.wakers[user];
        match Future::poll(Pin::new(&mut op), &mut Context::from_waker(bell)) {
            Poll::Ready(Ok(guards)) => {
                self.judge(&Fact::Ended);
                self.got(client, user, guards);
            }
            Poll::Ready(Err(error)) => {
                self.judge(&Fact::Ended);
                self.log.line(self.now, format_args!("c{client}.u{user} is refused: {error}"));
                self.refused(client, user, &error);
            }
            Poll::Pending if patience.is_some_and(|patience| patience <= self.now) => {
                drop(op);
                self.judge(&Fact::Ended);
                self.counts.dropped += 1;
                self.faults.count(Fault::Impatience);
                self.log.line(self.now, format_args!("c{client}.u{user} waits no longer"));
                self.rest(client, user);
            }
            Poll::Pending => {
                self.clients[client].users[user].doing = Doing::Waiting { op, patience };
                if let Some(patience) = patience {
                    self.user_goes_on(client, user, patience - self.now);
                }
            }
        }
    }

    fn refused(&mut self, client: usize, user: usize, error: &LockError) {
        match error {
            LockError::Closed if self.clients[client].leaving >= Leaving::Closed => self.retire(client, user),
            error => {
                let what = format!("client {client} gets no lock, for no reason that there is: {error}");
                self.violate(Property::NoLostRequest, what);
            }
        }
    }

    fn got(&mut self, client: usize, user: usize, guards: Vec<Guard<'a>>) {
        self.counts.granted += 1;
        self.log.line(self.now, format_args!("c{client}.u{user} has {}", Guards(&guards)));
        let random = &mut self.clients[client].users[user].random;
        let left = random.among(1, 4);
        self.clients[client].users[user].doing = Doing::Using { guards, left };
        self.user_goes_on(client, user, Duration::ZERO);
    }

    /// Pauses, without anything.
    fn rest(&mut self, client: usize, user: usize) {
        let it = &mut self.clients[client].users[user];
        it.doing = Doing::Nothing;
        let most = if self.part == Part::Chaos { self.plan.pause } else { Duration::from_millis(1) };
        let pause = it.random.short_time(Duration::ZERO, most);
        self.user_goes_on(client, user, pause);
        self.close_if_idle(client);
    }

    // --- using ----------------------------------------------------------------------------------------------------------

    fn use_locks(&mut self, client: usize, user: usize, mut guards: Vec<Guard<'a>>, left: u64) {
        let it = &mut self.clients[client].users[user];
        let place = it.random.index(guards.len());
        if left == 0 {
            return self.let_go(client, user, guards);
        }
        if let Err(error) = guards[place].check() {
            self.counts.lapses += 1;
            self.log.line(self.now, format_args!("c{client}.u{user} must not go on: {error}"));
            return self.let_go(client, user, guards);
        }
        match it.random.below(100) {
            0..10 => {
                let mode = if it.random.permille(500) { guards[place].mode() } else { Mode::Read };
                guards.extend(guards[place].again(mode));
            }
            10..18 if guards[place].mode() == Mode::Write => guards[place].downgrade(),
            18..40 => {}
            _ => return self.access(client, user, guards, left, place),
        }
        self.pause_in_use(client, user, guards, left - 1);
    }

    fn pause_in_use(&mut self, client: usize, user: usize, guards: Vec<Guard<'a>>, left: u64) {
        let is_chaos = self.part == Part::Chaos;
        let it = &mut self.clients[client].users[user];
        let most = match it.random.below(40) {
            0 if is_chaos => self.plan.timeouts.lease * 2,
            _ if is_chaos => self.plan.hold,
            _ => Duration::from_millis(20),
        };
        let pause = it.random.short_time(Duration::ZERO, most);
        it.doing = Doing::Using { guards, left };
        self.user_goes_on(client, user, pause);
    }

    fn let_go(&mut self, client: usize, user: usize, guards: Vec<Guard<'a>>) {
        self.log.line(self.now, format_args!("c{client}.u{user} lets go of {}", Guards(&guards)));
        if self.has(Canary::UseAfterDrop) {
            self.write_after_drop(client, user, &guards[0]);
        }
        drop(guards);
        self.rest(client, user);
    }

    /// A bug, planted: what was read under a lock is written when it was given up.
    fn write_after_drop(&mut self, client: usize, user: usize, guard: &Guard<'a>) {
        let lock = lock_no(guard.range().start());
        let Some(cached) = self.clients[client].embedder.cache[lock] else { return };
        if guard.mode() == Mode::Write && self.clients[client].users[user].random.permille(200) {
            let write = Some(Write { value: self.store.new_value(), read: Some(cached.value) });
            let (mode, token) = (guard.mode(), guard.token());
            self.call_store(StoreCall { client, user, call: 0, lock, mode, token, write });
        }
    }

    fn access(&mut self, client: usize, user: usize, guards: Vec<Guard<'a>>, left: u64, place: usize) {
        let guard = &guards[place];
        let (lock, mode, refresh) = (lock_no(guard.range().start()), guard.mode(), guard.refresh_gen());
        if self.clients[client].embedder.busy[lock].is_some() {
            // Another user of this client is at it: they take turns.
            let it = &mut self.clients[client].users[user];
            let pause = it.random.time(Duration::from_millis(10), self.plan.timeouts.backoff);
            it.doing = Doing::Using { guards, left };
            return self.user_goes_on(client, user, pause);
        }
        if mode == Mode::WriteOnly {
            let value = self.store.new_value();
            return self.call(client, user, guards, left, place, Then::Write(value), None);
        }
        self.judge(&Fact::Looked { client, lock, refresh });
        let coverage = guard.coverage();
        let it = &mut self.clients[client].users[user];
        it.remembered = Some((lock, coverage));
        let updates = mode == Mode::Write && it.random.permille(600);
        match self.clients[client].embedder.cache[lock] {
            None => {
                let then = if updates { Then::Update } else { Then::Read };
                self.call(client, user, guards, left, place, then, None);
            }
            Some(Cached { value, .. }) => {
                self.read_cached(client, lock, value);
                if updates {
                    let new = self.store.new_value();
                    return self.call(client, user, guards, left, place, Then::Write(new), Some(value));
                }
                self.pause_in_use(client, user, guards, left - 1);
            }
        }
    }

    fn read_cached(&mut self, client: usize, lock: LockNo, value: u64) {
        self.counts.reads += 1;
        self.counts.reads_cached += 1;
        self.log.line(self.now, format_args!("c{client} reads register {lock} in its cache: {value}"));
        let began = self.now;
        self.judge(&Fact::Called(&Call::Read { client, lock, value, began }));
    }

    /// Looks at what was cached, without taking the lock.
    fn peek(&mut self, client: usize, user: usize) {
        let process = &self.clients[client];
        if let Some((lock, coverage)) = process.users[user].remembered
            && let Some(cached) = process.embedder.cache[lock]
            && process.locks.covers(&coverage)
        {
            self.read_cached(client, lock, cached.value);
        }
        self.rest(client, user);
    }

    #[expect(clippy::too_many_arguments, reason = "all of it is the user's state")]
    fn call(
        &mut self,
        client: usize,
        user: usize,
        guards: Vec<Guard<'a>>,
        left: u64,
        place: usize,
        then: Then,
        read: Option<u64>,
    ) {
        let guard = &guards[place];
        let (lock, mode, token) = (lock_no(guard.range().start()), guard.mode(), guard.token());
        let write = match then {
            Then::Write(value) => Some(Write { value, read }),
            Then::Read | Then::Update => None,
        };
        let process = &mut self.clients[client];
        process.embedder.busy[lock] = Some(user);
        let it = &mut process.users[user];
        it.calls += 1;
        let call = it.calls;
        it.doing = Doing::Calling { guards, left, place, began: self.now, then };
        self.call_store(StoreCall { client, user, call, lock, mode, token, write });
    }

    pub(super) fn store_answers(&mut self, client: usize, user: usize, call: u64, answer: Answer) {
        let it = &mut self.clients[client].users[user];
        if it.calls != call {
            return;
        }
        let doing = std::mem::replace(&mut it.doing, Doing::Nothing);
        let Doing::Calling { guards, left, place, began, then } = doing else {
            it.doing = doing;
            return;
        };
        let guard = &guards[place];
        let (lock, refresh, is_good) =
            (lock_no(guard.range().start()), guard.refresh_gen(), guard.is_valid());
        self.clients[client].embedder.busy[lock] = None;
        match (answer, then) {
            (Answer::Read(value), Then::Read | Then::Update) => {
                self.counts.reads += 1;
                self.judge(&Fact::Called(&Call::Read { client, lock, value, began }));
                if is_good {
                    self.cache(client, lock, Some(Cached { value, refresh }));
                }
                if is_good && matches!(then, Then::Update) {
                    let new = self.store.new_value();
                    return self.call(client, user, guards, left, place, Then::Write(new), Some(value));
                }
            }
            (Answer::Written, Then::Write(value)) => {
                self.store.unknown -= 1;
                self.judge(&Fact::Called(&Call::Told { lock, value }));
                // Who writes without reading keeps nothing.
                let cached = Some(Cached { value, refresh }).filter(|_| is_good);
                self.cache(client, lock, cached);
            }
            // Refused: somebody else has been there since.
            _ => {
                self.cache(client, lock, None);
                return self.let_go(client, user, guards);
            }
        }
        self.pause_in_use(client, user, guards, left.saturating_sub(1));
    }

    // --- the end ----------------------------------------------------------------------------------------------------------

    /// Whether somebody at a living client is not done.
    pub(super) fn unfinished_users(&self) -> Vec<String> {
        let mut unfinished = Vec::new();
        for (number, client) in self.clients.iter().enumerate() {
            if client.status == Status::Gone || client.leaving >= Leaving::Left {
                continue;
            }
            for (user, it) in client.users.iter().enumerate().filter(|(_, user)| !user.is_retired()) {
                unfinished.push(format!("c{number}.u{user} {}", it.says()));
            }
        }
        unfinished
    }

    /// Operations of which nothing was told, at processes that live or came to their end.
    pub(super) fn open_operations(&self) -> u64 {
        self.clients.iter().flat_map(|client| &client.users).filter(|user| user.waits()).count() as u64
    }
}

fn draw_mode(random: &mut Random) -> Mode {
    match random.below(100) {
        0..45 => Mode::Read,
        45..85 => Mode::Write,
        _ => Mode::WriteOnly,
    }
}

/// Locks that are wanted, for people.
struct Wants<'w>(&'w [(LockNo, Mode)]);

impl std::fmt::Display for Wants<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let wants: Vec<_> = self.0.iter().map(|(lock, mode)| format!("lock {lock} as {mode}")).collect();
        f.write_str(&wants.join(", "))
    }
}

/// Locks that are held, for people.
struct Guards<'g, 'a>(&'g [Guard<'a>]);

impl std::fmt::Display for Guards<'_, '_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let say = |guard: &Guard<'_>| format!("lock {} as {}", lock_no(guard.range().start()), guard.mode());
        f.write_str(&self.0.iter().map(say).collect::<Vec<_>>().join(", "))
    }
}
