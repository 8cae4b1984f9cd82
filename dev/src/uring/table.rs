//! What an io_uring device has in hand: the requests in the kernel, each in a numbered slot that owns it until it has
//! ended, and those that wait for a slot.
//!
//! Flushes go one at a time. The kernel tells each open file of a lost write once, so of two flushes side by side one
//! would get the error and the other a success that is not true. Flushes that come while one runs wait for it, and then
//! share the next: all of them were submitted before it starts.

use std::collections::VecDeque;

use super::bounce::{Bounce, BounceBuffers};
use crate::gate::Gate;
use crate::transfer::{Step, Transfer};
use crate::{Fault, Operation, Request};

/// Requests in hand. Slots are never more than the ring has entries.
#[derive(Debug)]
pub(super) struct Table {
    slots: Vec<Option<InFlight>>,
    free: Vec<u32>,
    /// Slots to be given to the kernel (again), before anything from the backlog.
    again: Vec<u32>,
    backlog: VecDeque<Request>,
    flushes: Flushes,
}

/// A request that has a slot.
#[derive(Debug)]
pub(super) struct InFlight {
    pub(super) transfer: Transfer,
    /// Where it is read to instead of its own buffer.
    pub(super) bounce: Option<Bounce>,
}

#[derive(Debug, Default)]
struct Flushes {
    is_running: bool,
    /// Served by the flush that runs, besides the one in the slot.
    sharing: Vec<Request>,
    waiting: VecDeque<Request>,
}

/// A request that has ended, to be delivered when no lock is held.
#[derive(Debug)]
pub(super) struct Ended {
    request: Request,
    bounce: Option<Bounce>,
    result: Result<(), Fault>,
}

impl Ended {
    /// One that was in no buffer of ours.
    fn of(request: Request, result: Result<(), Fault>) -> Self {
        Self { request, bounce: None, result }
    }

    /// `bounces` are those that [`Table::next`] was given.
    pub(super) fn deliver(mut self, bounces: Option<&BounceBuffers>) {
        if let (Some(bounce), Some(bounces)) = (self.bounce, bounces) {
            bounces.give_back(bounce, &mut self.request, self.result.is_ok());
        }
        self.request.end(self.result);
    }
}

impl Table {
    pub(super) fn new(slots: u32) -> Self {
        Self {
            slots: (0..slots).map(|_| None).collect(),
            free: (0..slots).rev().collect(),
            again: Vec::new(),
            backlog: VecDeque::new(),
            flushes: Flushes::default(),
        }
    }

    /// Takes a request that passed the gate.
    pub(super) fn accept(&mut self, request: Request) {
        match request.operation {
            Operation::Flush => self.flushes.waiting.push_back(request),
            Operation::Read | Operation::Write => self.backlog.push_back(request),
        }
    }

    /// The next slot to give to the kernel, if one can be. Small reads get one of `bounces`.
    pub(super) fn next(&mut self, bounces: Option<&BounceBuffers>) -> Option<(u32, &InFlight)> {
        let slot = match self.again.pop() {
            Some(slot) => slot,
            None => self.fill_slot(bounces)?,
        };
        Some((slot, self.slots[slot as usize].as_ref().expect("a slot to be started holds a request")))
    }

    /// Whether there is one.
    pub(super) fn has_next(&self) -> bool {
        let has_flush = !self.flushes.is_running && !self.flushes.waiting.is_empty();
        !self.again.is_empty() || !self.free.is_empty() && (has_flush || !self.backlog.is_empty())
    }

    /// The one request in hand, if it is a read that the kernel was not given yet.
    pub(super) fn take_lone_read(&mut self) -> Option<Request> {
        let request = self.backlog.front()?;
        if request.operation != Operation::Read || self.len() != 1 {
            return None;
        }
        self.backlog.pop_front()
    }

    /// The kernel has answered for `slot`: a count of bytes, or a negated error number. What ended with this is put on
    /// `ended`.
    pub(super) fn answered(&mut self, slot: u32, answer: i32, gate: &Gate, ended: &mut Vec<Ended>) {
        let in_flight = self.slots[slot as usize].as_mut();
        let transfer = &mut in_flight.expect("the kernel answers for what it was given, once").transfer;
        let step = match usize::try_from(answer) {
            Ok(bytes) => transfer.moved_on(bytes, gate.align()),
            Err(_) => transfer.failed(-answer, is_passing(-answer)),
        };
        match step {
            Step::Again => self.again.push(slot),
            Step::Ended(result) => self.end(slot, result, gate, ended),
        }
    }

    /// Requests in hand, in slots and waiting: for an error report.
    pub(super) fn len(&self) -> usize {
        let in_slots = self.slots.len() - self.free.len();
        in_slots + self.backlog.len() + self.flushes.sharing.len() + self.flushes.waiting.len()
    }

    fn fill_slot(&mut self, bounces: Option<&BounceBuffers>) -> Option<u32> {
        let slot = *self.free.last()?;
        let request = self.next_flush().or_else(|| self.backlog.pop_front())?;
        self.free.pop();
        let bounce = bounces.and_then(|bounces| bounces.take_for(&request));
        self.slots[slot as usize] = Some(InFlight { transfer: Transfer::new(request), bounce });
        Some(slot)
    }

    fn next_flush(&mut self) -> Option<Request> {
        if self.flushes.is_running {
            return None;
        }
        let lead = self.flushes.waiting.pop_front()?;
        self.flushes.is_running = true;
        self.flushes.sharing.extend(self.flushes.waiting.drain(..));
        Some(lead)
    }

