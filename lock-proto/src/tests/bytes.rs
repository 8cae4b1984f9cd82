//! From messages to bytes and back, and what becomes of bytes that are no message.

use proptest::prelude::*;
use proptest::sample::select;
use tidelock_format::{FenceEpoch, GrantSeq, Incarnation, Key, KeyRange, Term, Token, TooFew};

use super::samples::{ENVELOPE, range, to_client, to_server};
use crate::{
    Acquire, Change, Descent, ENTRIES_MAX, Envelope, Granted, Held, Lost, MESSAGE_BYTES_MAX, Malformed, Mode,
    Reason, Refused, Snapshot, ToClient, ToServer,
};

fn envelope() -> impl Strategy<Value = Envelope> {
    any::<(u64, u64, u64)>().prop_map(|(incarnation, term, barrier)| Envelope {
        incarnation: Incarnation(incarnation),
        term: Term(term),
        barrier: FenceEpoch(barrier),
    })
}

fn key() -> impl Strategy<Value = Key> {
    any::<[u8; 32]>().prop_map(Key)
}

fn any_range() -> impl Strategy<Value = KeyRange> {
    (key(), key()).prop_map(|(a, b)| KeyRange::new(a.min(b), a.max(b)).unwrap())
}

fn mode() -> impl Strategy<Value = Mode> {
    select(&Mode::ALL[..])
}

fn change() -> impl Strategy<Value = Change> {
    (mode(), mode()).prop_map(|(from, to)| Change { from, to })
}

fn token() -> impl Strategy<Value = Token> {
    any::<(u64, u64)>().prop_map(|(term, seq)| Token { term: Term(term), seq: GrantSeq(seq) })
}

fn acquire() -> impl Strategy<Value = Acquire> {
    (any_range(), change()).prop_map(|(range, change)| Acquire { range, change })
}

fn descent() -> impl Strategy<Value = Descent> {
    (key(), token(), change()).prop_map(|(start, token, change)| Descent { start, token, change })
}

fn held() -> impl Strategy<Value = Held> {
    (any_range(), mode(), token()).prop_map(|(range, mode, token)| Held { range, mode, token })
}

fn snapshot() -> impl Strategy<Value = Snapshot> {
    let parts = (prop::collection::vec(held(), 0..6), prop::collection::vec(acquire(), 0..6), any::<bool>());
    parts.prop_map(|(mut held, mut wanted, is_last)| {
        held.sort_by_key(|held| held.range.start());
        held.dedup_by_key(|held| held.range.start());
        wanted.sort_by_key(|wanted| wanted.range.start());
        wanted.dedup_by_key(|wanted| wanted.range.start());
        Snapshot { held, wanted, is_last }
    })
}

fn any_to_server() -> impl Strategy<Value = ToServer> {
    prop_oneof![
        acquire().prop_map(ToServer::Acquire),
        descent().prop_map(ToServer::Ceded),
        descent().prop_map(ToServer::Release),
        snapshot().prop_map(ToServer::Snapshot),
    ]
}

fn any_to_client() -> impl Strategy<Value = ToClient> {
    let reasons = select(&[Reason::Overlaps, Reason::Pointless, Reason::TooMany, Reason::Busy][..]);
    prop_oneof![
        (any_range(), change(), token()).prop_map(|(range, change, token)| ToClient::Granted(Granted {
            range,
            change,
            token
        })),
        (key(), mode(), reasons).prop_map(|(start, wanted, reason)| ToClient::Refused(Refused {
            start,
            wanted,
            reason
        })),
        descent().prop_map(ToClient::Revoke),
        key().prop_map(ToClient::SnapshotTaken),
        (key(), token()).prop_map(|(start, token)| ToClient::Lost(Lost { start, token })),
    ]
}

fn bytes_of(message: &ToServer) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.encode(ENVELOPE, &mut bytes);
    bytes
}

/// The bytes of an `Acquire` with some of them changed, and what the decoder makes of that.
fn changed(change: impl FnOnce(&mut Vec<u8>)) -> Malformed {
    let mut bytes = bytes_of(&to_server()[0].1);
    change(&mut bytes);
    ToServer::decode(&bytes).expect_err("it was changed")
}

fn set_len(bytes: &mut [u8]) {
    let len = bytes.len() as u32;
    bytes[..4].copy_from_slice(&len.to_le_bytes());
}

proptest! {
    /// what is sent is what is received, in every field.
    #[test]
    fn a_message_to_the_server_comes_back_from_its_bytes(message in any_to_server(), envelope in envelope()) {
        let mut bytes = Vec::new();
        message.encode(envelope, &mut bytes);
        prop_assert!(bytes.len() <= MESSAGE_BYTES_MAX);
        prop_assert_eq!(ToServer::decode(&bytes), Ok((envelope, message)));
    }

    #[test]
    fn a_message_to_a_client_comes_back_from_its_bytes(message in any_to_client(), envelope in envelope()) {
        let mut bytes = Vec::new();
        message.encode(envelope, &mut bytes);
        prop_assert_eq!(ToClient::decode(&bytes), Ok((envelope, message)));
    }

    /// whatever a peer sends is a message or a refusal, never a panic; and what is taken for a message has these bytes
    /// and no others.
    #[test]
    fn bytes_with_some_changed_are_a_message_or_refused(
        message in any_to_server(),
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
        cuts: bool,
    ) {
        let mut bytes = bytes_of(&message);
        for (place, byte) in places {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if cuts {
            bytes.truncate(cut.index(bytes.len()));
        }
        let _ = ToClient::decode(&bytes);
        if let Ok((envelope, message)) = ToServer::decode(&bytes) {
            let mut again = Vec::new();
            message.encode(envelope, &mut again);
            // Shorter when the change made the rest of a snapshot pass for an appendix.
            prop_assert_eq!(&again[4..], &bytes[4..again.len()]);
        }
    }

    #[test]
    fn any_bytes_are_a_message_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = (ToServer::decode(&bytes), ToClient::decode(&bytes));
    }
}

