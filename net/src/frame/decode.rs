//! From bytes to frames: total, whatever the bytes are.

use std::time::Duration;

use tidelock_format::{Cursor, Fsid, Incarnation, Term};
use zerocopy::little_endian::U64;

use super::layout::{MAGIC, RawFrame, RawHello, RawMessage, RawWelcome, kind, verdict};
use super::{FRAME_BYTES_MAX, Frame, FrameError, VERSION, Verdict, Welcome};
use crate::{Hello, Number};

/// Bytes of the frame that `bytes` begin with, if so many are there that one can tell; `max` is how long a frame may be at
/// this point of the connection.
///
/// # Errors
/// If it is longer than that, or shorter than any frame.
pub fn frame_len(bytes: &[u8], max: usize) -> Result<Option<usize>, FrameError> {
    let Some(len) = bytes.first_chunk::<4>() else { return Ok(None) };
    let said = u32::from_le_bytes(*len) as usize;
    match said {
        _ if said > max => Err(FrameError::TooLong { said, max }),
        _ if said < size_of::<RawFrame>() => Err(FrameError::Length { said, have: size_of::<RawFrame>() }),
        _ => Ok(Some(said)),
    }
}

impl<'a> Frame<'a> {
    /// The one frame that `bytes` are.
    ///
    /// # Errors
    /// If they are none.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, FrameError> {
        let mut body = Cursor::new(bytes);
        let head: &RawFrame = body.take()?;
        let (said, have) = (head.len.get() as usize, bytes.len());
        if have > FRAME_BYTES_MAX {
            return Err(FrameError::TooLong { said: have, max: FRAME_BYTES_MAX });
        }
        if head.version != VERSION {
            // A stranger's bytes are no version of ours.
            return Err(FrameError::Version { found: head.version, known: VERSION });
        }
        if said != have {
            return Err(FrameError::Length { said, have });
        }
        if head.zero.get() != 0 {
            return Err(FrameError::NotZero);
        }
        let frame = match head.kind {
            kind::HELLO => hello(body.take()?)?,
            kind::WELCOME => Frame::Welcome(welcome(body.take()?)?),
            kind::MESSAGE => return message(&mut body),
            kind::REPORT => Frame::Report(Number(number(&mut body)?)),
            kind::PING => Frame::Ping(number(&mut body)?),
            kind::PONG => Frame::Pong(number(&mut body)?),
            kind::FAREWELL => Frame::Farewell,
            kind::GOODBYE => Frame::Goodbye,
            found => return Err(FrameError::Kind { found }),
        };
        match body.rest().len() {
            0 => Ok(frame),
            surplus => Err(FrameError::Surplus { surplus }),
        }
    }
}

fn number(body: &mut Cursor<'_>) -> Result<u64, FrameError> {
    Ok(body.take::<U64>()?.get())
}

fn message<'a>(body: &mut Cursor<'a>) -> Result<Frame<'a>, FrameError> {
    let head: &RawMessage = body.take()?;
    let (number, done) = (Number(head.number.get()), Number(head.done.get()));
    if number == Number(0) {
        return Err(FrameError::NoNumber);
    }
    Ok(Frame::Message { number, done, content: body.rest() })
}

fn hello(raw: &RawHello) -> Result<Frame<'static>, FrameError> {
    if raw.magic != MAGIC {
        return Err(FrameError::Stranger);
    }
    let is_leaving = match raw.is_leaving {
        0 => false,
        1 => true,
        found => return Err(FrameError::Flag { found }),
    };
    if raw.zero != [0; 5] {
        return Err(FrameError::NotZero);
    }
    let hello = Hello {
        versions: (raw.versions[0], raw.versions[1]),
        service: Fsid(raw.service.get()),
        instance: u128::from_le_bytes(raw.instance),
        incarnation: Incarnation(raw.incarnation.get()),
        term: Term(raw.term.get()),
        is_leaving,
    };
    Ok(Frame::Hello { hello, done: Number(raw.done.get()), attempt: u128::from_le_bytes(raw.attempt) })
}

fn welcome(raw: &RawWelcome) -> Result<Welcome, FrameError> {
    let time = Duration::from_millis(raw.millis.get().into());
    let number = raw.number.get();
    let versions = (raw.versions[0], raw.versions[1]);
    let (verdict, is_used) = match raw.verdict {
        verdict::NEW => (Verdict::New { incarnation: Incarnation(number), lease: time }, (false, true, true)),
        verdict::RESUMED => (Verdict::Resumed { done: Number(number), lease: time }, (false, true, true)),
        verdict::RECOVER => (Verdict::Recover { lease: time }, (false, true, false)),
        verdict::EXPELLED => (Verdict::Expelled { upto: Incarnation(number) }, (false, false, true)),
        verdict::MISMATCH => (Verdict::Mismatch { versions }, (true, false, false)),
        verdict::BUSY => (Verdict::Busy(time), (false, true, false)),
        verdict::LEFT => (Verdict::Left, (false, false, false)),
        found => return Err(FrameError::Verdict { found }),
    };
    let (uses_versions, uses_time, uses_number) = is_used;
    let is_zero = (uses_versions || versions == (0, 0))
        && (uses_time || time.is_zero())
        && (uses_number || number == 0)
        && raw.zero == 0;
    if !is_zero {
        return Err(FrameError::NotZero);
    }
    Ok(Welcome { service: Fsid(raw.service.get()), term: Term(raw.term.get()), verdict })
}
