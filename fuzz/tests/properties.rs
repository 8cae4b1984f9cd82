//! The fuzz targets as properties, and the corpus replayed.

use std::fs;
use std::path::Path;

use arbitrary::{Arbitrary, Unstructured};
use proptest::collection::vec;
use proptest::prelude::*;
use tidelock_format::BlockHeader;
use tidelock_fuzz::machine::Machine;
use tidelock_fuzz::operation::Operation;
use tidelock_fuzz::{
    cache_ops, client, client_ops, frame_decode, header_decode, lock_message_decode, server, server_ops,
    session, session_ops,
};

/// Bytes that one operation is made from: as many as the longest takes.
const OPERATION_BYTES: usize = 16;

/// The same for what peers of a session do.
const EVENT_BYTES: usize = 64;

/// Sequences of operations. Each comes from bytes of its own, so that a failing sequence shrinks by leaving operations out.
fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let operation = vec(any::<u8>(), OPERATION_BYTES).prop_map(|bytes| {
        Operation::arbitrary(&mut Unstructured::new(&bytes)).expect("missing bytes are taken for zeroes")
    });
    vec(operation, 1..200)
}

proptest! {
    /// B1, B2, B4, B6, B7, O-02, U-01, S-12, S-27, S-28, S-33: whatever is asked in whatever order, the answers are the model's.
    #[test]
    fn a_cache_does_what_the_model_says(operations in operations()) {
        Machine::run(operations.into_iter());
    }

    #[test]
    fn any_bytes_are_some_operations(bytes in vec(any::<u8>(), 0..2000)) {
        cache_ops(&bytes);
    }

    /// S-30, S-34: any bytes of any length are decoded, and none are accepted but those that were sealed.
    #[test]
    fn any_bytes_are_decoded(mut bytes in vec(any::<u8>(), 0..600), seal: bool) {
        if seal && bytes.len() >= 32 {
            BlockHeader::seal(&mut bytes);
        }
        header_decode(&bytes);
    }

    /// any bytes at all; and, so that more than the header is looked at, behind a header that is in order.
    #[test]
    fn any_bytes_are_a_lock_message_or_refused(mut bytes in vec(any::<u8>(), 0..600), kind in 0u8..8, frame: bool) {
        if frame && bytes.len() >= 8 {
            let len = bytes.len() as u32;
            bytes[..4].copy_from_slice(&len.to_le_bytes());
            bytes[4..8].copy_from_slice(&[1, ((kind & 3) + 1) | ((kind & 4) << 5), 0, 0]);
        }
        lock_message_decode(&bytes);
    }
}

proptest! {
    /// any bytes at all; and, so that more than the length is looked at, frames whose lengths are in order.
    #[test]
    fn any_bytes_are_frames_or_refused(mut bytes in vec(any::<u8>(), 0..300), len in 8usize..80, kind in 0u8..10, frame: bool) {
        if frame {
            for start in (0..bytes.len()).step_by(len) {
                let head = [len as u8, 0, 0, 0, 1, kind, 0, 0];
                let end = (start + head.len()).min(bytes.len());
                bytes[start..end].copy_from_slice(&head[..end - start]);
            }
        }
        frame_decode(&bytes);
    }
}

/// As [`operations`].
fn some<T: for<'a> Arbitrary<'a> + std::fmt::Debug>(most: usize) -> impl Strategy<Value = Vec<T>> {
    let one = vec(any::<u8>(), EVENT_BYTES).prop_map(|bytes| {
        T::arbitrary(&mut Unstructured::new(&bytes)).expect("missing bytes are taken for zeroes")
    });
    vec(one, 1..most)
}

proptest! {
    /// N1 to N3, Q1 to Q5: the session does what it may and no more, and a server that keeps to the protocol can go on with
    /// it, unless it is over.
    #[test]
    fn whatever_a_server_says_a_session_goes_on_or_is_over(events in some::<session::Event>(200)) {
        let mut scene = session::Scene::default();
        events.into_iter().for_each(|event| scene.happen(event));
        scene.end_well();
    }

    /// N1 to N4.
    #[test]
    fn a_stream_does_what_the_ledger_says(turns in some::<session::Turn>(200)) {
        let mut ledger = session::Ledger::default();
        turns.into_iter().for_each(|turn| ledger.take(turn));
    }

    /// Whatever is said of whomever.
    #[test]
    fn any_greeting_comes_to_what_it_may(greetings in some::<session::Greeting>(20)) {
        greetings.into_iter().for_each(|greeting| greeting.check());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    /// The client's own invariants, with locks that are granted, called back and lost out of turn.
    #[test]
    fn whatever_a_server_says_a_client_goes_on(events in some::<client::Event>(200)) {
        client::play(events);
    }

    /// A-69, Y1, Y3 to Y6, Y8, Y10: and nothing is left of the strangers when they have fallen silent.
    #[test]
    fn whatever_strangers_say_the_others_are_served(events in some::<server::Event>(120)) {
        let mut world = server::World::default();
        events.into_iter().for_each(|event| world.happen(event));
        world.end_well();
    }
}

#[test]
fn the_corpus_still_passes() {
    let targets = [
        ("cache_ops", cache_ops as fn(&[u8])),
        ("client_ops", client_ops),
        ("frame_decode", frame_decode),
        ("header_decode", header_decode),
        ("lock_message_decode", lock_message_decode),
        ("server_ops", server_ops),
        ("session_ops", session_ops),
    ];
    for (target, run) in targets {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
        let mut seeds = 0;
        for entry in fs::read_dir(folder).expect("the corpus is committed") {
            run(&fs::read(entry.expect("a readable folder").path()).expect("a readable file"));
            seeds += 1;
        }
        assert!(seeds > 0, "{target} has seeds");
    }
}