    fn end(&mut self, slot: u32, result: Result<(), Fault>, gate: &Gate, ended: &mut Vec<Ended>) {
        let InFlight { transfer, bounce } =
            self.slots[slot as usize].take().expect("it was there a moment ago");
        self.free.push(slot);
        let is_flush = transfer.request.operation == Operation::Flush;
        ended.push(Ended { request: transfer.request, bounce, result });
        if is_flush {
            self.end_flush(result, gate, ended);
        }
    }

    fn end_flush(&mut self, result: Result<(), Fault>, gate: &Gate, ended: &mut Vec<Ended>) {
        self.flushes.is_running = false;
        ended.extend(self.flushes.sharing.drain(..).map(|request| Ended::of(request, result)));
        if gate.flushed(result).is_err() {
            let too_late = self.flushes.waiting.drain(..);
            ended.extend(too_late.map(|request| Ended::of(request, Err(Fault::FlushFailed))));
        }
    }
}

/// Whether asking again may help.
fn is_passing(number: i32) -> bool {
    use rustix::io::Errno;
    [Errno::INTR, Errno::AGAIN, Errno::CANCELED].contains(&Errno::from_raw_os_error(number))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tidelock_format::DeviceRange;

    use super::*;
    use crate::{Completer, Completion};

    #[derive(Default)]
    struct Log(Mutex<Vec<(u64, Option<Fault>)>>);

    impl Completer for Log {
        fn complete(&self, completion: Completion) {
            let fault = completion.result.err().map(|error| error.fault);
            self.0.lock().unwrap().push((completion.tag, fault));
        }
    }

    /// Flushes with the tags 0 to 4 came in this order: 0, then while it runs 1 and 2.
    struct Scene {
        table: Table,
        gate: Gate,
        log: Arc<Log>,
    }

    impl Scene {
        fn new() -> Self {
            let mut scene =
                Self { table: Table::new(4), gate: Gate::new(1 << 20, 512, false), log: Arc::default() };
            scene.flush(0);
            assert!(scene.next_slot().is_some());
            scene.flush(1);
            scene.flush(2);
            assert_eq!(scene.next_slot(), None, "a second flush waits for the first");
            scene
        }

        fn flush(&mut self, tag: u64) {
            let range = DeviceRange::new(0, 0).unwrap();
            let completer = self.log.clone();
            self.table.accept(Request { operation: Operation::Flush, range, buffer: None, tag, completer });
        }

        fn next_slot(&mut self) -> Option<u32> {
            self.table.next(None).map(|(slot, _)| slot)
        }

        fn answer(&mut self, slot: u32, answer: i32) -> Vec<(u64, Option<Fault>)> {
            let mut ended = Vec::new();
            self.table.answered(slot, answer, &self.gate, &mut ended);
            ended.into_iter().for_each(|ended| ended.deliver(None));
            std::mem::take(&mut self.log.0.lock().unwrap())
        }
    }

    const EIO: i32 = 5;
    const ECANCELED: i32 = 125;

    #[test]
    fn flushes_that_come_while_one_runs_share_the_next() {
        let mut scene = Scene::new();
        assert_eq!(scene.answer(0, 0), [(0, None)]);
        let slot = scene.next_slot().unwrap();
        scene.flush(3);
        assert_eq!(scene.next_slot(), None);
        assert_eq!(scene.answer(slot, 0), [(1, None), (2, None)]);
        let slot = scene.next_slot().unwrap();
        assert_eq!(scene.answer(slot, 0), [(3, None)]);
        assert_eq!(scene.table.len(), 0);
    }

    #[test]
    fn after_a_failed_flush_those_that_waited_fail_too() {
        let mut scene = Scene::new();
        let failed = Some(Fault::FlushFailed);
        assert_eq!(scene.answer(0, -EIO), [(0, Some(Fault::Os(EIO))), (1, failed), (2, failed)]);
        assert_eq!(scene.gate.check_sound(), Err(Fault::FlushFailed));
        assert_eq!((scene.next_slot(), scene.table.len()), (None, 0));
    }

    #[test]
    fn all_who_share_a_failed_flush_are_told() {
        let mut scene = Scene::new();
        scene.answer(0, 0);
        let slot = scene.next_slot().unwrap();
        let failed = Some(Fault::Os(EIO));
        assert_eq!(scene.answer(slot, -EIO), [(1, failed), (2, failed)]);
    }

    #[test]
    fn a_read_is_lone_until_something_joins_it_or_the_kernel_has_it() {
        let completer = Arc::new(Log::default());
        let read = |tag| {
            let buffer = Some(crate::Buffer::Owned(crate::AlignedBuffer::zeroed(512, 512)));
            let range = DeviceRange::new(0, 512).unwrap();
            Request { operation: Operation::Read, range, buffer, tag, completer: completer.clone() }
        };
        let mut table = Table::new(4);
        assert!(table.take_lone_read().is_none());
        table.accept(read(0));
        assert_eq!(table.take_lone_read().map(|read| read.tag), Some(0));
        assert_eq!(table.len(), 0);
        table.accept(read(1));
        table.accept(read(2));
        assert!(table.take_lone_read().is_none(), "they are two");
        assert!(table.next(None).is_some());
        assert!(table.take_lone_read().is_none(), "the kernel has the other");
        assert!(table.next(None).is_some() && !table.has_next());
        assert_eq!(table.len(), 2);
    }

    #[test]
    fn a_cancelled_request_keeps_its_slot_and_goes_again() {
        let mut scene = Scene::new();
        assert_eq!(scene.answer(0, -ECANCELED), []);
        assert_eq!(scene.next_slot(), Some(0));
        assert_eq!(scene.answer(0, 0), [(0, None)]);
    }
}
