//! Carrying out what the machine wants done, and writing.

use tidelock_net::transport::Flushed;

use super::driver::Driver;
use super::line::Stage;
use crate::{Connection, Effect, Notice};

impl Driver {
    /// Carries out all that is to be done after the steps of a turn, and whatever comes of that.
    pub(super) fn settle(&mut self) {
        // Bound: another round follows only from a connection that was lost in this one.
        loop {
            self.server.flush(&mut self.effects);
            if self.effects.is_empty() {
                return;
            }
            let mut effects = std::mem::replace(&mut self.effects, std::mem::take(&mut self.spare));
            effects.drain(..).for_each(|effect| self.carry_out(effect));
            self.spare = effects;
            self.write_all();
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Write(connection, bytes) => self.queue(connection, &bytes),
            Effect::Close(connection) => self.end(connection),
            Effect::Apply(ticket, change) => self.scribe.ask(ticket, change),
            Effect::Notice(notice) => tell(&notice),
            Effect::Stop(reason) => self.stopped = Some(reason),
        }
    }

    fn queue(&mut self, connection: Connection, bytes: &[u8]) {
        let Some(slot) = self.lines.slot(connection) else { return };
        let Some(line) = self.lines.at(slot) else { return };
        line.link.queue(bytes);
        if line.stage == Stage::Stranger {
            line.stage = Stage::Answered;
        }
        self.touch(slot);
    }

    fn touch(&mut self, slot: usize) {
        let Some(line) = self.lines.at(slot) else { return };
        if !line.is_dirty {
            line.is_dirty = true;
            self.dirty.push(slot);
        }
    }

    /// The machine is done with a connection. If something was just said, its other end gets the time to read it: a socket
    /// that is closed with bytes unread takes back what it wrote.
    fn end(&mut self, connection: Connection) {
        let Some(slot) = self.lines.slot(connection) else { return };
        let Some(line) = self.lines.at(slot) else { return };
        match (line.stage, line.is_unsound, line.has_heard) {
            (Stage::Stranger, false, true) => self.tally.strangers_slow += 1,
            (Stage::Stranger, false, false) => self.tally.strangers_mute += 1,
            _ => {}
        }
        let has_said = line.link.queued() > 0;
        let until = self.now + self.bounds.last_word;
        line.stage = Stage::Ending { until };
        if has_said {
            self.endings.push_back((until, connection));
            self.touch(slot);
        } else {
            self.lose(slot);
        }
    }

    pub(super) fn ending_is_late(&mut self, connection: Connection) {
        if let Some(slot) = self.lines.slot(connection) {
            self.lose(slot);
        }
    }

    fn write_all(&mut self) {
        let mut dirty = std::mem::take(&mut self.dirty);
        for slot in dirty.drain(..) {
            if let Some(line) = self.lines.at(slot) {
                line.is_dirty = false;
                self.write(slot);
            }
        }
        // Nothing is queued while writing.
        self.dirty = dirty;
    }

    /// Writes what is queued, as far as it goes.
    pub(super) fn write(&mut self, slot: usize) {
        let Some(line) = self.lines.at(slot) else { return };
        let flushed = if line.is_ending() { line.link.finish() } else { line.link.flush() };
        let is_blocked = match flushed {
            Ok(flushed) => flushed == Flushed::Blocked,
            Err(error) => return self.ended(slot, &error),
        };
        let is_opening = matches!(line.stage, Stage::Opening { .. });
        let is_new = !is_opening && line.is_blocked != is_blocked;
        line.is_blocked = is_blocked && !is_opening;
        if line.link.queued() > self.bounds.outbox_bytes_max {
            self.tally.outboxes_full += 1;
            return self.lose(slot);
        }
        if is_new {
            self.register_again(slot);
        }
        self.look_whether_open(slot);
    }
}

fn tell(notice: &Notice) {
    match notice {
        Notice::Recovered => tracing::info!("{notice}"),
        Notice::Failed(_) => tracing::error!("{notice}"),
        _ => tracing::warn!("{notice}"),
    }
}
