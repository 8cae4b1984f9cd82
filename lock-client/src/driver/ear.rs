//! Who listens to the server: the driver's thread, or in its place one that waits for an answer.
//!
//! An answer that one thread reads for another costs one wake-up more than one that its thread reads by itself, and a wake-up
//! may be as much as all the rest. So a thread that waits for a lock steps in for the listener, if no other has: it shuts the
//! listener's [gate](tidelock_net::transport::Gate), reads until it has its answer, and opens the gate again. All others who
//! wait are told as ever. (The idea is that of the Leader/Followers pattern of D. Schmidt and others.)
//!
//! - **R1** Whoever has the reader reads, alone. Who does not get it does without: whoever has it tells.
//! - **R2** Whoever has given the reader back opens the gate after that: what has come in, or comes, wakes the listener.
//! - **R3** Who listens in its place says that it [sleeps](crate::sleeper), and then looks once more for its answer and for its
//!   connection. Whoever answers it by another way, or takes the connection away, rings then.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::time::{Duration, Instant};

use super::reader::Reader;
use super::wire::Wire;
use crate::shared::{Listen, Shared};

pub(super) struct Ear {
    wire: Arc<Wire>,
    reader: Mutex<Reader>,
}

impl Ear {
    pub(super) fn new(wire: Arc<Wire>, spin_max: Duration) -> Self {
        Self { wire, reader: Mutex::new(Reader::new(spin_max)) }
    }

    /// The reader, unless another has it (R1).
    pub(super) fn try_take(&self) -> Option<MutexGuard<'_, Reader>> {
        match self.reader.try_lock() {
            Ok(reader) => Some(reader),
            Err(TryLockError::WouldBlock) => None,
            Err(TryLockError::Poisoned(_)) => panic!("nobody panics while listening"),
        }
    }

    /// Sleeps until there may be something to read. Tells whether there still is something to sleep for (R3).
    fn sleep(&self, reader: &mut Reader, is_told: &dyn Fn() -> bool, deadline: Option<Instant>) -> bool {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let _nap = self.wire.nap();
        let is_over = is_told() || left == Some(Duration::ZERO) || !self.wire.goes_on();
        !is_over && reader.wait(&self.wire, left).is_ok_and(|is_connected| is_connected)
    }

    /// The reader, when another who has it has noticed that the connection is gone.
    pub(super) fn take(&self) -> MutexGuard<'_, Reader> {
        self.reader.lock().expect("nobody panics while listening")
    }
}

impl Listen for Ear {
    fn listen_until(&self, is_told: &dyn Fn() -> bool, deadline: Option<Instant>, shared: &Shared) {
        let Some(mut reader) = self.try_take() else { return };
        if let Some(watch) = reader.watch(&self.wire) {
            // Open, it would only wake the listener for nothing.
            let _ = watch.shut_gate();
        }
        // Bound: every round waits, for the deadline, the answer, the connection's end, or a message.
        while self.sleep(&mut reader, is_told, deadline) {
            reader.listen(&self.wire, shared);
        }
        let watch = reader.watch(&self.wire).cloned();
        drop(reader);
        // R2: not before, or the listener could find the reader taken, and sleep behind a gate that has let it through.
        if watch.is_some_and(|watch| watch.open_gate().is_err()) {
            self.wire.bell.ring();
        }
    }

    fn rouse(&self) {
        self.wire.rouse();
    }
}

impl fmt::Debug for Ear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ear").finish_non_exhaustive()
    }
}
