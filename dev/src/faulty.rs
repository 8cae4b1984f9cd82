//! A decorator that fails on purpose, by rules: which requests, how often, and how. It remembers which rules fired, so
//! that a test can make sure that it tested what it meant to.
//!
//! The same seed and the same requests in the same order give the same faults.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use tidelock_format::DeviceRange;

use crate::gate::Gate;
use crate::hook::{delegate, hooked, nudge};
use crate::random::Random;
use crate::{BlockDevice, Done, Fault, Operation, Request};

/// What happens to a request that a rule fires for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It fails with this error number of the system, before it reached the medium.
    Error(i32),
    /// It is refused with [`Fault::Injected`], before it reached the medium.
    Refuse,
    /// It reports that only the first half was moved. (All of it was: after a short transfer nothing may be concluded.)
    Short,
    /// A write lands at this offset and reports success; a read comes from there.
    Misdirect(u64),
    /// A write reports success, and nothing is written.
    Lose,
    /// One bit of what was read is wrong: which one is drawn from the seed.
    FlipBit,
    /// It takes place, but its completion is kept back until [`Faulty::release`].
    Hold,
}

/// Which requests suffer what. Without further conditions: every one.
#[derive(Clone, Debug)]
pub struct Rule {
    name: &'static str,
    effect: Effect,
    operation: Option<Operation>,
    within: Option<DeviceRange>,
    skip: u64,
    times: u64,
    chance: f64,
}

impl Rule {
    /// A rule to be asked for by `name` later.
    pub fn new(name: &'static str, effect: Effect) -> Self {
        Self { name, effect, operation: None, within: None, skip: 0, times: u64::MAX, chance: 1.0 }
    }

    /// Only for this operation.
    #[must_use]
    pub fn on(mut self, operation: Operation) -> Self {
        self.operation = Some(operation);
        self
    }

    /// Only for transfers that touch `range`.
    #[must_use]
    pub fn within(mut self, range: DeviceRange) -> Self {
        self.within = Some(range);
        self
    }

    /// Not for the first `requests` that match.
    #[must_use]
    pub fn skip(mut self, requests: u64) -> Self {
        self.skip = requests;
        self
    }

    /// Fires `times` times at most.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = times;
        self
    }

    /// Only with this probability.
    #[must_use]
    pub fn chance(mut self, chance: f64) -> Self {
        self.chance = chance;
        self
    }

    fn matches(&self, request: &Request) -> bool {
        self.operation.is_none_or(|operation| operation == request.operation)
            && self.within.is_none_or(|range| range.overlaps(&request.range))
    }

    /// Whether it fires for a request that matches.
    fn fires(&mut self, random: &mut Random) -> bool {
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        if self.times == 0 || !random.is_hit(self.chance) {
            return false;
        }
        self.times -= 1;
        true
    }
}

/// A device that fails on purpose.
#[derive(Debug)]
pub struct Faulty {
    inner: Arc<dyn BlockDevice>,
    gate: Gate,
    plan: Mutex<Plan>,
    held: Arc<Mutex<Holding>>,
}

#[derive(Debug)]
struct Plan {
    rules: Vec<Rule>,
    fired: BTreeMap<&'static str, u64>,
    random: Random,
}

#[derive(Debug, Default)]
struct Holding {
    held: Vec<Held>,
    /// The decorator is gone: nobody could release anything any more.
    is_over: bool,
}

#[derive(Debug)]
struct Held {
    request: Request,
    result: Result<(), Fault>,
}

/// A rule that fired, with what it needs.
struct Shot {
    name: &'static str,
    effect: Effect,
    draw: u64,
}

impl Faulty {
    /// Behaves as `inner` until it gets rules.
    pub fn new(inner: Arc<dyn BlockDevice>, seed: u64) -> Self {
        let gate = Gate::new(inner.size(), inner.align(), false);
        let plan = Plan { rules: Vec::new(), fired: BTreeMap::new(), random: Random::new(seed) };
        Self { inner, gate, plan: Mutex::new(plan), held: Arc::default() }
    }

    /// Adds a rule. Of several that match a request the first one that fires has its way.
    pub fn add(&self, rule: Rule) {
        self.plan().rules.push(rule);
    }

    /// Removes all rules. What fired is still remembered, and what is held stays held.
    pub fn clear(&self) {
        self.plan().rules.clear();
    }

    /// How often rules of this name fired.
    pub fn fired(&self, name: &str) -> u64 {
        self.plan().fired.get(name).copied().unwrap_or(0)
    }

