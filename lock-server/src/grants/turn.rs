//! When something happens, and what is answered.

use std::time::Duration;

use tidelock_format::ClientId;
use tidelock_lock_proto::ToClient;

use super::Answer;

/// The time of one call, and where its answers go.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    pub(super) now: Duration,
    pub(super) answers: &'a mut Vec<Answer>,
}

impl Turn<'_> {
    pub(super) fn answer(&mut self, client: ClientId, message: ToClient) {
        self.answers.push((client, message));
    }
}
