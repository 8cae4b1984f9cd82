//! Reading: from events to frames, and from frames to the machine.

use mio::event::Event;
use tidelock_net::transport::{Heard, LinkError};
use tidelock_net::{Frame, FrameError};

use super::driver::Driver;
use super::line::Stage;
use crate::Input;

impl Driver {
    pub(super) fn line_event(&mut self, slot: usize, event: &Event) {
        let Some(line) = self.lines.at(slot) else { return };
        line.link.ready(event);
        if line.is_blocked || !line.link.is_open() {
            self.write(slot);
        }
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            self.read(slot);
        }
    }

    /// Those that had more to read than one read takes.
    pub(super) fn go_on_reading(&mut self) {
        for _ in 0..self.waiting.len() {
            let Some(slot) = self.waiting.pop_front() else { return };
            // It may be gone, and its slot another's: then this is one read for nothing.
            if let Some(line) = self.lines.at(slot) {
                line.is_waiting = false;
                self.read(slot);
            }
        }
    }

    /// Reads once, and takes the frames that are whole.
    fn read(&mut self, slot: usize) {
        let Some(line) = self.lines.at(slot) else { return };
        self.tally.reads += 1;
        match line.link.read() {
            Ok(heard) => {
                self.look_whether_open(slot);
                self.take_frames(slot);
                if heard == Heard::More {
                    self.read_again(slot);
                }
            }
            Err(error) => self.ended(slot, &error),
        }
    }

    fn read_again(&mut self, slot: usize) {
        let Some(line) = self.lines.at(slot) else { return };
        if !line.is_waiting {
            line.is_waiting = true;
            self.waiting.push_back(slot);
        }
    }

    fn take_frames(&mut self, slot: usize) {
        let Some(line) = self.lines.at(slot) else { return };
        line.has_heard = true;
        let (connection, limit, is_ending) = (line.connection, line.frame_bytes_max(), line.is_ending());
        // Bound: what one read took in.
        loop {
            let frame = match line.link.next_frame(limit) {
                Ok(Some(bytes)) => Frame::decode(bytes).map_err(LinkError::Frame),
                Ok(None) => return,
                Err(error) => Err(error),
            };
            match frame {
                // The machine is done with it: what it says is passed over.
                Ok(_) if is_ending => {}
                Ok(frame) => {
                    let heard = Input::Heard { connection, frame };
                    self.server.step(heard, self.now, self.wall_ms, &mut self.effects);
                }
                Err(error) => return self.heard_garbage(slot, &error),
            }
        }
    }

    /// What comes in is no sequence of frames. The machine closes the connection, if it has not done so already.
    fn heard_garbage(&mut self, slot: usize, error: &LinkError) {
        let Some(line) = self.lines.at(slot) else { return };
        if line.is_ending() {
            self.lose(slot);
            return;
        }
        line.is_unsound = true;
        let connection = line.connection;
        match error {
            LinkError::Frame(FrameError::TooLong { .. }) => self.tally.frames_oversized += 1,
            _ => self.tally.frames_unsound += 1,
        }
        tracing::debug!(from = line.label(), %error, "a connection is closed");
        self.step(Input::Garbage { connection });
    }

    // --- beginnings and ends -------------------------------------------------------------------------------------------

    /// It may have proved who it is.
    pub(super) fn look_whether_open(&mut self, slot: usize) {
        let Some(line) = self.lines.at(slot) else { return };
        if matches!(line.stage, Stage::Opening { .. }) && line.link.is_open() {
            self.opened(slot);
            self.register_again(slot);
        }
    }

    pub(super) fn opened(&mut self, slot: usize) {
        let Some(line) = self.lines.at(slot) else { return };
        let Some(principal) = line.link.principal() else { return };
        line.stage = Stage::Stranger;
        let (connection, label) = (line.connection, line.label());
        self.opening -= 1;
        self.step(Input::Opened { connection, principal, label });
    }

    /// The connection has come to its end, by the other end's will or the system's.
    pub(super) fn ended(&mut self, slot: usize, error: &LinkError) {
        let Some(line) = self.lines.at(slot) else { return };
        match (line.stage, error) {
            (Stage::Opening { .. }, LinkError::Closed { .. }) => self.tally.strangers_gone += 1,
            (Stage::Opening { .. }, _) => {
                self.tally.handshakes_failed += 1;
                tracing::debug!(from = line.label(), %error, "a connection is closed");
            }
            (Stage::Stranger, _) if !line.is_unsound => self.tally.strangers_gone += 1,
            _ => {}
        }
        self.lose(slot);
    }

    /// Drops a connection, and tells the machine if that knows of it.
    pub(super) fn lose(&mut self, slot: usize) {
        let Some(line) = self.lines.remove(slot) else { return };
        match line.stage {
            Stage::Opening { .. } => self.opening -= 1,
            Stage::Stranger | Stage::Answered => {
                self.step(Input::Closed { connection: line.connection });
            }
            Stage::Ending { .. } => {}
        }
    }
}