    /// Completions held back now.
    pub fn held(&self) -> usize {
        self.holding().held.len()
    }

    /// Delivers what was held back; tells how many those were.
    pub fn release(&self) -> usize {
        let held = std::mem::take(&mut self.holding().held);
        let count = held.len();
        held.into_iter().for_each(|held| held.request.end(held.result));
        nudge(&*self.inner);
        count
    }

    fn holding(&self) -> MutexGuard<'_, Holding> {
        self.held.lock().expect("nothing panics with the held ones in hand")
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().expect("nothing panics with the plan in hand")
    }

    /// The request as it goes to the device below, or nothing when it has ended here.
    fn pass(&self, request: Request) -> Option<Request> {
        if let Err(fault) = self.gate.check(&request) {
            request.refuse(fault);
            return None;
        }
        let Some(shot) = self.plan().fire(&request) else { return Some(request) };
        match shot.effect {
            Effect::Error(number) => self.end(request, Fault::Os(number)),
            Effect::Refuse => self.end(request, Fault::Injected(shot.name)),
            Effect::Short => Some(self.shorten(request)),
            Effect::Misdirect(offset) => Some(misdirect(request, offset)),
            Effect::Lose if request.operation == Operation::Write => {
                request.end(Ok(()));
                None
            }
            Effect::FlipBit if request.operation == Operation::Read => Some(flip(request, shot.draw)),
            Effect::Lose | Effect::FlipBit => Some(request),
            Effect::Hold => Some(self.hold(request)),
        }
    }

    fn end(&self, request: Request, fault: Fault) -> Option<Request> {
        let result = match request.operation {
            Operation::Flush => self.gate.flushed(Err(fault)),
            Operation::Read | Operation::Write => Err(fault),
        };
        request.end(result);
        None
    }

    fn shorten(&self, request: Request) -> Request {
        let unit = self.gate.align() as u64;
        hooked(request, move |request, result| {
            let got = request.range.len() / 2 / unit * unit;
            request.end(result.and(Err(Fault::Short { got })));
        })
    }

    fn hold(&self, request: Request) -> Request {
        let holding = self.held.clone();
        hooked(request, move |request, result| {
            let mut holding = holding.lock().expect("nothing panics with the held ones in hand");
            if !holding.is_over {
                return holding.held.push(Held { request, result });
            }
            drop(holding);
            request.end(result);
        })
    }

    fn pass_all(&self, batch: &mut Vec<Request>) {
        let count = batch.len();
        *batch = std::mem::take(batch).into_iter().filter_map(|request| self.pass(request)).collect();
        if batch.len() < count {
            nudge(&*self.inner);
        }
    }
}

impl BlockDevice for Faulty {
    delegate!(size, align, drive, attend);

    fn submit(&self, batch: &mut Vec<Request>) {
        self.pass_all(batch);
        self.inner.submit(batch);
    }

    fn queue(&self, batch: &mut Vec<Request>) {
        self.pass_all(batch);
        self.inner.queue(batch);
    }

    fn submit_and_drive(&self, batch: &mut Vec<Request>, done: Done<'_>, deadline: Option<Instant>) -> bool {
        self.pass_all(batch);
        self.inner.submit_and_drive(batch, done, deadline)
    }

    fn describe(&self) -> String {
        format!("{}, failing on purpose", self.inner.describe())
    }
}

/// What is held is delivered, as every device does when it is dropped; so is what the device below still completes.
impl Drop for Faulty {
    fn drop(&mut self) {
        self.holding().is_over = true;
        self.release();
    }
}

impl Plan {
    fn fire(&mut self, request: &Request) -> Option<Shot> {
        for rule in &mut self.rules {
            if rule.matches(request) && rule.fires(&mut self.random) {
                *self.fired.entry(rule.name).or_default() += 1;
                return Some(Shot { name: rule.name, effect: rule.effect, draw: self.random.next() });
            }
        }
        None
    }
}

fn misdirect(request: Request, offset: u64) -> Request {
    let len = request.range.len();
    let mut request = hooked(request, |request, result| request.end(result));
    request.range = DeviceRange::new(offset, len).expect("a misdirected transfer lands inside the device");
    request
}

fn flip(request: Request, draw: u64) -> Request {
    hooked(request, move |mut request, result| {
        let bit = Random::new(draw).below(request.range.len() * 8);
        request.bytes_mut()[(bit / 8) as usize] ^= 1 << (bit % 8);
        request.end(result);
    })
}
