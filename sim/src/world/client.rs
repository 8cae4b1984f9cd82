//! A client's process: a real client, the embedder around it, and those who use it.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tidelock_format::{Fsid, Incarnation};
use tidelock_lock_client::{Cause, Client, Config, LockInfo, Locks};
use tidelock_lock_proto::{Envelope, ToServer};
use tidelock_net::{ClientConfig, Connection, Frame, Principal};

use super::carrier::{Outbox, Wish};
use super::embedder::Embedder;
use super::network::Way;
use super::store::Answer;
use super::user::{Bells, User};
use super::wire::Arrived;
use super::{Event, NO_TERM, Part, World, lock_no};
use crate::canary::Canary;
use crate::clock::{LocalClock, SharedClock, Time};
use crate::facts::{ClientView, Fact, Hold};
use crate::fault::Fault;
use crate::plan::stream;
use crate::random::Random;

/// The service that everybody means.
pub(super) const SERVICE: Fsid = Fsid(7);

/// Something that happens to a client's process.
pub(crate) enum Stimulus {
    /// A timer that was set for this moment.
    Tick(Time),
    Connected(Connection),
    Disconnected(Connection),
    Frame(Connection, Vec<u8>),
    /// A user goes on, if nothing else has come between.
    User(usize, u64),
    /// The embedder is done with an invalidation.
    Invalidated(u64),
    /// It has been told that everything is lost.
    LossHandled,
    /// The store has answered a user's call.
    Answer(usize, u64, Answer),
    /// The embedder shuts down: users are not let in any more; locks are not taken any more; farewell.
    WindUp,
    Close,
    Leave,
}

/// How a process goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Running,
    /// Since then.
    Frozen(Time),
    Gone,
}

/// How far an embedder's shutdown has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Leaving {
    No,
    /// Nobody begins anything any more.
    WindingUp,
    Closed,
    /// Farewell was said, or the session was abandoned.
    Left,
}

/// A client's process.
pub(super) struct ClientProcess<'a> {
    pub(super) machine: usize,
    pub(super) instance: u128,
    pub(super) client: Client,
    pub(super) locks: &'a Locks,
    outbox: Outbox,
    shown: SharedClock,
    /// How long it stood still.
    slept: Duration,
    pub(super) clock: LocalClock,
    pub(super) status: Status,
    /// What came while it stood still.
    backlog: VecDeque<Stimulus>,
    /// When it is to be ticked, and when it will be.
    tick_due: Option<(Time, Time)>,
    pub(super) links: BTreeMap<Connection, usize>,
    /// The connection that it listens to, as far as it has got.
    talks_on: Option<Connection>,
    pub(super) users: Vec<User<'a>>,
    pub(super) bells: Bells,
    pub(super) embedder: Embedder,
    pub(super) leaving: Leaving,
    /// What has just arrived and what was said for the first time: not shown to the properties yet.
    arrived: Option<Arrived>,
    pub(super) asked: Vec<(Envelope, ToServer)>,
    pub(super) random: Random,
    is_reborn: bool,
}

