//! The thread that listens: connects, reads, ticks.

use std::sync::Arc;
use std::time::Duration;

use tidelock_net::transport::{Heard, Link, Watch};
use tidelock_net::{Connection, FRAME_BYTES_MAX, Frame};

use super::wire::Wire;
use crate::clock::nanos;
use crate::{BootClock, Client, Clock};

/// Frames that are taken to the desk together, in bytes.
const BURST_BYTES: usize = 256 << 10;

pub(super) struct Listener {
    wire: Arc<Wire>,
    client: Client,
    /// The present connection, and what to wait for.
    watch: Option<(Connection, Watch)>,
    /// The connection whose being made has been told.
    told: Option<Connection>,
    /// Frames on their way to the desk, one behind the other, and where each ends.
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

/// What reading came to.
enum Read {
    /// There is nothing to read at present.
    Nothing,
    /// Frames, perhaps; and more may be there.
    More,
    /// The connection is at its end.
    Over(Connection),
}

impl Listener {
    pub(super) fn new(wire: Arc<Wire>, client: Client) -> Self {
        Self { wire, client, watch: None, told: None, bytes: Vec::new(), ends: Vec::new() }
    }

    pub(super) fn run(mut self) {
        self.client.tick();
        while !self.wire.state().is_stopped {
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
                    self.watch = Some((connection, watch));
                    self.wire.state().link = Some((connection, link));
                }
                Err(error) => {
                    tracing::debug!(%error, address = %target.address, "no connection to the lock server");
                    self.client.disconnected(connection);
                }
            }
            self.listen();
        }
    }

    fn sleep(&mut self) {
        let until = self.wire.sleep();
        let limit = (until != u64::MAX).then(|| Duration::from_nanos(until).saturating_sub(BootClock.now()));
        self.look();
        let watch = self.watch.as_ref().map(|(_, watch)| watch);
        if let Err(error) = self.wire.bell.wait_on(watch, limit) {
            tracing::error!(%error, "cannot wait for the lock server");
            // Better slow than at full speed.
            std::thread::sleep(Duration::from_millis(10));
        }
        self.wire.is_awake();
    }

    /// What is worth waiting for now.
    fn look(&mut self) {
        let mut state = self.wire.state();
        let Some((connection, watch)) = &mut self.watch else { return };
        match state.link_of(*connection) {
            Some(link) => watch.look(link),
            None => {
                drop(state);
                self.watch = None;
            }
        }
    }

    fn tick(&self) {
        if nanos(BootClock.now()) >= self.wire.next_tick() {
            self.client.tick();
        }
    }

    /// Reads all that has come in, and takes it to the desk.
    fn listen(&mut self) {
        loop {
            match self.read() {
                Read::Nothing => return self.deliver(),
                Read::More => self.deliver(),
                Read::Over(connection) => {
                    self.deliver();
                    self.client.disconnected(connection);
                    return;
                }
            }
        }
    }

    /// Copies the frames that have come in.
    fn read(&mut self) -> Read {
        let wire = self.wire.clone();
        let mut state = wire.state();
        let Some((connection, link)) = &mut state.link else { return Read::Nothing };
        let connection = *connection;
        let outcome = link.flush().and_then(|_| link.read());
        while self.bytes.len() < BURST_BYTES {
            match link.next_frame(FRAME_BYTES_MAX) {
                Ok(Some(frame)) => {
                    self.bytes.extend_from_slice(frame);
                    self.ends.push(self.bytes.len());
                }
                Ok(None) => break,
                Err(_) => return Read::Over(connection),
            }
        }
        if link.is_open() && self.told != Some(connection) {
            self.told = Some(connection);
            drop(state);
            self.client.connected(connection);
            return Read::More;
        }
        match outcome {
            Ok(Heard::All) if self.bytes.len() < BURST_BYTES => Read::Nothing,
            Ok(_) => Read::More,
            Err(_) => Read::Over(connection),
        }
    }

    fn deliver(&mut self) {
        let Some(connection) = self.told else { return };
        if self.ends.is_empty() {
            return;
        }
        let (bytes, ends) = (&self.bytes, &self.ends);
        let begins = std::iter::once(0).chain(ends.iter().copied());
        let frames = begins.zip(ends).map(|(begin, end)| Frame::decode(&bytes[begin..*end]));
        self.client.heard_all(connection, frames);
        self.bytes.clear();
        self.ends.clear();
    }
}
