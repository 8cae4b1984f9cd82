//! The thread that listens: connects, ticks, and reads while nobody else does.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tidelock_net::transport::{Gate, Link, Watch};

use super::ear::Ear;
use super::wire::Wire;
use crate::clock::nanos;
use crate::shared::Shared;
use crate::{BootClock, Clock};

pub(super) struct Listener {
    wire: Arc<Wire>,
    ear: Arc<Ear>,
    shared: Arc<Shared>,
    /// That of the last connection.
    gate: Option<Gate>,
}

impl Listener {
    pub(super) fn new(wire: Arc<Wire>, ear: Arc<Ear>, shared: Arc<Shared>) -> Self {
        Self { wire, ear, shared, gate: None }
    }

    pub(super) fn run(mut self) {
        self.shared.tick();
        while self.wire.goes_on() {
            self.connect();
            self.sleep();
            self.tick();
            self.listen();
        }
    }

    /// Makes the connection that the desk wants.
    fn connect(&mut self) {
        loop {
            let wanted = self.wire.state().wanted.take();
            let Some(connection) = wanted else { return };
            let target = &self.wire.target;
            let link = Link::connect(&target.address, &target.options, connection.0);
            match link.and_then(|link| Ok((Watch::new(&link)?, link))) {
                Ok((watch, link)) => {
                    self.gate = Some(watch.gate());
                    self.wire.put_link(None);
                    self.ear.take().begin(connection, watch);
                    self.wire.put_link(Some((connection, link)));
                }
                Err(error) => {
                    tracing::debug!(%error, address = %target.address, "no connection to the lock server");
                    self.shared.at_desk(|desk, now| desk.disconnected(connection, now));
                }
            }
            self.listen();
        }
    }

    fn sleep(&mut self) {
        let until = self.wire.sleep();
        let limit = (until != u64::MAX).then(|| Duration::from_nanos(until).saturating_sub(BootClock.now()));
        if let Err(error) = self.wait(limit) {
            tracing::error!(%error, "cannot wait for the lock server");
            // Better slow than at full speed.
            std::thread::sleep(Duration::from_millis(10));
        }
        self.wire.is_awake();
    }

    fn wait(&mut self, limit: Option<Duration>) -> io::Result<bool> {
        // R2: whoever has the reader now opens the gate when it gives it back.
        if let Some(mut reader) = self.ear.try_take() {
            match reader.watch(&self.wire) {
                Some(watch) => watch.open_gate()?,
                None => self.gate = None,
            }
        }
        self.wire.bell.wait_at(self.gate.as_ref(), limit)
    }

    fn tick(&self) {
        if nanos(BootClock.now()) >= self.wire.next_tick() {
            self.shared.tick();
        }
    }

    /// Reads, unless somebody does already (R1).
    fn listen(&mut self) {
        if let Some(mut reader) = self.ear.try_take() {
            reader.listen(&self.wire, &self.shared);
        }
    }
}
