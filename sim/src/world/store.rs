//! The store that registers lie in, apart from clients and servers, as a disk does.
//!
//! It looks at the tokens of some locks, and refuses whoever comes with an older one than has been there. The registers of the
//! others are protected by leases alone: whoever writes them has looked at the lease first, and what is on its way arrives
//! within a part of the margin that the plan of time limits leaves for it.

use std::time::Duration;

use tidelock_format::Token;
use tidelock_lock_proto::Mode;

use super::client::Stimulus;
use super::{Event, World};
use crate::canary::Canary;
use crate::clock::Time;
use crate::facts::{Fact, LockNo};
use crate::plan::Plan;
use crate::properties::Call;
use crate::random::Random;

/// A register, and the greatest tokens that it was read and written with.
#[derive(Clone, Copy, Debug, Default)]
struct Register {
    value: u64,
    /// With which it was read; written under a lock that was held alone; written under a lock that is for writing only.
    read: Token,
    written: Token,
    overwritten: Token,
}

impl Register {
    /// Whether somebody with this token and mode has not been overtaken; from then on nobody before is.
    fn admits(&mut self, mode: Mode, token: Token) -> bool {
        let Self { read, written, overwritten, .. } = self;
        let (mine, newest) = match mode {
            Mode::Read | Mode::Null => (&mut *read, (*written).max(*overwritten)),
            Mode::Write => {
                let newest = (*read).max(*written).max(*overwritten);
                (&mut *written, newest)
            }
            Mode::WriteOnly => {
                let newest = (*read).max(*written);
                (&mut *overwritten, newest)
            }
        };
        let is_admitted = token >= newest;
        if is_admitted {
            *mine = token.max(*mine);
        }
        is_admitted
    }
}

/// A call on its way to the store.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StoreCall {
    pub(super) client: usize,
    pub(super) user: usize,
    pub(super) call: u64,
    pub(super) lock: LockNo,
    pub(super) mode: Mode,
    pub(super) token: Token,
    pub(super) write: Option<Write>,
}

/// What is to be written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Write {
    pub(super) value: u64,
    /// What its writer had read, if it had.
    pub(super) read: Option<u64>,
}

/// What the store answers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    Read(u64),
    Written,
    Refused,
}

/// The store.
#[derive(Debug)]
pub(super) struct Store {
    registers: Vec<Register>,
    /// Whether locks with an even number are protected by tokens, or those with an odd one.
    parity: usize,
    pub(super) slow_until: Time,
    random: Random,
    last_value: u64,
    /// Writes that were taken and whose writers have not been told.
    pub(super) unknown: u64,
}

impl Store {
    pub(super) fn new(plan: &Plan, mut random: Random) -> Self {
        let parity = random.index(2);
        let registers = vec![Register::default(); plan.locks];
        Self { registers, parity, slow_until: Time::ZERO, random, last_value: 0, unknown: 0 }
    }

    /// A value that was never written.
    pub(super) fn new_value(&mut self) -> u64 {
        self.last_value += 1;
        self.last_value
    }

    fn is_gated(&self, lock: LockNo) -> bool {
        lock % 2 == self.parity
    }
}

impl World<'_> {
    /// A call begins its way.
    pub(super) fn call_store(&mut self, call: StoreCall) {
        let timeouts = self.plan.timeouts;
        let is_slow = self.now < self.store.slow_until;
        let most = match (is_slow, self.store.is_gated(call.lock)) {
            (false, _) => Duration::from_millis(10),
            (true, true) => timeouts.lease * 3,
            // What leases alone protect has to arrive within the margin, by the slowest of clocks.
            (true, false) => timeouts.margin / 2,
        };
        let random = &mut self.store.random;
        let is_long = is_slow && random.permille(200);
        let least = Duration::from_micros(100);
        let time = if is_long { random.time(least, most) } else { random.short_time(least, most) };
        self.queue.push(self.now + time, Event::Store(call));
    }

    pub(super) fn store_hears(&mut self, call: StoreCall) {
        let StoreCall { client, user, lock, mode, token, write, .. } = call;
        let is_gated = self.store.is_gated(lock) && !self.has(Canary::NoGate);
        let register = &mut self.store.registers[lock];
        let is_admitted = register.admits(mode, token) || !is_gated;
        let found = register.value;
        let answer = match write {
            _ if !is_admitted => Answer::Refused,
            None => Answer::Read(found),
            Some(Write { value, .. }) => {
                register.value = value;
                Answer::Written
            }
        };
        self.log.line(
            self.now,
            format_args!("store: c{client}.u{user} {mode} {token} register {lock} {write:?}: {answer:?}"),
        );
        match (answer, write) {
            (Answer::Written, Some(Write { value, read })) => {
                self.counts.writes += 1;
                self.store.unknown += 1;
                self.judge(&Fact::Called(&Call::Stored { lock, value, read, found }));
            }
            (Answer::Refused, Some(_)) => self.counts.writes_refused += 1,
            _ => {}
        }
        let back = self.store.random.short_time(Duration::from_micros(100), Duration::from_millis(10));
        self.queue.push(self.now + back, Event::Client(client, Stimulus::Answer(user, call.call, answer)));
    }
}