#[test]
fn the_largest_part_of_a_snapshot_fits_a_message() {
    let held = |i| Held { range: range(i, i), mode: Mode::Read, token: Token::default() };
    let full = Snapshot { held: (0..ENTRIES_MAX as u64).map(held).collect(), ..Snapshot::default() };
    let message = ToServer::Snapshot(full);
    let bytes = bytes_of(&message);
    assert!(bytes.len() <= MESSAGE_BYTES_MAX && bytes.len() + size_of::<[u8; 88]>() > MESSAGE_BYTES_MAX);
    assert_eq!(ToServer::decode(&bytes), Ok((ENVELOPE, message)));
}

#[test]
fn what_a_later_version_appends_is_passed_over() {
    for (name, message) in to_server() {
        let mut bytes = bytes_of(&message);
        bytes.extend_from_slice(b"later");
        set_len(&mut bytes);
        assert_eq!(ToServer::decode(&bytes), Ok((ENVELOPE, message)), "{name}");
    }
}

#[test]
fn every_way_to_be_malformed_has_its_own_refusal() {
    let header = |change: fn(&mut Vec<u8>)| changed(change);
    assert_eq!(header(|bytes| bytes.truncate(10)), Malformed::TooShort(TooFew { have: 10, need: 32 }));
    assert_eq!(header(|bytes| bytes[0] += 1), Malformed::Length { said: 105, have: 104 });
    assert_eq!(header(|bytes| bytes[4] = 9), Malformed::Version { found: 9, known: 1 });
    assert_eq!(header(|bytes| bytes[5] = 0x55), Malformed::Kind { found: 0x55 });
    assert_eq!(header(|bytes| bytes[5] = 0x81), Malformed::Direction { found: 0x81 });
    assert_eq!(header(|bytes| bytes[6] = 1), Malformed::NotZero);
    assert_eq!(header(|bytes| bytes[96] = 4), Malformed::Mode { found: 4 });
    assert_eq!(header(|bytes| bytes[103] = 1), Malformed::NotZero);
    let start = range(0x1000, 0x1000).start();
    assert_eq!(header(|bytes| bytes[64..96].fill(0)), Malformed::Range { start });
    let body = |bytes: &mut Vec<u8>| {
        bytes.truncate(50);
        set_len(bytes);
    };
    assert_eq!(changed(body), Malformed::TooShort(TooFew { have: 50, need: 104 }));
    let max = MESSAGE_BYTES_MAX;
    assert_eq!(header(|bytes| bytes.resize((64 << 10) + 1, 0)), Malformed::TooLong { have: max + 1, max });
}

#[test]
fn a_message_for_the_other_side_is_told_from_one_that_does_not_exist() {
    for (name, message) in to_client() {
        let mut bytes = Vec::new();
        message.encode(ENVELOPE, &mut bytes);
        assert_eq!(ToServer::decode(&bytes), Err(Malformed::Direction { found: bytes[5] }), "{name}");
    }
    for (name, message) in to_server() {
        let bytes = bytes_of(&message);
        assert_eq!(ToClient::decode(&bytes), Err(Malformed::Direction { found: bytes[5] }), "{name}");
    }
}

#[test]
fn a_reason_that_does_not_exist_is_refused() {
    let mut bytes = Vec::new();
    to_client()[1].1.encode(ENVELOPE, &mut bytes);
    bytes[65] = 0;
    assert_eq!(ToClient::decode(&bytes), Err(Malformed::Reason { found: 0 }));
}

/// A list that says it is long and is not costs no memory: room is made for what can be there.
#[test]
fn a_snapshot_is_not_believed_about_its_length_order_or_flags() {
    let (_, message) = to_server().pop().unwrap();
    let snapshot = |change: fn(&mut Vec<u8>)| {
        let mut bytes = bytes_of(&message);
        change(&mut bytes);
        ToServer::decode(&bytes).unwrap_err()
    };
    // Two held and one wanted are there.
    assert_eq!(snapshot(|bytes| bytes[32] = 9), Malformed::TooShort(TooFew { have: 288, need: 304 }));
    assert_eq!(snapshot(|bytes| bytes[36] = 2), Malformed::Flag { found: 2 });
    assert_eq!(snapshot(|bytes| bytes[37] = 1), Malformed::NotZero);
    let start = Key::from_u64(0x1000);
    assert_eq!(snapshot(|bytes| bytes.copy_within(40..128, 128)), Malformed::Order { start });
}
