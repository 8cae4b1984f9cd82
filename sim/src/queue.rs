//! What is going to happen, in order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::clock::Time;
use crate::random::Random;

/// Events by when they are due. Those due at the same moment come in an order that is drawn.
#[derive(Debug)]
pub(crate) struct Queue<E> {
    due: BinaryHeap<Reverse<(Time, u32, usize)>>,
    events: Vec<Option<E>>,
    free: Vec<usize>,
    random: Random,
}

impl<E> Queue<E> {
    pub(crate) fn new(random: Random) -> Self {
        Self { due: BinaryHeap::new(), events: Vec::new(), free: Vec::new(), random }
    }

    pub(crate) fn push(&mut self, at: Time, event: E) {
        let place = self.free.pop().unwrap_or_else(|| {
            self.events.push(None);
            self.events.len() - 1
        });
        self.events[place] = Some(event);
        self.due.push(Reverse((at, self.random.next() as u32, place)));
    }

    pub(crate) fn pop(&mut self) -> Option<(Time, E)> {
        let Reverse((at, _, place)) = self.due.pop()?;
        self.free.push(place);
        let event = self.events[place].take().expect("an event is due once");
        Some((at, event))
    }
}
