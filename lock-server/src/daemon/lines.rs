//! All connections: numbered slots, found without hashing from an event's token or from the machine's number.
//!
//! A connection's number is its slot and how many connections there were before it, so it is never used twice and leads
//! nowhere once the slot has another. A slot that became free is used again only in the next turn of the loop: an event of
//! this turn that still names it finds nothing.

use super::line::Line;
use crate::Connection;

/// Bits of a connection's number that name its slot.
const SLOT_BITS: u32 = 24;

#[derive(Debug, Default)]
pub(super) struct Lines {
    slots: Vec<Option<Line>>,
    free: Vec<usize>,
    /// Free from the next turn on.
    freed: Vec<usize>,
    last: u64,
}

impl Lines {
    /// The number and the slot of the next connection; `None` if there are sixteen million.
    pub(super) fn next(&mut self) -> Option<(usize, Connection)> {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        if slot >> SLOT_BITS != 0 {
            self.slots.pop();
            return None;
        }
        self.last += 1;
        Some((slot, Connection(self.last << SLOT_BITS | slot as u64)))
    }

    /// The slot was got from [`next`](Self::next).
    pub(super) fn put(&mut self, slot: usize, line: Line) {
        self.slots[slot] = Some(line);
    }

    /// A slot that was got and is not needed.
    pub(super) fn give_back(&mut self, slot: usize) {
        self.freed.push(slot);
    }

    pub(super) fn at(&mut self, slot: usize) -> Option<&mut Line> {
        self.slots.get_mut(slot)?.as_mut()
    }

    /// Where a connection is, if it is there.
    pub(super) fn slot(&self, connection: Connection) -> Option<usize> {
        let slot = (connection.0 & ((1 << SLOT_BITS) - 1)) as usize;
        let line = self.slots.get(slot)?.as_ref()?;
        (line.connection == connection).then_some(slot)
    }

    pub(super) fn remove(&mut self, slot: usize) -> Option<Line> {
        let line = self.slots.get_mut(slot)?.take()?;
        self.freed.push(slot);
        Some(line)
    }

    /// A new turn begins.
    pub(super) fn turn(&mut self) {
        self.free.append(&mut self.freed);
    }
}
