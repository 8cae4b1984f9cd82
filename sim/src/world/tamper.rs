//! Planted bugs that show on the wire or in the records: see [`Canary`].

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tidelock_authority::Change;
use tidelock_format::{Key, Term, Token};
use tidelock_lock_client::Phase;
use tidelock_lock_proto::{Envelope, Mode, ToClient, ToServer};
use tidelock_lock_server::Records;
use tidelock_net::{Frame, Verdict, Welcome};

use super::network::Way;
use super::wire::{message_to_client, message_to_server};
use super::{World, lock_no};
use crate::canary::Canary;

/// What planted bugs have to remember.
#[derive(Debug, Default)]
pub(super) struct Tampering {
    /// Who asked to write, and is said to have asked to read.
    belittled: BTreeSet<(usize, Key)>,
    /// What clients have asked for and were not answered.
    questions: BTreeMap<usize, (Envelope, ToServer)>,
}

impl World<'_> {
    pub(super) fn tamper_down(&mut self, link: usize, bytes: Vec<u8>) -> Vec<u8> {
        let Some(canary) = self.canary else { return bytes };
        let client = self.network.links[link].client;
        if canary == Canary::LongLease {
            return lengthen(bytes);
        }
        let Some((_, envelope, ToClient::Granted(mut granted))) = message_to_client(&bytes) else {
            return bytes;
        };
        self.tampering.questions.remove(&client);
        let start = granted.range.start();
        let random = &mut self.network.random;
        match canary {
            Canary::GrantTooMuch if self.tampering.belittled.remove(&(client, start)) => {
                granted.change.to = Mode::Write;
                with_message(&bytes, envelope, &ToClient::Granted(granted))
            }
            Canary::GrantLost if random.permille(10) => {
                let envelope = Envelope { term: Term(0), ..envelope };
                with_message(&bytes, envelope, &ToClient::Granted(granted))
            }
            Canary::TokenRepeats if random.permille(50) && granted.token.seq.0 > 1 => {
                let seq = tidelock_format::GrantSeq(granted.token.seq.0 - 1);
                granted.token = Token { seq, ..granted.token };
                with_message(&bytes, envelope, &ToClient::Granted(granted))
            }
            Canary::Swapped => {
                // Slow enough for something to come up behind.
                let (until, by) = (self.now + Duration::from_secs(1), Duration::from_millis(500));
                let machine = self.clients[client].machine;
                let server = self.network.links[link].server;
                self.network.slow_down(Way::Down, machine, server, until, by);
                bytes
            }
            _ => bytes,
        }
    }

    /// Delivers a grant that is on its way, and the call to come down behind it, the wrong way round. What was said was said:
    /// only what arrives is different.
    pub(super) fn swap_if_planted(&mut self, link: usize, bytes: Vec<u8>) -> Vec<u8> {
        if !self.has(Canary::Swapped) {
            return bytes;
        }
        let Some((_, envelope, call @ ToClient::Revoke(descent))) = message_to_client(&bytes) else {
            return bytes;
        };
        let Some(before) = self.network.links[link].lane(Way::Down).last_frame() else { return bytes };
        match message_to_client(before) {
            Some((_, _, grant @ ToClient::Granted(granted))) if granted.range.start() == descent.start => {
                *before = with_message(before, envelope, &call);
                with_message(&bytes, envelope, &grant)
            }
            _ => bytes,
        }
    }

    pub(super) fn tamper_up(&mut self, client: usize, bytes: Vec<u8>) -> Vec<u8> {
        let Some(canary) = self.canary else { return bytes };
        let Some((_, envelope, message)) = message_to_server(&bytes) else { return bytes };
        let random = &mut self.network.random;
        let message = match (canary, message) {
            (Canary::GrantTooMuch, ToServer::Acquire(mut acquire))
                if acquire.change.to == Mode::Write && acquire.change.from == Mode::Null =>
            {
                self.tampering.belittled.insert((client, acquire.range.start()));
                acquire.change.to = Mode::Read;
                ToServer::Acquire(acquire)
            }
            (Canary::AskTwice, question @ ToServer::Acquire(_)) => {
                self.tampering.questions.insert(client, (envelope, question));
                return bytes;
            }
            (Canary::AskTwice, ToServer::Ceded(_) | ToServer::Release(_)) => {
                match self.tampering.questions.get(&client) {
                    Some((asked, question)) if *asked == envelope => question.clone(),
                    _ => return bytes,
                }
            }
            (Canary::Liar, ToServer::Release(descent)) if random.permille(300) => ToServer::Ceded(descent),
            (Canary::NewModeTold, ToServer::Snapshot(mut part)) => {
                for held in &mut part.held {
                    let hold = self.clients[client].locks.dump();
                    let is_it = |start: Key| lock_no(start) == lock_no(held.range.start());
                    let hold = hold.iter().find(|hold| is_it(hold.range.start()));
                    if let Some(hold) = hold.filter(|hold| hold.phase == Phase::Invalidating) {
                        held.mode = hold.usable;
                    }
                }
                part.held.retain(|held| held.mode != Mode::Null);
                ToServer::Snapshot(part)
            }
            _ => return bytes,
        };
        let mut content = Vec::new();
        message.encode(envelope, &mut content);
        with_content(&bytes, &content)
    }

    pub(super) fn tamper_change(&mut self, change: Change) -> Change {
        match change {
            Change::LeaveSession { client, incarnation } if self.has(Canary::RecordFirst) => {
                Change::CloseSession { client, incarnation }
            }
            change => change,
        }
    }

    pub(super) fn tamper_records(&mut self, mut records: Records) -> Records {
        if self.has(Canary::ForgottenClient) && !records.clients.is_empty() {
            let forgotten = self.records.random.index(records.clients.len());
            records.clients.remove(forgotten);
        }
        records
    }
}

fn lengthen(bytes: Vec<u8>) -> Vec<u8> {
    let Ok(Frame::Welcome(welcome)) = Frame::decode(&bytes) else { return bytes };
    let longer = |lease: Duration| lease * 2;
    let verdict = match welcome.verdict {
        Verdict::New { incarnation, lease } => Verdict::New { incarnation, lease: longer(lease) },
        Verdict::Resumed { done, lease } => Verdict::Resumed { done, lease: longer(lease) },
        Verdict::Recover { lease } => Verdict::Recover { lease: longer(lease) },
        other => other,
    };
    let mut bytes = Vec::new();
    Frame::Welcome(Welcome { verdict, ..welcome }).encode(&mut bytes);
    bytes
}

fn with_message(bytes: &[u8], envelope: Envelope, message: &ToClient) -> Vec<u8> {
    let mut content = Vec::new();
    message.encode(envelope, &mut content);
    with_content(bytes, &content)
}

/// The same frame with something else in it.
fn with_content(bytes: &[u8], content: &[u8]) -> Vec<u8> {
    let Ok(Frame::Message { number, done, .. }) = Frame::decode(bytes) else { return bytes.to_vec() };
    let mut bytes = Vec::new();
    Frame::Message { number, done, content }.encode(&mut bytes);
    bytes
}
