//! Two ends, and a connection between them that breaks whenever it likes.

use std::collections::{BTreeMap, HashSet, VecDeque};

use proptest::prelude::*;

use crate::{Arrival, Number, Stream, StreamViolation, WindowFull};

/// One direction: messages go from one end to the other, and back goes how far they are done.
#[derive(Clone, PartialEq, Eq, Hash)]
struct World {
    sender: Stream,
    receiver: Stream,
    /// On their way on the present connection.
    messages: VecDeque<(Number, Vec<u8>)>,
    reports: VecDeque<Number>,
    /// Delivered and not reported, with what was in them.
    handling: BTreeMap<u64, u8>,
    /// How often each was done.
    done: Vec<u8>,
    to_send: u8,
    failures: u8,
    cuts: u8,
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Send,
    Write,
    Arrive,
    /// The n-th of those that are being handled.
    Handle(usize),
    Fail(usize),
    Report,
    HearReport,
    Cut,
}

const WINDOW: usize = 3;

impl World {
    fn new(to_send: u8, failures: u8, cuts: u8) -> Self {
        Self {
            sender: Stream::new(WINDOW),
            receiver: Stream::new(WINDOW),
            messages: VecDeque::new(),
            reports: VecDeque::new(),
            handling: BTreeMap::new(),
            done: vec![0; to_send.into()],
            to_send,
            failures,
            cuts,
        }
    }

    fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        events.extend((self.to_send > 0 && self.sender.waiting() < WINDOW).then_some(Event::Send));
        events.extend(self.sender.clone().next_to_write().map(|_| Event::Write));
        events.extend((!self.messages.is_empty()).then_some(Event::Arrive));
        events.extend((!self.reports.is_empty()).then_some(Event::HearReport));
        events.extend((self.cuts > 0).then_some(Event::Cut));
        events.extend((0..self.handling.len()).map(Event::Handle));
        events.extend((0..self.handling.len()).filter(|_| self.failures > 0).map(Event::Fail));
        let is_told = self.reports.back().is_some_and(|last| *last == self.receiver.done());
        let is_news =
            !is_told && (self.receiver.done().0 + self.sender.waiting() as u64) > self.sender.sent().0;
        events.extend(is_news.then_some(Event::Report));
        events
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Send => {
                let content = (self.done.len() - usize::from(self.to_send)) as u8;
                self.to_send -= 1;
                let number = self.sender.send(vec![content]).expect("there is room");
                assert_eq!(number.0, u64::from(content) + 1);
            }
            Event::Write => {
                let (number, message) = self.sender.next_to_write().expect("there is something");
                self.messages.push_back((number, message.to_vec()));
            }
            Event::Arrive => {
                let (number, message) = self.messages.pop_front().expect("something is on its way");
                assert_eq!(number.0, u64::from(message[0]) + 1, "N1: a message keeps its number");
                if self.receiver.arrived(number).expect("no gaps") == Arrival::Fresh {
                    let before = self.handling.insert(number.0, message[0]);
                    assert_eq!(before, None, "N2: delivered while it is being handled");
                }
            }
            Event::Handle(place) => {
                let number = self.nth(place);
                let content = self.handling.remove(&number).expect("it is there");
                self.done[usize::from(content)] += 1;
                assert_eq!(self.done[usize::from(content)], 1, "N2: done twice");
                self.receiver.handled(Number(number));
            }
            Event::Fail(place) => {
                self.failures -= 1;
                let number = self.nth(place);
                self.handling.remove(&number);
                self.receiver.failed(Number(number));
                self.cut();
            }
            Event::Report => self.reports.push_back(self.receiver.done()),
            Event::HearReport => {
                let done = self.reports.pop_front().expect("something is on its way");
                self.sender.peer_is_done(done).expect("N4");
            }
            Event::Cut => {
                self.cuts -= 1;
                self.cut();
            }
        }
        assert!(self.sender.waiting() <= WINDOW, "N3");
    }

    fn nth(&self, place: usize) -> u64 {
        *self.handling.keys().nth(place).expect("it is there")
    }

    fn cut(&mut self) {
        self.messages.clear();
        self.reports.clear();
        self.sender.reconnected(self.receiver.done()).expect("N4");
    }

    /// Where nothing can happen any more but another cut, everything was done, once.
    fn check(&self) {
        let is_over = self.events().iter().all(|event| matches!(event, Event::Cut));
        if is_over {
            assert!(self.done.iter().all(|times| *times == 1), "A-66: {:?}", self.done);
            assert_eq!(self.sender.waiting(), 0, "N3: nothing is kept that is done");
        }
    }
}

/// cut the connection wherever you like, let handlers fail: each message is done once.
#[test]
fn every_message_is_done_once_in_every_order_of_events() {
    let mut seen = HashSet::new();
    let mut waiting = vec![World::new(6, 2, 3)];
    while let Some(world) = waiting.pop() {
        world.check();
        for event in world.events() {
            let mut next = world.clone();
            next.happen(event);
            if seen.insert(next.clone()) {
                waiting.push(next);
            }
        }
    }
    println!("{} states", seen.len());
    assert!(seen.len() > 10_000, "the bound is so small that it shows nothing: {} states", seen.len());
}

proptest! {
    /// The same for longer, in some orders.
    #[test]
    fn every_message_of_a_long_talk_is_done_once(choices in prop::collection::vec(any::<prop::sample::Index>(), 400)) {
        let mut world = World::new(40, 6, 12);
        for choice in choices {
            let events = world.events();
            if events.is_empty() {
                break;
            }
            world.happen(events[choice.index(events.len())]);
        }
        // And then to the end, without cuts.
        (world.failures, world.cuts) = (0, 0);
        while let Some(event) = world.events().last().copied() {
            world.happen(event);
        }
        world.check();
    }
}

#[test]
fn a_gap_and_an_impossible_report_are_violations() {
    let mut stream = Stream::new(4);
    assert_eq!(stream.arrived(Number(2)), Err(StreamViolation::Gap { expected: 1, found: 2 }));
    assert_eq!(stream.arrived(Number(1)), Ok(Arrival::Fresh));
    assert_eq!(stream.arrived(Number(1)), Ok(Arrival::Repeated), "while it is handled");
    stream.send(vec![1]).unwrap();
    let unwritten = StreamViolation::Done { found: 1, done: 0, sent: 0 };
    assert_eq!(stream.peer_is_done(Number(1)), Err(unwritten), "it was never written");
    stream.next_to_write().unwrap();
    stream.peer_is_done(Number(1)).unwrap();
    let taken_back = StreamViolation::Done { found: 0, done: 1, sent: 1 };
    assert_eq!(stream.reconnected(Number(0)), Err(taken_back), "N4");
}

#[test]
fn the_window_bounds_what_is_kept_for_a_silent_end() {
    let mut stream = Stream::new(2);
    stream.send(vec![1]).unwrap();
    stream.send(vec![2]).unwrap();
    assert_eq!(stream.send(vec![3]), Err(WindowFull { window: 2 }));
}

#[test]
#[should_panic(expected = "N2: message 1 is not being handled")]
fn reporting_a_message_twice_is_a_broken_caller() {
    let mut stream = Stream::new(2);
    stream.arrived(Number(1)).unwrap();
    stream.handled(Number(1));
    stream.handled(Number(1));
}
