//! **Z-14** The register under each lock behaves like one register, whoever reads and writes it: linearizability.
//!
//! Deciding that for any history is hard; here it is not, because three things are known. Every written value is unique, so a
//! read says whose write it saw. The store takes one write after the other, so the order of writes is known, and with it when
//! each took effect at the earliest. And a write that is computed from what was read says from what, so the store's order can be
//! judged by itself: who overwrites something else than it had read has lost somebody's update.
//!
//! What is left is when a write is over at the latest: when its caller was told, or when somebody has read it, or a later one.
//! A read is wrong if, before it began, the write after the one that it saw was over. That never accuses a history that is
//! linearizable: had the read taken effect while it was under way, so had the later write, before it. And it misses only reads that
//! fell into a write that nobody was told of and nobody has seen by then: the outcome of such a write is *unknown*, and that
//! is not a failure.

use std::collections::BTreeMap;

use super::{Verdict, Watch};
use crate::clock::Time;
use crate::facts::{Fact, LockNo, Scene};

/// What is done to a register.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Call {
    /// The store took a write. `read` is what its writer had read before, if it had.
    Stored { lock: LockNo, value: u64, read: Option<u64>, found: u64 },
    /// A writer was told that its write was taken.
    Told { lock: LockNo, value: u64 },
    /// Somebody has read.
    Read { client: usize, lock: LockNo, value: u64, began: Time },
}

/// One write that the store took.
#[derive(Clone, Copy, Debug)]
struct Write {
    value: u64,
    /// When it was over at the latest, as far as is known.
    over: Option<Time>,
}

#[derive(Default)]
pub(super) struct Linear {
    /// In the order in which the store took them.
    writes: BTreeMap<LockNo, Vec<Write>>,
}

impl Linear {
    fn writes(&mut self, lock: LockNo) -> &mut Vec<Write> {
        self.writes.entry(lock).or_insert_with(|| vec![Write { value: 0, over: Some(Time::ZERO) }])
    }

    /// The write of this value is over, and with it those before.
    fn over(&mut self, lock: LockNo, value: u64, now: Time) -> Option<usize> {
        let writes = self.writes(lock);
        let place = writes.iter().rposition(|write| write.value == value)?;
        for write in writes[..=place].iter_mut().rev() {
            if write.over.is_some() {
                break;
            }
            write.over = Some(now);
        }
        Some(place)
    }

    fn read(&mut self, client: usize, lock: LockNo, value: u64, began: Time, now: Time) -> Verdict {
        let Some(place) = self.over(lock, value, now) else {
            return Err(format!("client {client} reads {value} in register {lock}, which nobody wrote"));
        };
        match self.writes(lock).get(place + 1) {
            Some(Write { value: later, over: Some(over) }) if *over < began => Err(format!(
                "client {client} reads {value} in register {lock}, and {later} was written {:?} before",
                began - *over
            )),
            _ => Ok(()),
        }
    }
}

impl Watch for Linear {
    fn see(&mut self, fact: &Fact<'_>, scene: &Scene<'_>) -> Verdict {
        let Fact::Called(call) = fact else { return Ok(()) };
        match **call {
            Call::Stored { lock, value, read, found } => {
                if let Some(read) = read.filter(|read| *read != found) {
                    return Err(format!(
                        "{value} is written to register {lock} by who had read {read}, and {found} is lost"
                    ));
                }
                self.writes(lock).push(Write { value, over: None });
                Ok(())
            }
            Call::Told { lock, value } => {
                self.over(lock, value, scene.now);
                Ok(())
            }
            Call::Read { client, lock, value, began } => self.read(client, lock, value, began, scene.now),
        }
    }
}
