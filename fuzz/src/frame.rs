//! Any bytes at all, taken for what comes in on a connection.

use tidelock_net::{FRAME_BYTES_MAX, Frame, HELLO_BYTES_MAX, frame_len};

/// Takes `data` for a stream of frames: cutting it into frames ends, nothing panics, and what is a frame has
/// exactly its bytes.
pub fn frame_decode(data: &[u8]) {
    let mut rest = data;
    let mut max = HELLO_BYTES_MAX;
    // Bound: every frame has at least eight bytes.
    while let Ok(Some(len)) = frame_len(rest, max) {
        let Some((bytes, behind)) = rest.split_at_checked(len) else { break };
        comes_back(bytes);
        (rest, max) = (behind, FRAME_BYTES_MAX);
    }
    comes_back(data);
}

fn comes_back(bytes: &[u8]) {
    let Ok(frame) = Frame::decode(bytes) else { return };
    let mut again = Vec::new();
    frame.encode(&mut again);
    assert_eq!(again, bytes);
}
