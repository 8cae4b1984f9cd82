//! Who delivers completions: of all threads that wait for one device, exactly one at a time sits in the *seat* and waits
//! in the kernel; the others sit on the *bench*.
//!
//! A lone thread takes the seat, waits for its own request and delivers it: nobody is woken. With several, whoever has
//! the seat delivers everybody's completions and after each round asks the bench whose wait is over. Only those are
//! woken. (Waking the whole bench each time would cost a context switch for every waiter and completion.) Who leaves the
//! seat hands it to the next on the bench.
//!
//! Correctness rests on one mutex:
//! 1. At most one thread has the seat. It is taken when free, or handed over; never both.
//! 2. While the bench is occupied the seat is too: it is freed only when the bench is empty.
//! 3. A waiter looks at its `done` and joins the bench in one critical section, and every delivery is followed by a look
//!    at the bench in another. So a delivery is either seen by the waiter's own look or by the deliverer's.
//! 4. A waiter's `done` lives on its stack. It is on the bench only while that thread is inside `drive`, and is called
//!    only under the mutex.
//!
//! How to wait for completions is left to a [`Source`].

use std::collections::VecDeque;
use std::fmt;
use std::ptr::NonNull;
use std::time::Instant;

use tidelock_sync::atomic::{AtomicU8, Ordering};
use tidelock_sync::{Arc, Event, Mutex, MutexGuard};

use crate::device::Done;

/// Where completions come from.
pub(crate) trait Source {
    /// Delivers what has completed. Never blocks. Only called from the seat. False when there was nothing at all; true
    /// also after a `knock`, so that whoever knocked is not missed by a thread on its way into `wait`.
    fn deliver(&self) -> bool;

    /// Starts what is queued and blocks until there is something to deliver, until `knock`, or until `deadline`. May
    /// return for nothing. Only called from the seat.
    fn wait(&self, deadline: Option<Instant>);

    /// Starts what is queued.
    fn start(&self);

    /// Makes the present or the next `wait` return.
    fn knock(&self);
}

/// The seat and the bench.
#[derive(Debug, Default)]
pub(crate) struct Driver {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    seated: bool,
    bench: VecDeque<Waiting>,
}

impl Driver {
    /// Waits until `done` holds or until `deadline`, delivering what `source` has if nobody else does. Tells whether
    /// `done` held.
    pub(crate) fn drive(&self, source: &impl Source, done: Done<'_>, deadline: Option<Instant>) -> bool {
        match self.arrive(done) {
            Arrival::Done => {
                source.start();
                true
            }
            Arrival::Seat => self.sit(source, done, deadline),
            Arrival::Bench(call) => {
                source.start();
                match self.await_call(&call, deadline) {
                    Called::Done => true,
                    Called::Seat => self.sit(source, done, deadline),
                    Called::Late => done(),
                }
            }
        }
    }

    /// After completions were delivered by somebody who does not have the seat.
    pub(crate) fn delivered_outside(&self, source: &impl Source) {
        if !cfg!(tidelock_weaken = "refusal_untold") {
            self.call_done();
        }
        if self.lock().seated && !cfg!(tidelock_weaken = "no_knock") {
            // The thread in the seat looks at its own `done` only when it comes back from the kernel.
            source.knock();
        }
    }

    /// After something was queued for `source` and not started: starts it if somebody waits already. Whoever comes to wait
    /// later starts it then.
    ///
    /// Taking the seat and this look are critical sections of one mutex. If this sees the seat free, whoever takes it next
    /// sees what was queued.
    pub(crate) fn queued(&self, source: &impl Source) {
        let is_awaited = self.lock().seated;
        if is_awaited && !cfg!(tidelock_weaken = "queued_unstarted") {
            source.start();
        }
    }

    /// Waits on the bench without ever taking the seat: for a device whose completions are all delivered from outside.
    pub(crate) fn watch(&self, done: Done<'_>, deadline: Option<Instant>) -> bool {
        let call = {
            let mut state = self.lock();
            if done() {
                return true;
            }
            state.join(done)
        };
        match self.await_call(&call, deadline) {
            Called::Done => true,
            Called::Late => done(),
            Called::Seat => unreachable!("nobody has a seat to hand over where everybody only watches"),
        }
    }

