//! The fuzz targets as properties, and the corpus replayed.

use std::fs;
use std::path::Path;

use arbitrary::{Arbitrary, Unstructured};
use proptest::collection::vec;
use proptest::prelude::*;
use tidelock_format::BlockHeader;
use tidelock_fuzz::machine::Machine;
use tidelock_fuzz::operation::Operation;
use tidelock_fuzz::{cache_ops, frame_decode, header_decode, lock_message_decode};

/// Bytes that one operation is made from: as many as the longest takes.
const OPERATION_BYTES: usize = 16;

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

#[test]
fn the_corpus_still_passes() {
    let targets = [
        ("cache_ops", cache_ops as fn(&[u8])),
        ("frame_decode", frame_decode),
        ("header_decode", header_decode),
        ("lock_message_decode", lock_message_decode),
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
