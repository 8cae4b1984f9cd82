//! From frames to bytes and back, and what becomes of bytes that are no frame.

use std::fmt::Write;
use std::time::Duration;

use proptest::prelude::*;
use tidelock_format::{Fsid, Incarnation, Term, TooFew};

use crate::{
    FRAME_BYTES_MAX, Frame, FrameError, HELLO_BYTES_MAX, Hello, Number, Verdict, Welcome, frame_len,
};

const PAGE: &str = include_str!("../../../docs/wire.md");

const LEASE: Duration = Duration::from_millis(0x7530);

fn hello() -> Frame<'static> {
    let hello = Hello {
        versions: (1, 1),
        service: Fsid(0x0101),
        instance: 0x0606,
        incarnation: Incarnation(0x0202),
        term: Term(0x0303),
        is_leaving: false,
    };
    Frame::Hello { hello, done: Number(0x0404), attempt: 0x0505 }
}

fn welcome(verdict: Verdict) -> Frame<'static> {
    Frame::Welcome(Welcome { service: Fsid(0x0101), term: Term(0x0303), verdict })
}

fn samples() -> Vec<(&'static str, Frame<'static>)> {
    vec![
        ("hello", hello()),
        ("new", welcome(Verdict::New { incarnation: Incarnation(0x0606), lease: LEASE })),
        ("resumed", welcome(Verdict::Resumed { done: Number(0x0707), lease: LEASE })),
        ("recover", welcome(Verdict::Recover { lease: LEASE })),
        ("expelled", welcome(Verdict::Expelled { upto: Incarnation(0x0606) })),
        ("mismatch", welcome(Verdict::Mismatch { versions: (2, 4) })),
        ("busy", welcome(Verdict::Busy(LEASE))),
        ("left", welcome(Verdict::Left)),
        ("message", Frame::Message { number: Number(8), done: Number(0x0404), content: b"anything" }),
        ("report", Frame::Report(Number(0x0404))),
        ("ping", Frame::Ping(9)),
        ("pong", Frame::Pong(9)),
        ("farewell", Frame::Farewell),
        ("goodbye", Frame::Goodbye),
    ]
}

fn bytes_of(frame: &Frame<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame.encode(&mut bytes);
    bytes
}

#[test]
fn the_page_about_the_wire_shows_the_bytes_of_every_frame() {
    let mut lines = String::new();
    for (name, frame) in samples() {
        let hex: Vec<String> = bytes_of(&frame).chunks(32).map(hex).collect();
        writeln!(lines, "{name}\n  {}", hex.join("\n  ")).expect("a string takes all");
    }
    assert!(
        PAGE.contains(&format!("```text\n{lines}```\n")),
        "docs/wire.md does not show these bytes; if the protocol was meant to change, they belong there:\n{lines}"
    );
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A-67.
#[test]
fn every_frame_comes_back_from_its_bytes() {
    for (name, frame) in samples() {
        let bytes = bytes_of(&frame);
        assert_eq!(Frame::decode(&bytes), Ok(frame), "{name}");
        assert_eq!(frame_len(&bytes, FRAME_BYTES_MAX), Ok(Some(bytes.len())), "{name}");
    }
    assert!(bytes_of(&hello()).len() <= HELLO_BYTES_MAX);
}

#[test]
fn the_longest_message_fits_a_frame() {
    let content = vec![7; 64 << 10];
    let bytes = bytes_of(&Frame::Message { number: Number(1), done: Number(0), content: &content });
    assert_eq!(bytes.len(), FRAME_BYTES_MAX);
    assert!(matches!(Frame::decode(&bytes), Ok(Frame::Message { content: same, .. }) if same == content));
}

/// A-69: who has not greeted is believed in nothing, least of all in how much it will send.
#[test]
fn a_stranger_is_known_by_its_first_bytes() {
    let http = b"GET / HTTP/1.1\r\n\r\n";
    assert!(matches!(frame_len(http, HELLO_BYTES_MAX), Err(FrameError::TooLong { .. })));
    assert_eq!(frame_len(&[1, 0, 0, 0], HELLO_BYTES_MAX), Err(FrameError::Length { said: 1, have: 8 }));
    assert_eq!(frame_len(&[1, 0, 0], HELLO_BYTES_MAX), Ok(None));
    let mut bytes = bytes_of(&hello());
    bytes[8] = b'T';
    assert_eq!(Frame::decode(&bytes), Err(FrameError::Stranger));
}

#[test]
fn every_way_to_be_no_frame_has_its_own_error() {
    let changed = |frame: &Frame<'_>, change: fn(&mut Vec<u8>)| {
        let mut bytes = bytes_of(frame);
        change(&mut bytes);
        Frame::decode(&bytes).expect_err("it was changed")
    };
    let ping = Frame::Ping(9);
    assert_eq!(changed(&ping, |b| b.truncate(7)), FrameError::TooShort(TooFew { have: 7, need: 8 }));
    assert_eq!(changed(&ping, |b| b[0] += 1), FrameError::Length { said: 17, have: 16 });
    assert_eq!(changed(&ping, |b| b[4] = 2), FrameError::Version { found: 2, known: 1 });
    assert_eq!(changed(&ping, |b| b[5] = 99), FrameError::Kind { found: 99 });
    assert_eq!(changed(&ping, |b| b[6] = 1), FrameError::NotZero);
    let longer = |b: &mut Vec<u8>| {
        b.push(0);
        b[0] += 1;
    };
    assert_eq!(changed(&ping, longer), FrameError::Surplus { surplus: 1 });
    let too_long = FrameError::TooLong { said: FRAME_BYTES_MAX + 1, max: FRAME_BYTES_MAX };
    assert_eq!(changed(&ping, |b| b.resize(FRAME_BYTES_MAX + 1, 0)), too_long);
    assert_eq!(changed(&hello(), |b| b[18] = 2), FrameError::Flag { found: 2 });
    assert_eq!(changed(&hello(), |b| b[19] = 1), FrameError::NotZero);
    let left = welcome(Verdict::Left);
    assert_eq!(changed(&left, |b| b[24] = 0), FrameError::Verdict { found: 0 });
    assert_eq!(changed(&left, |b| b[32] = 1), FrameError::NotZero);
    let message = Frame::Message { number: Number(1), done: Number(0), content: &[] };
    assert_eq!(changed(&message, |b| b[8] = 0), FrameError::NoNumber);
}

proptest! {
    /// A-61: whatever a peer sends is a frame or an error, and a frame has these bytes and no others.
    #[test]
    fn bytes_with_some_changed_are_a_frame_or_refused(
        sample in 0usize..14,
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut bytes = bytes_of(&samples()[sample].1);
        for (place, byte) in places {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Ok(frame) = Frame::decode(&bytes) {
            prop_assert_eq!(bytes_of(&frame), bytes);
        }
    }

    #[test]
    fn any_bytes_are_a_frame_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = (frame_len(&bytes, HELLO_BYTES_MAX), Frame::decode(&bytes));
    }
}
