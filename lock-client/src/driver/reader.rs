//! What reads the socket: frames that have come in go to the desk, whoever's thread it is.

use std::io;
use std::time::Duration;

use tidelock_net::transport::{Heard, Spin, Watch};
use tidelock_net::{Connection, FRAME_BYTES_MAX, Frame};

use super::wire::{State, Wire};
use crate::shared::Shared;

/// Frames that are taken to the desk together, in bytes.
const BURST_BYTES: usize = 256 << 10;

/// Has the reading of one client's connections.
#[derive(Debug)]
pub(super) struct Reader {
    /// How one waits who waits for an answer.
    spin: Spin,
    /// The present connection, and how to wait for it.
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

impl Reader {
    pub(super) fn new(spin_max: Duration) -> Self {
        Self { spin: Spin::new(spin_max), watch: None, told: None, bytes: Vec::new(), ends: Vec::new() }
    }

    /// There is a new connection.
    pub(super) fn begin(&mut self, connection: Connection, watch: Watch) {
        self.watch = Some((connection, watch));
    }

    /// The connection, as something to wait for, if there is one.
    pub(super) fn watch(&mut self, wire: &Wire) -> Option<&Watch> {
        let (connection, watch) = self.watch.as_mut()?;
        match wire.state().link_of(*connection) {
            Some(link) => watch.look(link),
            None => self.watch = None,
        }
        self.watch.as_ref().map(|(_, watch)| watch)
    }

    /// Waits in the listener's place until something has come in, or until `limit` is over. Tells whether there is a
    /// connection at all.
    pub(super) fn wait(&mut self, wire: &Wire, limit: Option<Duration>) -> io::Result<bool> {
        if self.watch(wire).is_none() {
            return Ok(false);
        }
        let Self { spin, watch: Some((_, watch)), .. } = self else { return Ok(false) };
        spin.wait(limit, |limit| wire.stand_in.wait_on(watch, limit))?;
        Ok(true)
    }

    /// Reads all that has come in, and takes it to the desk.
    pub(super) fn listen(&mut self, wire: &Wire, shared: &Shared) {
        loop {
            match self.read(wire, shared) {
                Read::Nothing => return self.deliver(shared),
                Read::More => self.deliver(shared),
                Read::Over(connection) => {
                    self.deliver(shared);
                    return shared.at_desk(|desk, now| desk.disconnected(connection, now));
                }
            }
        }
    }

    /// Copies the frames that have come in.
    fn read(&mut self, wire: &Wire, shared: &Shared) -> Read {
        let mut state = wire.state();
        let State { link: Some((connection, link)), .. } = &mut *state else { return Read::Nothing };
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
            shared.at_desk(|desk, now| desk.connected(connection, now));
            return Read::More;
        }
        match outcome {
            Ok(Heard::All) if self.bytes.len() < BURST_BYTES => Read::Nothing,
            Ok(_) => Read::More,
            Err(_) => Read::Over(connection),
        }
    }

    fn deliver(&mut self, shared: &Shared) {
        let Some(connection) = self.told else { return };
        if self.ends.is_empty() {
            return;
        }
        let (bytes, ends) = (&self.bytes, &self.ends);
        let begins = std::iter::once(0).chain(ends.iter().copied());
        let frames = begins.zip(ends).map(|(begin, end)| Frame::decode(&bytes[begin..*end]));
        shared.heard_all(connection, frames);
        self.bytes.clear();
        self.ends.clear();
    }
}
