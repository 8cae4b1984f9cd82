//! Bytes that came in, until they are whole frames and were taken.
//!
//! One buffer, which grows to what the longest frame allowed asks for and no further, and is kept: a connection that goes on
//! as it went allocates nothing. Its size follows the limit that frames are taken with, so whoever has not greeted has
//! 256 bytes.

use crate::{FRAME_BYTES_MAX, FrameError, HELLO_BYTES_MAX, frame_len};

/// Bytes that are read at once, if frames may be so long: a hundred or more of the usual ones.
const READ_BYTES: usize = 16 << 10;

/// Frames that are not whole yet, or not taken yet.
#[derive(Debug)]
pub(super) struct Inbox {
    bytes: Vec<u8>,
    /// What is there: from here ...
    start: usize,
    /// ... to here.
    end: usize,
    /// Bytes that the buffer is to have when it is filled next.
    wanted: usize,
}

impl Inbox {
    pub(super) fn new() -> Self {
        Self { bytes: Vec::new(), start: 0, end: 0, wanted: HELLO_BYTES_MAX }
    }

    /// Bytes that were not taken.
    pub(super) fn rest(&self) -> usize {
        self.end - self.start
    }

    /// Where more bytes go. Empty only if a whole frame is there, and takes all the room.
    pub(super) fn space(&mut self) -> &mut [u8] {
        if self.start > 0 {
            // At most a part of one frame stands here, if frames are taken as they come.
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.rest());
        }
        if self.bytes.len() < self.wanted {
            self.bytes.resize(self.wanted, 0);
        }
        &mut self.bytes[self.end..]
    }

    /// So many bytes were put into [`space`](Self::space).
    pub(super) fn filled(&mut self, count: usize) {
        self.end += count;
        assert!(self.end <= self.bytes.len(), "more bytes were read than there is room for");
    }

    /// Takes the next frame, if it is whole.
    pub(super) fn next_frame(&mut self, limit: usize) -> Result<Option<&[u8]>, FrameError> {
        let limit = limit.min(FRAME_BYTES_MAX);
        let len = frame_len(&self.bytes[self.start..self.end], limit)?;
        match len {
            Some(len) if len <= self.rest() => {
                let frame = self.start..self.start + len;
                self.start = frame.end;
                Ok(Some(&self.bytes[frame]))
            }
            _ => {
                let wanted = len.unwrap_or(0).max(limit.min(READ_BYTES));
                self.wanted = self.wanted.max(wanted);
                Ok(None)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Frame, Number};
    use proptest::prelude::*;

    /// Fills it with all of `bytes`, in parts that end at `cuts`, and takes what becomes whole.
    fn taken(bytes: &[u8], cuts: &[usize]) -> Vec<Vec<u8>> {
        let (mut inbox, mut frames) = (Inbox::new(), Vec::new());
        let mut ends: Vec<usize> = cuts.iter().copied().chain([bytes.len()]).collect();
        ends.sort_unstable();
        let mut at = 0;
        for end in ends {
            while at < end {
                let space = inbox.space();
                let count = space.len().min(end - at);
                assert!(count > 0, "there is always room for the rest of a frame");
                space[..count].copy_from_slice(&bytes[at..at + count]);
                inbox.filled(count);
                at += count;
                while let Some(frame) = inbox.next_frame(FRAME_BYTES_MAX).unwrap() {
                    frames.push(frame.to_vec());
                }
            }
        }
        assert_eq!(inbox.rest(), 0);
        frames
    }

    fn message(len: usize) -> Vec<u8> {
        let content: Vec<u8> = (0..len).map(|place| place as u8).collect();
        let mut bytes = Vec::new();
        Frame::Message { number: Number(1), done: Number(0), content: &content }.encode(&mut bytes);
        bytes
    }

    proptest! {
        /// However a stream of bytes is cut on its way, it falls into the frames that it was made of.
        #[test]
        fn any_split_of_a_stream_yields_the_same_frames(
            lens in prop::collection::vec(prop_oneof![0usize..300, 0usize..=64 << 10], 1..12),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..24),
        ) {
            let frames: Vec<Vec<u8>> = lens.into_iter().map(message).collect();
            let bytes = frames.concat();
            let cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            prop_assert_eq!(taken(&bytes, &cuts), frames);
        }

        /// whatever comes in, a frame or a refusal comes out, and memory stays within the limit.
        #[test]
        fn any_bytes_fall_into_frames_or_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..2000), limit in 0usize..600) {
            let mut inbox = Inbox::new();
            for part in bytes.chunks(97) {
                let space = inbox.space();
                let count = part.len().min(space.len());
                space[..count].copy_from_slice(&part[..count]);
                inbox.filled(count);
                while let Ok(Some(frame)) = inbox.next_frame(limit) {
                    assert!(frame.len() <= limit);
                }
            }
            assert!(inbox.bytes.len() <= limit.max(HELLO_BYTES_MAX));
        }
    }

    #[test]
    fn the_limit_may_change_after_each_frame() {
        let bytes = [message(100), message(300)].concat();
        let mut inbox = Inbox::new();
        inbox.next_frame(FRAME_BYTES_MAX).unwrap();
        inbox.space()[..bytes.len()].copy_from_slice(&bytes);
        inbox.filled(bytes.len());
        assert_eq!(inbox.next_frame(HELLO_BYTES_MAX).unwrap().map(<[u8]>::len), Some(124));
        let too_long = FrameError::TooLong { said: 324, max: HELLO_BYTES_MAX };
        assert_eq!(inbox.next_frame(HELLO_BYTES_MAX), Err(too_long));
        assert_eq!(inbox.next_frame(FRAME_BYTES_MAX).unwrap().map(<[u8]>::len), Some(324));
    }

    #[test]
    fn a_buffer_is_as_large_as_frames_may_be_and_not_larger() {
        let mut inbox = Inbox::new();
        assert_eq!(inbox.space().len(), HELLO_BYTES_MAX);
        assert_eq!(inbox.next_frame(FRAME_BYTES_MAX), Ok(None));
        assert_eq!(inbox.space().len(), READ_BYTES);
        let longest = message(64 << 10);
        inbox.space()[..8].copy_from_slice(&longest[..8]);
        inbox.filled(8);
        assert_eq!(inbox.next_frame(usize::MAX), Ok(None));
        assert_eq!(inbox.space().len(), FRAME_BYTES_MAX - 8);
        let mut inbox = Inbox::new();
        inbox.space()[..4].copy_from_slice(&(FRAME_BYTES_MAX as u32 + 1).to_le_bytes());
        inbox.filled(4);
        assert!(inbox.next_frame(usize::MAX).is_err(), "whatever the limit, a frame has an end");
    }
}
