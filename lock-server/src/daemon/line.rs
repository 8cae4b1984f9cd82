//! One connection, as the loop sees it.

use std::time::Duration;

use mio::Interest;
use tidelock_net::transport::Link;
use tidelock_net::{FRAME_BYTES_MAX, HELLO_BYTES_MAX, Principal};

use crate::Connection;

/// A connection, and how far it has come.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) link: Link,
    pub(super) connection: Connection,
    pub(super) stage: Stage,
    /// Whether anything has come in.
    pub(super) has_heard: bool,
    /// Whether there is more to read that no event will tell of.
    pub(super) is_waiting: bool,
    /// Whether it is among those that are to be flushed.
    pub(super) is_dirty: bool,
    /// Whether an event is to tell when more can be written.
    pub(super) is_blocked: bool,
    /// Whether what came in was no frame, which was counted.
    pub(super) is_unsound: bool,
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It proves who it is; the machine has not heard of it. It is given up then.
    Opening { until: Duration },
    /// The machine knows it, and has said nothing to it.
    Stranger,
    /// It was answered.
    Answered,
    /// The machine is done with it. What was said last is on its way; it is given up then.
    Ending { until: Duration },
}

impl Line {
    pub(super) fn new(link: Link, connection: Connection, stage: Stage) -> Self {
        Self {
            link,
            connection,
            stage,
            has_heard: false,
            is_waiting: false,
            is_dirty: false,
            is_blocked: false,
            is_unsound: false,
        }
    }

    /// What its events are to tell of. A socket that was read by its other end can be written, and a Unix socket says so
    /// each time: who has nothing to write is not to be woken for that at every round trip.
    pub(super) fn interest(&self) -> Interest {
        let is_opening = matches!(self.stage, Stage::Opening { .. });
        if is_opening || self.is_blocked { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE }
    }

    pub(super) fn is_ending(&self) -> bool {
        matches!(self.stage, Stage::Ending { .. })
    }

    /// Bytes that its next frame may have: whoever was not answered gets no memory.
    pub(super) fn frame_bytes_max(&self) -> usize {
        match self.stage {
            Stage::Opening { .. } | Stage::Stranger => HELLO_BYTES_MAX,
            Stage::Answered | Stage::Ending { .. } => FRAME_BYTES_MAX,
        }
    }

    /// Where it comes from, for people.
    pub(super) fn label(&self) -> String {
        let address = self.link.peer_address().map(|address| address.to_string());
        match (address, self.link.principal()) {
            (None, Some(Principal::User(user))) => format!("user {user} of this machine"),
            (Some(address), Some(Principal::Certificate(hash))) => {
                let key: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
                format!("{address}, key {key}")
            }
            (Some(address), _) => address,
            (None, _) => "this machine".into(),
        }
    }
}
