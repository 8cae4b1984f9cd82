//! From frames to bytes.

use std::time::Duration;

use tidelock_format::Incarnation;
use zerocopy::IntoBytes;
use zerocopy::little_endian::U64;

use super::layout::{MAGIC, RawFrame, RawHello, RawMessage, RawWelcome, kind, verdict};
use super::{FRAME_BYTES_MAX, Frame, VERSION, Verdict, Welcome};
use crate::{Hello, Number};

impl Frame<'_> {
    /// Appends this frame's bytes to `bytes`.
    ///
    /// # Panics
    /// If a message is longer than 64 KiB.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        match *self {
            Frame::Hello { hello, done, attempt } => {
                put(bytes, kind::HELLO, &[raw_hello(&hello, done, attempt).as_bytes()]);
            }
            Frame::Welcome(welcome) => put(bytes, kind::WELCOME, &[raw_welcome(&welcome).as_bytes()]),
            Frame::Message { number, done, content } => {
                let head = RawMessage { number: number.0.into(), done: done.0.into() };
                put(bytes, kind::MESSAGE, &[head.as_bytes(), content]);
            }
            Frame::Report(done) => put(bytes, kind::REPORT, &[U64::new(done.0).as_bytes()]),
            Frame::Ping(number) => put(bytes, kind::PING, &[U64::new(number).as_bytes()]),
            Frame::Pong(number) => put(bytes, kind::PONG, &[U64::new(number).as_bytes()]),
            Frame::Farewell => put(bytes, kind::FAREWELL, &[]),
            Frame::Goodbye => put(bytes, kind::GOODBYE, &[]),
        }
    }
}

fn put(bytes: &mut Vec<u8>, kind: u8, parts: &[&[u8]]) {
    let len = size_of::<RawFrame>() + parts.iter().map(|part| part.len()).sum::<usize>();
    assert!(len <= FRAME_BYTES_MAX, "a frame of {len} bytes: a message has at most 64 KiB");
    let head = RawFrame { len: (len as u32).into(), version: VERSION, kind, zero: 0.into() };
    bytes.extend_from_slice(head.as_bytes());
    parts.iter().for_each(|part| bytes.extend_from_slice(part));
}

fn raw_hello(hello: &Hello, done: Number, attempt: u128) -> RawHello {
    RawHello {
        magic: MAGIC,
        versions: [hello.versions.0, hello.versions.1],
        is_leaving: hello.is_leaving.into(),
        zero: [0; 5],
        service: hello.service.0.into(),
        incarnation: hello.incarnation.0.into(),
        term: hello.term.0.into(),
        done: done.0.into(),
        attempt: attempt.to_le_bytes(),
        instance: hello.instance.to_le_bytes(),
    }
}

fn raw_welcome(welcome: &Welcome) -> RawWelcome {
    let none = (0, 0);
    let (verdict, versions, time, number) = match welcome.verdict {
        Verdict::New { incarnation: Incarnation(number), lease } => (verdict::NEW, none, lease, number),
        Verdict::Resumed { done: Number(number), lease } => (verdict::RESUMED, none, lease, number),
        Verdict::Recover { lease } => (verdict::RECOVER, none, lease, 0),
        Verdict::Expelled { upto: Incarnation(number) } => (verdict::EXPELLED, none, Duration::ZERO, number),
        Verdict::Mismatch { versions } => (verdict::MISMATCH, versions, Duration::ZERO, 0),
        Verdict::Busy(wait) => (verdict::BUSY, none, wait, 0),
        Verdict::Left => (verdict::LEFT, none, Duration::ZERO, 0),
    };
    // Seven weeks are long enough for a lease.
    let millis = u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
    RawWelcome {
        service: welcome.service.0.into(),
        term: welcome.term.0.into(),
        verdict,
        versions: [versions.0, versions.1],
        zero: 0,
        millis: millis.into(),
        number: number.into(),
    }
}