impl World<'_> {
    /// A machine begins a client's process.
    pub(super) fn start_client(&mut self, machine: usize, instance: u128) {
        let number = self.clients.len();
        let is_over = self.part >= Part::Farewell || number >= self.places.len();
        if is_over || self.lives_at(machine).is_some() {
            return;
        }
        self.counts.clients += 1;
        let mut random = Random::new(self.seed, stream::EMBEDDERS + number as u64);
        let clock = self.draw_clock(&mut random);
        let (shown, outbox) =
            (SharedClock::default(), Outbox::new(Random::new(self.seed, stream::CARRIERS + number as u64)));
        shown.set(clock.show(self.now), Duration::ZERO);
        let client = Client::new(self.client_config(instance, random.next()), shown.clone(), outbox.clone());
        // Each place is for one process, and processes are counted.
        let locks = self.places[number].get_or_init(|| client.locks());
        let users = (0..self.plan.users)
            .map(|user| User::new(Random::new(self.seed, stream::USERS + (number * 16 + user) as u64)));
        let users: Vec<_> = users.collect();
        self.log.line(self.now, format_args!("c{number} begins at machine {machine} as instance {instance}"));
        self.views.push(ClientView {
            id: Principal::Anonymous.client_id(instance),
            incarnation: Incarnation(0),
            term: NO_TERM,
            is_alive: true,
            clock,
            lease_ends: None,
            holds: Vec::new(),
            cached: vec![None; self.plan.locks],
            accusations: 0,
            mismatch: false,
            is_over: false,
        });
        self.clients.push(ClientProcess {
            machine,
            instance,
            client,
            locks,
            outbox,
            shown,
            slept: Duration::ZERO,
            clock,
            status: Status::Running,
            backlog: VecDeque::new(),
            tick_due: None,
            links: BTreeMap::new(),
            talks_on: None,
            bells: Bells::new(users.len()),
            users,
            embedder: Embedder::new(self.plan.locks),
            leaving: Leaving::No,
            arrived: None,
            asked: Vec::new(),
            random,
            is_reborn: false,
        });
        self.clients[number].client.tick();
        self.settle_client(number);
        for user in 0..self.plan.users {
            let pause = self.clients[number].random.time(Duration::ZERO, self.plan.pause);
            self.user_goes_on(number, user, pause);
        }
    }

    pub(super) fn draw_clock(&mut self, random: &mut Random) -> LocalClock {
        let begins = random.time(Duration::from_secs(1), Duration::from_secs(1_000_000));
        let ppm = self.plan.drift_ppm;
        // Mostly one that runs apart as far as it can.
        let rate = match random.below(4) {
            0 => -(ppm as i64),
            1 => ppm as i64,
            _ => random.below(2 * ppm + 1) as i64 - ppm as i64,
        };
        if self.plan.faults.has(Fault::Drift) {
            self.faults.count(Fault::Drift);
        }
        LocalClock::new(begins, rate)
    }

    fn client_config(&self, instance: u128, seed: u64) -> Config {
        let mut plan = self.plan.timeouts;
        if self.has(Canary::LongLease) {
            plan.lease *= 2;
        }
        let window = self.plan.windows.0;
        let session = ClientConfig { versions: (1, 1), service: SERVICE, instance, plan, window, seed };
        let mut config = Config::new(session);
        config.idle_locks_max = self.plan.idle_locks_max;
        config
    }

    /// The living process at a machine.
    pub(super) fn lives_at(&self, machine: usize) -> Option<usize> {
        let lives = |it: &ClientProcess<'_>| it.machine == machine && it.status != Status::Gone;
        self.clients.iter().position(lives)
    }

    /// Something happens to a client's process; later, if it stands still.
    pub(super) fn stimulate(&mut self, client: usize, stimulus: Stimulus) {
        let process = &mut self.clients[client];
        match process.status {
            Status::Gone => {}
            // What came before goes first.
            _ if !process.backlog.is_empty() => process.backlog.push_back(stimulus),
            Status::Frozen(_) => process.backlog.push_back(stimulus),
            Status::Running => {
                self.feel(client, stimulus);
                self.settle_client(client);
            }
        }
    }

    fn feel(&mut self, client: usize, stimulus: Stimulus) {
        let now = self.now;
        let process = &mut self.clients[client];
        process.shown.set(process.clock.show(now), process.slept);
        match stimulus {
            Stimulus::Tick(due) if process.tick_due.is_some_and(|(_, it)| it == due) => {
                process.tick_due = None;
                process.client.tick();
            }
            Stimulus::Tick(_) => {}
            Stimulus::Connected(connection) => process.client.connected(connection),
            Stimulus::Disconnected(connection) => {
                process.talks_on.take_if(|it| *it == connection);
                process.client.disconnected(connection);
            }
            Stimulus::Frame(connection, bytes) => self.client_hears(client, connection, &bytes),
            Stimulus::User(user, turn) => self.user_turn(client, user, turn),
            Stimulus::Invalidated(key) => self.invalidated(client, key),
            Stimulus::LossHandled => self.loss_handled(client),
            Stimulus::Answer(user, call, answer) => self.store_answers(client, user, call, answer),
            Stimulus::WindUp => self.wind_up(client),
            Stimulus::Close => self.close(client),
            Stimulus::Leave => self.leave(client),
        }
    }

    fn client_hears(&mut self, client: usize, connection: Connection, bytes: &[u8]) {
        self.counts.frames += 1;
        let is_open = self.clients[client].talks_on == Some(connection);
        let arrived = if is_open { self.arriving(client, bytes) } else { None };
        if let Ok(frame) = Frame::decode(bytes) {
            self.log.line(self.now, format_args!("c{client} hears {}", Brief(&frame)));
            self.clients[client].client.heard(connection, &frame);
        }
        self.clients[client].arrived = arrived;
    }

    /// Carries out what a client wants, after something was done there, and shows the properties how it is now.
    pub(super) fn settle_client(&mut self, client: usize) {
        loop {
            let wishes = self.clients[client].outbox.take();
            if wishes.is_empty() {
                break;
            }
            for wish in wishes {
                self.carry_out(client, wish);
            }
        }
        self.wake_users(client);
        self.look_at_client(client);
        if let Some(arrived) = self.clients[client].arrived.take() {
            self.arrived(client, &arrived);
        }
        let asked = std::mem::take(&mut self.clients[client].asked);
        for (envelope, message) in asked {
            self.judge(&Fact::Asked { client, envelope, message: &message });
        }
        self.judge(&Fact::Client(client));
        self.clients[client].client.check();
        self.set_client_timer(client);
    }

    fn carry_out(&mut self, client: usize, wish: Wish) {
        if !matches!(wish, Wish::Close(_)) {
            self.judge(&Fact::Wanted { client });
        }
        match wish {
            Wish::Connect(connection) => {
                let server = self.look_up_leader(client);
                self.clients[client].talks_on = Some(connection);
                self.log.line(self.now, format_args!("c{client} connects to s{server}"));
                self.connect(client, connection, server);
            }
            Wish::Write(connection, bytes) => {
                let link = self.clients[client].links.get(&connection).copied();
                if let Some(link) = link.filter(|link| self.network.links[*link].is_open_at_client) {
                    self.client_writes(client, link, bytes);
                }
            }
            Wish::Close(connection) => {
                self.clients[client].talks_on.take_if(|it| *it == connection);
                self.log.line(self.now, format_args!("c{client} closes its connection"));
                self.close_at_client(client, connection);
            }
            Wish::Invalidate(invalidation) => self.invalidate(client, invalidation),
            Wish::Lose(loss) => {
                self.counts.losses += 1;
                self.log.line(self.now, format_args!("c{client} has lost everything: {:?}", loss.why()));
                self.views[client].mismatch |= loss.why() == Cause::Mismatched;
                self.lose(client, loss);
            }
        }
    }

    /// Takes a look at a client, for the properties.
    fn look_at_client(&mut self, client: usize) {
        let process = &mut self.clients[client];
        let view = &mut self.views[client];
        view.clock = process.clock;
        view.lease_ends = process.client.lease_ends();
        view.accusations = process.client.counters().violations;
        view.holds.clear();
        view.holds.extend(process.locks.dump().iter().map(hold));
        let is_left = process.leaving == Leaving::Left && !process.embedder.has_losses();
        view.is_over = is_left && process.client.next_tick().is_none();
        let revives = view.is_over && !process.is_reborn && self.canary == Some(Canary::Revenant);
        if revives {
            self.clients[client].is_reborn = true;
            self.judge(&Fact::Wanted { client });
        }
    }

    fn set_client_timer(&mut self, client: usize) {
        let process = &mut self.clients[client];
        let Some(next) = process.client.next_tick() else { return };
        let at = process.clock.when(next).max(self.now);
        if process.tick_due.is_some_and(|(wanted, _)| wanted <= at) {
            return;
        }
        // Timers are late, never early.
        let late = process.random.short_time(Duration::from_micros(1), Duration::from_millis(20));
        let due = at + late;
        process.tick_due = Some((at, due));
        self.queue.push(due, Event::Client(client, Stimulus::Tick(due)));
    }

    // --- standing still, and dying ------------------------------------------------------------------------------------

    pub(super) fn freeze_client(&mut self, client: usize, time: Duration) {
        if self.clients[client].status == Status::Running {
            self.log.line(self.now, format_args!("c{client} stands still for {time:?}"));
            self.clients[client].status = Status::Frozen(self.now);
            self.queue.push(self.now + time, Event::ThawClient(client));
        }
    }

    pub(super) fn thaw_client(&mut self, client: usize) {
        let Status::Frozen(since) = self.clients[client].status else { return };
        self.log.line(self.now, format_args!("c{client} goes on"));
        let (slept, is_sleepy) = (self.now - since, self.has(Canary::SleepyClock));
        let process = &mut self.clients[client];
        process.slept += slept;
        if is_sleepy {
            process.clock.lose(slept);
        }
        process.status = Status::Running;
        // Of what waited timers may come first; the rest keeps its order.
        if process.random.permille(500) {
            process.backlog.make_contiguous().sort_by_key(|it| !matches!(it, Stimulus::Tick(_)));
        }
        self.queue.push(self.now, Event::DrainClient(client));
    }

    /// A process that goes on deals with what waited, one after the other.
    pub(super) fn drain_client(&mut self, client: usize) {
        let process = &mut self.clients[client];
        if process.status != Status::Running {
            return;
        }
        let Some(stimulus) = process.backlog.pop_front() else { return };
        let pause = process.random.short_time(Duration::ZERO, Duration::from_micros(500));
        self.queue.push(self.now + pause, Event::DrainClient(client));
        self.feel(client, stimulus);
        self.settle_client(client);
    }

    /// The process dies.
    pub(super) fn kill_client(&mut self, client: usize, is_told: bool) {
        if self.clients[client].status == Status::Gone {
            return;
        }
        self.log.line(self.now, format_args!("c{client} dies"));
        self.break_links_of(|link| link.client == client, Way::Down, is_told);
        let process = &mut self.clients[client];
        process.status = Status::Gone;
        process.backlog.clear();
        let died: usize = process.users.iter_mut().map(User::die).sum();
        process.embedder = Embedder::new(self.plan.locks);
        let _ = process.outbox.take();
        let view = &mut self.views[client];
        view.is_alive = false;
        view.holds.clear();
        for _ in 0..died {
            self.judge(&Fact::Died);
        }
    }

    // --- leaving --------------------------------------------------------------------------------------------------------

    /// Begins to shut down: at once, or when users are done.
    fn wind_up(&mut self, client: usize) {
        if self.clients[client].leaving == Leaving::No {
            self.log.line(self.now, format_args!("c{client} is about to leave"));
            self.clients[client].leaving = Leaving::WindingUp;
            // Some embedders do not wait for those who use locks.
            let patience = if self.clients[client].random.permille(300) {
                Duration::ZERO
            } else {
                self.plan.timeouts.lease * 2
            };
            self.queue.push(self.now + patience, Event::Client(client, Stimulus::Close));
            self.close_if_idle(client);
        }
    }

    pub(super) fn close_if_idle(&mut self, client: usize) {
        let process = &self.clients[client];
        if process.leaving == Leaving::WindingUp && process.users.iter().all(|user| !user.holds()) {
            self.queue.push(self.now, Event::Client(client, Stimulus::Close));
        }
    }

    fn close(&mut self, client: usize) {
        let process = &mut self.clients[client];
        if process.leaving != Leaving::WindingUp {
            return;
        }
        process.leaving = Leaving::Closed;
        // Nothing is invalidated any more from here on, so nothing is cached.
        process.embedder.stop_caching();
        self.views[client].cached.fill(None);
        let pause = process.random.short_time(Duration::ZERO, Duration::from_millis(100));
        self.log.line(self.now, format_args!("c{client} takes no locks any more"));
        self.clients[client].client.close();
        self.queue.push(self.now + pause, Event::Client(client, Stimulus::Leave));
    }

    fn leave(&mut self, client: usize) {
        let process = &mut self.clients[client];
        if process.leaving == Leaving::Closed && process.users.iter().any(User::calls) {
            // Guards may be out, but not writes: who has said farewell has given up everything.
            let again = Event::Client(client, Stimulus::Leave);
            return self.queue.push(self.now + Duration::from_millis(10), again);
        }
        if process.leaving == Leaving::Closed {
            process.leaving = Leaving::Left;
            self.log.line(self.now, format_args!("c{client} leaves"));
            self.clients[client].client.leave();
        }
    }

    /// Ends the session without a word.
    pub(super) fn abandon(&mut self, client: usize) {
        let now = self.now;
        let process = &mut self.clients[client];
        if process.status != Status::Running || process.leaving != Leaving::No {
            return;
        }
        process.shown.set(process.clock.show(now), process.slept);
        process.leaving = Leaving::Left;
        process.embedder.stop_caching();
        self.views[client].cached.fill(None);
        self.log.line(now, format_args!("c{client} abandons its session"));
        self.clients[client].client.abandon();
        self.settle_client(client);
    }
}

fn hold(info: &LockInfo) -> Hold {
    Hold {
        lock: lock_no(info.range.start()),
        held: info.held,
        usable: info.usable,
        token: info.token,
        asked: info.asked,
        waiters: info.waiters,
        phase: info.phase,
        users: (info.readers, info.writers),
    }
}

/// A frame in a few words: what a message says was logged when it was said.
struct Brief<'f>(&'f Frame<'f>);

impl std::fmt::Display for Brief<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Frame::Message { number, done, .. } => write!(f, "message {} (done {})", number.0, done.0),
            other => write!(f, "{other:?}"),
        }
    }
}
