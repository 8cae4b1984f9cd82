//! A client that keeps to the protocol, beside others that do not: it is to be served as if they were not there.

use std::time::Duration;

use tidelock_format::{Fsid, Key, KeyRange};
use tidelock_lock_client::{Client, Config};
use tidelock_lock_proto::Mode;
use tidelock_lock_server::Connection;
use tidelock_net::{ClientConfig, Connection as Line, Frame, Principal, TimeoutPlan, frame_len};

use crate::carrier::{Recorder, Watch};

/// On whose behalf it comes: nobody else does.
pub(super) const PRINCIPAL: Principal = Principal::User(7);

const INSTANCE: u128 = 1;

/// Its first key: nobody else wants any of its locks.
const KEYS_FROM: u64 = 1 << 32;

/// The client, and its end of the connection.
#[derive(Debug)]
pub(super) struct Guest {
    client: Client,
    watch: Watch,
    recorder: Recorder,
    /// Its name of the connection that is made, and the server's.
    pub(super) link: Option<(Line, Connection)>,
    /// Locks that it took.
    served: u64,
}

impl Guest {
    /// One without a connection.
    pub(super) fn new(service: Fsid, plan: TimeoutPlan) -> Self {
        let session =
            ClientConfig { versions: (1, 1), service, instance: INSTANCE, plan, window: 64, seed: 1 };
        let config = Config { idle_locks_max: 2, ..Config::new(session) };
        let (watch, recorder) = (Watch::default(), Recorder::default());
        let client = Client::new(config, watch.clone(), recorder.clone());
        Self { client, watch, recorder, link: None, served: 0 }
    }

    /// What the server knows it as.
    pub(super) fn name() -> tidelock_format::ClientId {
        PRINCIPAL.client_id(INSTANCE)
    }

    /// When it wants to be ticked.
    pub(super) fn next_tick(&self) -> Option<Duration> {
        self.client.next_tick()
    }

    /// It is so late. Does what is due.
    pub(super) fn tick(&mut self, now: Duration) {
        self.watch.set(now);
        if self.next_tick().is_some_and(|next| next <= now) {
            self.client.tick();
        }
        self.oblige();
    }

    /// Does at once what the client wants of its embedder.
    fn oblige(&mut self) {
        let invalidations = std::mem::take(&mut self.recorder.wishes().invalidations);
        invalidations.into_iter().for_each(tidelock_lock_client::Invalidation::done);
        let losses = std::mem::take(&mut self.recorder.wishes().losses);
        losses.into_iter().for_each(tidelock_lock_client::Loss::handled);
        self.client.check();
    }

    /// Whether it has a session, as far as it was told.
    pub(super) fn has_session(&self) -> bool {
        self.client.lease_ends().is_some()
    }

    /// Takes its next lock, as far as that goes at once. Tells whether it has it.
    pub(super) fn take(&mut self) -> bool {
        let first = KEYS_FROM + self.served * 16;
        let range = KeyRange::new(Key::from_u64(first), Key::from_u64(first + 15)).expect("in order");
        let mode = if self.served.is_multiple_of(2) { Mode::Write } else { Mode::Read };
        let locks = self.client.locks();
        let is_taken = match locks.lock(range, mode).try_now() {
            Ok(guard) => guard.expect("a well-behaved client is served").is_valid(),
            Err(_waiting) => false,
        };
        self.served += u64::from(is_taken);
        is_taken
    }

    /// Whether it wants a connection that nobody has made.
    pub(super) fn wants_connection(&self) -> bool {
        self.link.map(|(line, _)| line) != self.recorder.wishes().connection
    }

    /// The connection that it asked for is made; to the server it is this one. Returns what it had before, for the server to
    /// hear that it is gone.
    pub(super) fn connect(&mut self, connection: Connection) -> Option<Connection> {
        let before = self.link.take().map(|(_, before)| before);
        let line = self.recorder.wishes().connection;
        self.link = line.map(|line| (line, connection));
        line.into_iter().for_each(|line| self.client.connected(line));
        before
    }

    /// Its connection is gone.
    pub(super) fn disconnected(&mut self) {
        if let Some((line, _)) = self.link.take() {
            self.client.disconnected(line);
        }
    }

    /// What it wrote, oldest first.
    pub(super) fn next_written(&mut self) -> Option<Vec<u8>> {
        self.recorder.wishes().written.pop_front()
    }

    /// The server wrote these bytes.
    ///
    /// # Panics
    /// If they are no frames.
    pub(super) fn hear(&mut self, bytes: &[u8]) {
        let Some((line, _)) = self.link else { return };
        let mut rest = bytes;
        while let Some(len) = frame_len(rest, usize::MAX).expect("whole frames") {
            let (frame, behind) = rest.split_at(len);
            self.client.heard(line, &Frame::decode(frame).expect("a server writes frames"));
            rest = behind;
        }
        self.oblige();
        assert_eq!(self.client.counters().violations, 0, "the server keeps to the protocol");
    }
}
