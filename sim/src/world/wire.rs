//! What is said on the wire, as properties are told: each message once, when it is said first and when it arrives first.

use std::collections::BTreeMap;

use tidelock_format::{Incarnation, Term};
use tidelock_lock_proto::{Envelope, ToClient, ToServer};
use tidelock_net::{FRAME_BYTES_MAX, Frame, Verdict, Welcome, frame_len};

use super::World;
use super::network::{Parcel, Way};
use crate::facts::Fact;

/// A client's process under one server.
type Talk = (usize, Incarnation, Term);

/// How far what was said is known.
#[derive(Debug, Default)]
pub(super) struct Wire {
    said: BTreeMap<Talk, u64>,
    asked: BTreeMap<Talk, u64>,
    reached: BTreeMap<Talk, u64>,
}

/// A message that has arrived, for the first time it seems.
pub(super) struct Arrived {
    number: u64,
    envelope: Envelope,
    message: ToClient,
}

fn is_first(seen: &mut BTreeMap<Talk, u64>, client: usize, envelope: &Envelope, number: u64) -> bool {
    let last = seen.entry((client, envelope.incarnation, envelope.term)).or_default();
    let is_first = number > *last;
    *last = number.max(*last);
    is_first
}

impl World<'_> {
    /// A server writes whole frames to a connection.
    pub(super) fn server_writes(&mut self, link: usize, bytes: &[u8]) {
        let mut rest = bytes;
        while let Ok(Some(len)) = frame_len(rest, FRAME_BYTES_MAX) {
            let (frame, behind) = rest.split_at(len);
            rest = behind;
            self.server_says(link, frame.to_vec());
        }
    }

    fn server_says(&mut self, link: usize, bytes: Vec<u8>) {
        self.log.mix_bytes(&bytes);
        let bytes = self.tamper_down(link, bytes);
        let client = self.network.links[link].client;
        let said = message_to_client(&bytes);
        if let Some((number, envelope, message)) = &said {
            let is_first = is_first(&mut self.wire.said, client, envelope, *number);
            let again = if is_first { "" } else { " again" };
            self.log.line(
                self.now,
                format_args!("t{} says{again} to c{client}: {number} {message:?}", envelope.term),
            );
            if is_first {
                self.judge(&Fact::Said { to: client, number: *number, envelope: *envelope, message });
            }
        } else {
            self.log_frame("server says to", client, &bytes);
        }
        let bytes = self.swap_if_planted(link, bytes);
        self.send(link, Way::Down, Parcel::Frame(bytes));
    }

    /// A client writes a frame to a connection. What it asks for the first time is kept for the properties, until they can
    /// see the client as it is by then.
    pub(super) fn client_writes(&mut self, client: usize, link: usize, bytes: Vec<u8>) {
        self.log.mix_bytes(&bytes);
        let bytes = self.tamper_up(client, bytes);
        match message_to_server(&bytes) {
            Some((number, envelope, message)) => {
                let is_first = is_first(&mut self.wire.asked, client, &envelope, number);
                let again = if is_first { "" } else { " again" };
                self.log.line(self.now, format_args!("c{client} says{again}: {number} {message:?}"));
                if is_first {
                    self.clients[client].asked.push((envelope, message));
                }
            }
            None => self.log_frame("says:", client, &bytes),
        }
        self.send(link, Way::Up, Parcel::Frame(bytes));
    }

    fn log_frame(&mut self, says: &str, client: usize, bytes: &[u8]) {
        if let Ok(frame) = Frame::decode(bytes) {
            self.log.line(self.now, format_args!("c{client} {says} {frame:?}"));
        }
    }

    /// A frame has come to a client that still listens to the connection.
    pub(super) fn arriving(&mut self, client: usize, bytes: &[u8]) -> Option<Arrived> {
        if let Ok(Frame::Welcome(Welcome { term, verdict, .. })) = Frame::decode(bytes) {
            self.welcomed(client, term, verdict);
            return None;
        }
        let (number, envelope, message) = message_to_client(bytes)?;
        let view = &self.views[client];
        let is_ours = (envelope.incarnation, envelope.term) == (view.incarnation, view.term);
        let is_fresh = is_ours && is_first(&mut self.wire.reached, client, &envelope, number);
        is_fresh.then_some(Arrived { number, envelope, message })
    }

    fn welcomed(&mut self, client: usize, term: Term, verdict: Verdict) {
        let view = &mut self.views[client];
        match verdict {
            _ if term < view.term => {}
            Verdict::New { incarnation, .. } if view.incarnation == Incarnation(0) => {
                (view.incarnation, view.term) = (incarnation, term);
            }
            Verdict::Recover { .. } => view.term = term,
            // Another session will follow.
            Verdict::Expelled { upto } if upto >= view.incarnation => view.incarnation = Incarnation(0),
            _ => {}
        }
    }

    pub(super) fn arrived(&mut self, client: usize, arrived: &Arrived) {
        let Arrived { number, envelope, message } = arrived;
        self.judge(&Fact::Reached { client, number: *number, envelope: *envelope, message });
    }
}

/// The message to a client in a frame.
pub(super) fn message_to_client(bytes: &[u8]) -> Option<(u64, Envelope, ToClient)> {
    let Ok(Frame::Message { number, content, .. }) = Frame::decode(bytes) else { return None };
    let (envelope, message) = ToClient::decode(content).ok()?;
    Some((number.0, envelope, message))
}

/// The message to a server in a frame.
pub(super) fn message_to_server(bytes: &[u8]) -> Option<(u64, Envelope, ToServer)> {
    let Ok(Frame::Message { number, content, .. }) = Frame::decode(bytes) else { return None };
    let (envelope, message) = ToServer::decode(content).ok()?;
    Some((number.0, envelope, message))
}
