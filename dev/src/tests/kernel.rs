//! A kernel made of a mutex and a condition variable, for models of the driver.

use std::time::Instant;

use tidelock_sync::atomic::{AtomicUsize, Ordering};
use tidelock_sync::{Condvar, Mutex};

use crate::driver::{Driver, Source};

/// Posts completions, which are numbers of bits in `delivered`.
pub(crate) struct Kernel {
    pub(crate) driver: Driver,
    posted: Mutex<Posted>,
    /// Bits of requests that were not started.
    queued: Mutex<usize>,
    arrived: Condvar,
    delivered: AtomicUsize,
}

#[derive(Default)]
struct Posted {
    bits: usize,
    knocked: bool,
}

impl Kernel {
    pub(crate) fn new() -> Self {
        Self {
            driver: Driver::default(),
            posted: Mutex::default(),
            queued: Mutex::default(),
            arrived: Condvar::new(),
            delivered: AtomicUsize::new(0),
        }
    }

    /// What the kernel does when a request has ended.
    pub(crate) fn post(&self, bit: usize) {
        self.posted.lock().unwrap().bits |= 1 << bit;
        self.arrived.notify_all();
    }

    /// What a submitter does who is about to wait. This kernel answers as soon as the request is started.
    pub(crate) fn queue(&self, bit: usize) {
        *self.queued.lock().unwrap() |= 1 << bit;
        self.driver.queued(self);
    }

    /// What a submitter does whose request is refused.
    pub(crate) fn refuse(&self, bit: usize) {
        self.deliver_bits(1 << bit);
        self.driver.delivered_outside(self);
    }

    /// Drives until all of `bits` are delivered.
    pub(crate) fn drive(&self, bits: usize) {
        assert!(self.driver.drive(self, &|| self.has(bits), None));
        assert!(self.has(bits));
    }

    pub(crate) fn has(&self, bits: usize) -> bool {
        // Acquire: pairs with the Release in `deliver_bits`.
        self.delivered.load(Ordering::Acquire) & bits == bits
    }

    fn deliver_bits(&self, bits: usize) {
        // Release: pairs with the Acquire in `has`.
        let before = self.delivered.fetch_or(bits, Ordering::Release);
        assert_eq!(before & bits, 0, "a completion is delivered once");
    }
}

impl Source for Kernel {
    fn deliver(&self) -> bool {
        let posted = std::mem::take(&mut *self.posted.lock().unwrap());
        if posted.bits != 0 {
            self.deliver_bits(posted.bits);
        }
        posted.bits != 0 || posted.knocked
    }

    fn wait(&self, _deadline: Option<Instant>) {
        self.start();
        let mut posted = self.posted.lock().unwrap();
        while posted.bits == 0 && !posted.knocked {
            posted = self.arrived.wait(posted).unwrap();
        }
    }

    fn start(&self) {
        let bits = std::mem::take(&mut *self.queued.lock().unwrap());
        if bits != 0 {
            self.posted.lock().unwrap().bits |= bits;
            self.arrived.notify_all();
        }
    }

    fn knock(&self) {
        self.posted.lock().unwrap().knocked = true;
        self.arrived.notify_all();
    }
}