    /// Wakes those on the bench whose wait is over.
    pub(crate) fn call_done(&self) {
        let mut called = Vec::new();
        self.lock().bench.retain(|waiting| {
            // SAFETY: invariant 4: it is on the bench, so its thread is inside `drive`; and we hold the mutex.
            let over = unsafe { waiting.is_over() };
            if over {
                waiting.call.signal(DONE);
                called.push(waiting.call.clone());
            }
            !over
        });
        for call in called {
            call.event.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("a `done` never panics")
    }

    fn arrive(&self, done: Done<'_>) -> Arrival {
        let mut state = self.lock();
        if done() {
            return Arrival::Done;
        }
        if !state.seated {
            state.seated = true;
            return Arrival::Seat;
        }
        Arrival::Bench(state.join(done))
    }

    fn sit(&self, source: &impl Source, done: Done<'_>, deadline: Option<Instant>) -> bool {
        let _seat = Seat(self);
        let is_late = || deadline.is_some_and(|deadline| deadline <= Instant::now());
        // Who comes with no time to wait sees what has completed all the same, or who asks again and again would never see it.
        let mut has_looked = false;
        loop {
            if done() {
                source.start();
                return true;
            }
            if has_looked && is_late() {
                source.start();
                return false;
            }
            has_looked = true;
            if source.deliver() {
                if !cfg!(tidelock_weaken = "bench_uncalled") {
                    self.call_done();
                }
            } else if !is_late() {
                source.wait(deadline);
            }
        }
    }

    /// Hands the seat to the next on the bench, or frees it.
    fn stand_up(&self) {
        let next = {
            let mut state = self.lock();
            let next = if cfg!(tidelock_weaken = "seat_kept") { None } else { state.bench.pop_front() };
            state.seated = next.is_some();
            if let Some(next) = &next {
                next.call.signal(SEAT);
            }
            next
        };
        if let Some(next) = next {
            next.call.event.notify_all();
        }
    }

    fn await_call(&self, call: &Arc<Call>, deadline: Option<Instant>) -> Called {
        loop {
            let listener = call.event.listen();
            if let Some(called) = call.answer() {
                return called;
            }
            let Some(deadline) = deadline else {
                listener.wait();
                continue;
            };
            if !listener.wait_deadline(deadline) {
                return self.give_up(call);
            }
        }
    }

    fn give_up(&self, call: &Arc<Call>) -> Called {
        let mut state = self.lock();
        match state.bench.iter().position(|waiting| Arc::ptr_eq(&waiting.call, call)) {
            Some(index) => {
                state.bench.remove(index);
                Called::Late
            }
            None => call.answer().expect("who left the bench was called"),
        }
    }
}

impl State {
    fn join(&mut self, done: Done<'_>) -> Arc<Call> {
        let call = Arc::new(Call { answer: AtomicU8::new(WAITING), event: Event::new() });
        self.bench.push_back(Waiting { done: erase(done), call: call.clone() });
        call
    }
}

enum Arrival {
    Done,
    Seat,
    Bench(Arc<Call>),
}

enum Called {
    /// Somebody saw our `done` hold.
    Done,
    /// The seat is ours.
    Seat,
    /// The deadline came first, and we are off the bench.
    Late,
}

/// The seat is left even when a completer panics.
struct Seat<'a>(&'a Driver);

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.0.stand_up();
    }
}

/// One on the bench.
struct Waiting {
    done: NonNull<dyn Fn() -> bool + Sync>,
    call: Arc<Call>,
}

// SAFETY: the pointer is to a closure that is Sync, so any thread may call it, while invariant 4 keeps it alive.
unsafe impl Send for Waiting {}

impl Waiting {
    /// Looks at the waiter's `done`.
    ///
    /// # Safety
    /// This is on the bench, and the caller holds the driver's mutex.
    unsafe fn is_over(&self) -> bool {
        // SAFETY: by the caller's promise the closure is alive (invariant 4).
        let done = unsafe { self.done.as_ref() };
        done()
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Waiting")
    }
}

/// Forgets how long `done` lives; invariant 4 remembers it.
fn erase(done: Done<'_>) -> NonNull<dyn Fn() -> bool + Sync> {
    let done: NonNull<dyn Fn() -> bool + Sync + '_> = NonNull::from(done);
    // SAFETY: the types differ only in the lifetime that invariant 4 stands for.
    unsafe { std::mem::transmute(done) }
}

/// How somebody on the bench is called off it.
#[derive(Debug)]
struct Call {
    answer: AtomicU8,
    event: Event,
}

const WAITING: u8 = 0;
const DONE: u8 = 1;
const SEAT: u8 = 2;

impl Call {
    fn signal(&self, answer: u8) {
        // Release: pairs with the Acquire in `answer`; the waiter sees what was delivered before.
        self.answer.store(answer, Ordering::Release);
    }

    fn answer(&self) -> Option<Called> {
        // Acquire: pairs with the Release in `signal`.
        match self.answer.load(Ordering::Acquire) {
            DONE => Some(Called::Done),
            SEAT => Some(Called::Seat),
            _ => None,
        }
    }
}
