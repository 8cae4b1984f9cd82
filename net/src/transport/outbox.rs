//! Bytes that are to go out: put in at the end, and written from the beginning as far as the socket takes them.

/// Bytes that are kept for what comes next when all is written.
const KEPT_BYTES: usize = 64 << 10;

/// What waits to be written.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    bytes: Vec<u8>,
    /// Bytes of it that were written.
    written: usize,
}

impl Outbox {
    /// Where more bytes are appended.
    pub(super) fn tail(&mut self) -> &mut Vec<u8> {
        // Half of it at least is done with, so each byte is moved once at the most, on average.
        if self.written > self.bytes.len() / 2 {
            self.bytes.drain(..self.written);
            self.written = 0;
        }
        &mut self.bytes
    }

    /// What is to be written.
    pub(super) fn unwritten(&self) -> &[u8] {
        &self.bytes[self.written..]
    }

    pub(super) fn is_empty(&self) -> bool {
        self.unwritten().is_empty()
    }

    /// So many bytes were written.
    pub(super) fn wrote(&mut self, count: usize) {
        self.written += count;
        assert!(self.written <= self.bytes.len(), "more was written than there is");
        if self.is_empty() {
            self.bytes.clear();
            self.written = 0;
            self.bytes.shrink_to(KEPT_BYTES);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_go_out_in_the_order_in_which_they_came() {
        let (mut outbox, mut written) = (Outbox::default(), Vec::new());
        for round in 0..200u8 {
            outbox.tail().extend([round; 7]);
            let count = usize::from(round % 13).min(outbox.unwritten().len());
            written.extend_from_slice(&outbox.unwritten()[..count]);
            outbox.wrote(count);
        }
        written.extend_from_slice(outbox.unwritten());
        let expected: Vec<u8> = (0..200u8).flat_map(|round| [round; 7]).collect();
        assert_eq!(written, expected);
    }

    #[test]
    fn a_large_outbox_is_given_back_and_a_small_one_kept() {
        let mut outbox = Outbox::default();
        outbox.tail().resize(10 * KEPT_BYTES, 1);
        outbox.wrote(10 * KEPT_BYTES);
        assert_eq!(outbox.bytes.capacity(), KEPT_BYTES);
        assert!(outbox.is_empty());
    }
}
